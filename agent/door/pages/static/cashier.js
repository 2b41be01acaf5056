"use strict";
// The cashier's page: the seed's first screen, then the order's states. It is
// worked by keyboard alone; every key is written on its button.
(function () {
  const pay = window.pay;
  const ui = window.payOrder;
  const form = window.payForm;
  const queue = window.payQueue;
  const unbooked = window.payUnbooked;
  const word = pay.word;
  const el = pay.el;

  const textFields = ["name", "card_no", "card_type", "admission_no", "bill"];
  let personal = pay.takeFragment(); // what HIS handed over, until it was put into the form
  let extra = {};        // phone, subject, memo from HIS: sent, not shown
  let caps = null;       // capabilities
  let view = null;       // the till, as the agent last told
  let ready = null;      // whether payments can be taken now, and if not, why
  let readyAt = -Infinity;
  let order = null;      // the order on the screen
  let found = false;     // it was opened from the search, so nothing closes by itself
  let no = pay.setting("order");
  let closed = pay.setting("closed"); // the order that was closed last: it does not come back by itself
  let screen = "form";   // form, order, search
  let notice = "";       // above the form
  let orderNote = "";    // what a button was answered
  let queueNote = "";    // what a button of a queued order was answered
  let formOf = "";       // the order that was made from what stands in the form
  let kept = null;       // a form that was set aside for an order: {fields, extra, attempt}
  let attempt = { key: "", body: "" };
  let refused = null;    // the request that met a dead platform, for queueing
  let busy = false;
  let edited = false;    // somebody typed into the form
  let shaped = "";
  let heard = 0;         // when the agent last answered, performance.now()
  let orderAt = 0;       // when the order was last read
  let paidAt = 0;        // when this page first saw it paid
  let refunding = null;  // {key, body} while the refund form is open
  let fault = "";        // why nothing works: token, till
  const hold = pay.number("hold", 8, 1, 120);

  function seconds(since) { return (performance.now() - since) / 1000; }
  function fresh() { return heard > 0 && seconds(heard) < 5 && orderAt > 0 && seconds(orderAt) < 5; }

  // ---- asking the agent ----

  async function ask() {
    if (!pay.setting("t")) { fault = "badToken"; render(); return; }
    if (!caps) {
      const c = await pay.call("GET", "/v1/capabilities");
      if (c.status === 401) { fault = "badToken"; render(); return; }
      if (c.ok) {
        caps = c.data;
        if (!pay.setting("till") && caps.token) { pay.remember("till", caps.token.till); }
        choices();
        if (screen === "form" && !edited) { form.focus(); }
      }
    }
    const till = pay.setting("till");
    if (!till) { if (caps) { fault = "noTill"; } render(); return; }
    if (seconds(readyAt) > 5) {
      readyAt = performance.now();
      const r = await pay.call("GET", "/readyz");
      ready = r.data && Array.isArray(r.data.reasons) ? r.data : null;
    }
    const at = performance.now();
    const a = await pay.call("GET", "/v1/tills/" + encodeURIComponent(till));
    if (a.status === 401) { fault = "badToken"; render(); return; }
    if (a.status === 403 || a.status === 404) { fault = "noRight"; render(); return; }
    fault = "";
    if (a.ok) {
      view = a.data;
      heard = performance.now();
      const front = view.order;
      // The open order in front of the till is the one on the screen, whoever
      // made it and whatever was shown: nobody may read the former one's
      // outcome as this one's.
      const open = front && !ui.final(front) && front.state !== "queued" && !front.detached;
      if (open && front.out_trade_no !== no && front.out_trade_no !== closed) {
        const looked = no && found;
        attach(front.out_trade_no, false);
        order = front; orderAt = at;
        if (looked) { orderNote = word("openFirst"); }
      }
      if (open && front.out_trade_no !== closed) { closed = ""; }
    }
    if (no) {
      const mine = no;
      const asked = performance.now();
      const b = await pay.call("GET", "/v1/orders/" + encodeURIComponent(mine));
      if (mine === no) {
        if (b.ok) { order = b.data; orderAt = asked; } else if (b.status === 404 || b.status === 403) { order = null; leave(); }
      }
    }
    if (order && order.state === "paid" && ui.done(order) && ui.stage(order) !== "given_back" && !found) {
      if (!paidAt) { paidAt = performance.now(); }
    } else { paidAt = 0; }
    render();
    if (a.ok) { await queue.read(view); await unbooked.read(view, caps); render(); } // last: it keeps no open order waiting
  }
  const wake = pay.loop(ask, function () { return order && !ui.done(order) ? 1000 : 3000; });

  // ---- attaching and leaving ----

  function attach(number, byHand) {
    if (!formOf && !busy) { setAside(); }
    el("s_list").replaceChildren();
    no = number;
    found = byHand;
    order = null; orderAt = 0; paidAt = 0; orderNote = ""; refunding = null; shaped = "";
    screen = "order";
    pay.remember("order", number);
    pay.remember("found", byHand ? "1" : "");
  }

  // setAside keeps a form that somebody typed in until the order that came
  // between is closed.
  function setAside() {
    if (!form.filled()) { return; }
    kept = { fields: form.take(), extra: extra, attempt: attempt };
    empty();
  }

  // leave goes back to the first screen, empty for the next patient. Only who
  // asked to take the payment again finds bill, amount and patient there.
  function leave(offer) {
    const o = order;
    if (o && !found && o.state !== "queued") { closed = o.out_trade_no; pay.remember("closed", closed); }
    const again = Boolean(offer && o && !found && ui.allowed(o, "retry"));
    no = ""; order = null; orderNote = ""; refunding = null; shaped = ""; paidAt = 0;
    pay.remember("order", ""); pay.remember("found", "");
    attempt = { key: "", body: "" };
    refused = null;
    screen = "form";
    notice = "";
    el("order").replaceChildren();
    const mine = o && o.out_trade_no === formOf;
    formOf = "";
    if (!again || !mine) { empty(); }
    if (again) {
      el("f_bill").value = o.bill || el("f_bill").value;
      if (Number.isSafeInteger(o.amount_fen)) { el("f_amount").value = pay.yuan(o.amount_fen); }
      if (o.order_type) { el("f_order_type").value = o.order_type; }
      notice = "rescan";
      choices();
    } else if (kept) {
      // The bill that came between through HIS needs no second order.
      if (found || !o || kept.fields.bill !== o.bill) {
        form.give(kept.fields);
        extra = Object.assign({}, kept.extra, { order_type: kept.fields.order_type });
        attempt = kept.attempt;
        choices();
        notice = found ? "" : "kept";
      }
      kept = null;
    }
    found = false;
    render();
    form.focus(again ? o.channel : "");
  }

  function empty() {
    form.empty();
    extra = {};
  }

  // ---- the form ----

  function fill(p) {
    if (Object.keys(p).length === 0) { return; }
    empty();
    textFields.forEach(function (f) { if (p[f]) { form.put(f, p[f]); } });
    if (/^[1-9]\d{0,9}$/.test(p.amount_fen || "")) { el("f_amount").value = pay.yuan(parseInt(p.amount_fen, 10)); } else if (p.amount) { el("f_amount").value = p.amount; }
    ["phone", "subject", "memo"].forEach(function (f) { if (p[f]) { extra[f] = p[f]; } });
    if (p.order_type) { extra.order_type = p.order_type; }
    notice = ""; refused = null;
    choices();
  }

  // choices fills in what the agent offers at this till: kinds of fees, and for
  // the chosen kind the wallets of the platform that it goes to.
  function choices() {
    const select = el("f_order_type");
    const mine = pay.tillOf(caps);
    const routes = (mine && mine.routes || []).filter(function (r) { return r.mode === "charge"; });
    const types = routes.map(function (r) { return r.order_type; });
    const was = extra.order_type || select.value || "TREATMENT";
    select.replaceChildren.apply(select, types.map(function (t) {
      return pay.h("option", { value: t }, window.payWords[t] ? word(t) : t);
    }));
    if (types.length === 0) { el("payButtons").replaceChildren(); return; }
    select.value = types.indexOf(was) >= 0 ? was : types[0];
    delete extra.order_type;
    wallets(routes);
  }

  function wallets(routes) {
    const keys = { wechat: "F2", alipay: "F3", unionpay: "F4" };
    const route = routes.find(function (r) { return r.order_type === el("f_order_type").value; });
    const channels = Object.keys(keys).filter(function (c) { return route && route.channels.indexOf(c) >= 0; });
    el("payButtons").replaceChildren.apply(el("payButtons"), channels.map(function (c) {
      return pay.h("button", { type: "button", "data-channel": c, onclick: function () { send(c); } },
        word("payWith", { w: word(c) }), pay.h("kbd", {}, keys[c]));
    }));
  }

  function bad(id, why) {
    el(id).classList.add("bad");
    el(id).focus();
    notice = why;
    render();
  }

  function body(channel) {
    const v = function (f) { return el("f_" + f).value.trim(); };
    const b = { bill: v("bill"), amount_fen: pay.fen(v("amount")), mode: "charge", order_type: v("order_type"), till: pay.setting("till"), channel: channel };
    b.subject = v("subject") || extra.subject || window.payWords[b.order_type] && window.payWords[b.order_type][0] || b.order_type;
    if (extra.memo) { b.memo = extra.memo; }
    const patient = {};
    ["name", "card_no", "card_type", "admission_no"].forEach(function (f) { if (v(f)) { patient[f] = v(f); } });
    if (v("phone") || extra.phone) { patient.phone = v("phone") || extra.phone; }
    if (Object.keys(patient).length > 0) { b.patient = patient; }
    if (operator()) { b.operator = operator(); }
    return b;
  }

  function operator() {
    const o = {};
    if (pay.setting("operator_id")) { o.id = pay.setting("operator_id"); }
    if (pay.setting("operator_name")) { o.name = pay.setting("operator_name"); }
    return o.id ? o : null;
  }

  function problem(a) { return pay.problem(a, "cashier"); }

  async function send(channel, offlineQueue) {
    if (busy || screen !== "form") { return; }
    form.clean();
    if (el("f_operator").value.trim()) { pay.remember("operator_id", el("f_operator").value.trim()); pay.remember("operator_name", ""); }
    const b = body(channel);
    if (!b.bill) { bad("f_bill", "badBill"); return; }
    if (b.amount_fen === null) { bad("f_amount", "badAmount"); return; }
    if (offlineQueue) { b.when_offline = "queue"; }
    // The same request again keeps its key, so that it can never make a second
    // order; another request gets another key.
    const text = JSON.stringify(b);
    if (attempt.body !== text) { attempt = { key: pay.freshKey(), body: text }; }
    busy = true; notice = "sending"; refused = null; render();
    const a = await pay.call("POST", "/v1/orders", b, { "Idempotency-Key": attempt.key });
    busy = false;
    if (a.ok && a.data && a.data.out_trade_no) {
      notice = "";
      closed = "";
      formOf = a.data.out_trade_no;
      attach(formOf, false);
      order = a.data; orderAt = performance.now();
    } else if (a.status === 0 || a.status >= 500 && !(a.data && a.data.code)) {
      notice = "unsure";
      if (screen === "order") { setAside(); orderNote = word(notice); }
    } else {
      const p = a.data || {};
      // What a person at this form can mend is said in the form's own words.
      render(); // a field takes the focus only where it can be seen
      const mend = screen === "form" && p.code === "field_invalid" ? form.missing(p.field) : "";
      notice = "\n" + (mend || problem(a)) + (p.safe_to_take_cash && pay.say(p.safe_to_take_cash.say) ? "\n" + pay.say(p.safe_to_take_cash.say) : "");
      if (p.code === "platform_unreachable" || p.code === "clock_wrong") { refused = channel; }
      if (a.status !== 503) { attempt = { key: "", body: "" }; }
      const inFront = p.order && view && view.order && view.order.out_trade_no === p.order.out_trade_no && !ui.final(view.order);
      if (p.order && p.order.out_trade_no) { attach(p.order.out_trade_no, !inFront); }
      if (screen === "order") { setAside(); orderNote = problem(a); }
    }
    render();
    wake();
  }

  // ---- an order's buttons ----

  async function act(name) {
    if (busy || !order) { return; }
    if (name === "close") { leave(); return; }
    if (name === "again") { leave(true); return; }
    if (name === "refund") { openRefund(); return; }
    const mine = order.out_trade_no;
    busy = true; disable(true);
    const b = {};
    if (operator()) { b.operator = operator(); }
    if (name === "cancel") { b.reason = "cashier"; }
    const a = await pay.call("POST", "/v1/orders/" + encodeURIComponent(mine) + "/" + name, b);
    busy = false; disable(false);
    if (mine !== no) { return; }
    orderNote = a.ok ? "" : a.status === 0 ? word("noService") : problem(a);
    if (a.ok && name === "detach") { leave(); notice = "detached"; render(); return; }
    if (a.ok && a.data && a.data.out_trade_no === mine) { order = a.data; orderAt = performance.now(); }
    render();
    wake();
  }

  // queued answers the buttons of an order in the list. What comes of it is
  // shown as any order is: its state and the verdict about cash.
  async function queued(o, name) {
    if (busy || screen !== "form") { return; }
    const b = operator() ? { operator: operator() } : {};
    if (name === "cancel") { b.reason = "cashier"; }
    busy = true; queueNote = ""; render();
    const a = await pay.call("POST", "/v1/orders/" + encodeURIComponent(o.out_trade_no) + "/" + name, b);
    busy = false;
    if (a.ok && a.data && a.data.out_trade_no === o.out_trade_no) {
      closed = ""; queue.drop(o.out_trade_no);
      if (no !== o.out_trade_no && (screen === "form" || !order || ui.final(order))) { attach(o.out_trade_no, false); order = a.data; orderAt = performance.now(); }
    } else { queueNote = a.status === 0 ? word("noService") : problem(a); }
    render();
    wake();
  }

  function disable(on) { document.querySelectorAll("#order button").forEach(function (b) { b.disabled = on; }); }

  function openRefund() {
    const box = el("o_refund");
    if (!box) { return; }
    if (refunding) { refunding = null; box.hidden = true; box.replaceChildren(); return; }
    refunding = { key: "", body: "" };
    box.hidden = false;
    ui.refundForm(box, order, operator(), sendRefund);
  }

  async function sendRefund() {
    if (busy || !refunding || !order) { return; }
    const sum = pay.fen(el("r_sum").value);
    const reason = el("r_reason").value.trim();
    if (sum === null) { pay.text("r_note", word("badAmount")); el("r_sum").focus(); return; }
    if (!reason) { pay.text("r_note", word("badReason")); el("r_reason").focus(); return; }
    const who = el("r_operator");
    if (who && !who.value.trim()) { pay.text("r_note", word("badOperator")); who.focus(); return; }
    if (who) { pay.remember("operator_id", who.value.trim()); }
    const b = { amount_fen: sum, reason: reason };
    if (operator()) { b.operator = operator(); }
    const text = JSON.stringify(b);
    if (refunding.body !== text) { refunding = { key: pay.freshKey(), body: text }; }
    busy = true; disable(true);
    const mine = order.out_trade_no;
    const a = await pay.call("POST", "/v1/orders/" + encodeURIComponent(mine) + "/refunds", b, { "Idempotency-Key": refunding.key });
    busy = false; disable(false);
    if (mine !== no || !refunding) {
      if (!a.ok) { orderNote = word("refundOf", { no: mine, t: a.status === 0 ? word("unsure") : problem(a) }); render(); }
      return;
    }
    if (a.ok) {
      refunding = null; shaped = "";
    } else {
      pay.text("r_note", a.status === 0 ? word("unsure") : problem(a));
    }
    wake();
  }

  // ---- search ----

  function openSearch() {
    if (screen === "search") { closeSearch(); return; }
    screen = "search";
    el("s_notice").hidden = true;
    el("s_list").replaceChildren();
    render();
    el("s_value").focus();
    el("s_value").select();
  }
  function closeSearch() {
    screen = no ? "order" : "form";
    shaped = "";
    el("s_list").replaceChildren();
    el("s_value").value = "";
    render();
    if (!no) { form.focus(); }
  }

  // openUnbooked lists what was paid here and is not in HIS's books.
  function openUnbooked() {
    if (screen === "form" && form.filled()) { setAside(); }
    screen = "search";
    el("s_notice").hidden = true;
    render();
    list(unbooked.list());
  }

  async function search() {
    const value = el("s_value").value.trim();
    if (busy || !value) { return; }
    busy = true;
    const a = await pay.call("GET", "/v1/orders?" + el("s_by").value + "=" + encodeURIComponent(value));
    busy = false;
    if (screen !== "search") { return; }
    const orders = a.ok && a.data ? a.data.orders || [] : [];
    const note = el("s_notice");
    note.textContent = a.ok ? word("nothingFound") : a.status === 0 ? word("noService") : problem(a);
    note.hidden = orders.length > 0;
    list(orders);
  }

  function list(orders) {
    ui.rows(el("s_list"), orders, function (o) { attach(o.out_trade_no, true); order = o; orderAt = performance.now(); render(); wake(); });
  }

  // ---- drawing ----

  function banner() {
    const lines = [];
    if (!heard || seconds(heard) > 3) { if (performance.now() > 3000 || heard) { lines.push(pay.sentences(word("noService"), word("noServiceNext"))); } }
    (ready ? ready.reasons : []).forEach(function (r) {
      lines.push(pay.sentences([pay.say(r.say), r.name].filter(Boolean).join(" · "), pay.say(r.next_action)));
    });
    (ready && ready.warnings || []).forEach(function (w) { if (/^(locked_out|rate_limited)$/.test(w.code)) { lines.push(pay.say(w.say)); } });
    if (view && view.online === false && lines.length === 0) { lines.push(word("offline")); }
    if (view && view.queued > 0) { lines.push(pay.sentences(word("queuedCount", { n: view.queued }), screen !== "form" && view.online ? word("online") : "")); }
    unbooked.draw(order);
    const b = el("banner");
    const t = lines.join("\n");
    if (b.textContent !== t) { b.textContent = t; }
    b.hidden = t === "";
  }

  function render() {
    const stopped = fault !== "";
    ["form", "order", "search"].forEach(function (s) { el(s).hidden = stopped || s !== (screen === "order" && !order ? "" : screen); });
    el("stop").hidden = !stopped;
    if (stopped) { pay.text("stopTitle", word(fault)); pay.text("stopNext", word("badTokenNext")); }
    banner();
    const test = Boolean(view && view.test || caps && caps.test);
    pay.watermark(test);
    el("testbadge").hidden = !test;
    pay.text("till", view ? pay.say(view.title) || view.till : pay.setting("till"));
    pay.text("who", pay.setting("operator_name") || pay.setting("operator_id"));
    if (screen === "form") {
      const n = el("formNotice");
      const t = notice.charAt(0) === "\n" ? notice.slice(1) : notice ? word(notice) : "";
      if (n.textContent !== t) { n.textContent = t; }
      n.hidden = !t;
      el("queueIt").hidden = !refused;
      queue.draw(view, queueNote, busy, queued);
      document.querySelectorAll("#form button").forEach(function (b) { b.disabled = busy; });
    }
    if (screen === "order" && order) { drawOrder(); }
  }

  function drawOrder() {
    if (paidAt && seconds(paidAt) >= hold) { leave(); return; }
    const front = view && view.order && view.order.out_trade_no === order.out_trade_no;
    const s = {
      order: order, view: view, found: found, fresh: fresh(), since: orderAt ? seconds(orderAt) : 0, act: act,
      patient: front && !found ? pay.say(view.patient) : "",
      closesIn: paidAt ? Math.max(0, Math.ceil(hold - seconds(paidAt))) : -1,
      note: orderNote || (front && view.note ? pay.sentences(pay.say(view.note.cashier), pay.say(view.note.next_action)) : "")
    };
    const shape = ui.shape(s);
    if (shape !== shaped && !refunding) {
      const at = document.activeElement && document.activeElement.getAttribute("data-act");
      ui.draw(el("order"), s);
      shaped = shape;
      // What was in focus stays so, else the main button is. Never one that
      // cancels or gives money back: Enter may come from a scanner.
      const same = at && document.querySelector('#order [data-act="' + at + '"]:not(.danger)');
      const main = document.querySelector("#order button.main");
      const next = main && s.order.state === "queued" ? main : same || main || document.querySelector("#order .state");
      next.focus({ preventScroll: true });
    } else { ui.tick(s); }
  }

  // ---- start ----

  function relabel() { pay.translate(); choices(); shaped = ""; render(); document.title = word("title"); pay.text("s_label", word({ bill: "byBill", order: "byOrder", trade: "byTrade" }[el("s_by").value])); }

  el("form").addEventListener("input", function () { edited = true; });
  el("gosearch").addEventListener("click", openSearch);
  el("larger").addEventListener("click", function () { pay.size(true); });
  el("language").addEventListener("click", function () { pay.setLang(pay.getLang() === "en" ? "zh" : "en"); relabel(); });
  el("clear").addEventListener("click", function () { empty(); notice = ""; queueNote = ""; refused = null; attempt = { key: "", body: "" }; render(); form.focus(); });
  el("queueIt").addEventListener("click", function () { if (refused) { send(refused, true); } });
  el("goqueue").addEventListener("click", queue.enter);
  el("gounbooked").addEventListener("click", openUnbooked);
  el("s_go").addEventListener("click", search);
  el("s_back").addEventListener("click", closeSearch);
  el("s_by").addEventListener("change", relabel);
  el("f_order_type").addEventListener("change", choices);
  window.addEventListener("hashchange", function () { const p = pay.takeFragment(); caps = null; if (screen === "form") { fill(p); } wake(); });
  window.addEventListener("pageshow", function (e) { if (e.persisted) { wake(); } });

  pay.size(false);
  if (personal) { fill(personal); personal = null; }
  if (no) { found = pay.setting("found") === "1"; screen = "order"; }
  relabel();
  form.focus();
  window.payKeys({
    screen: function () { return screen; },
    refunding: function () { return refunding !== null; },
    openSearch: openSearch, closeSearch: closeSearch, search: search, sendRefund: sendRefund,
    stepQueue: queue.step, openUnbooked: openUnbooked,
    closeRefund: function () { openRefund(); shaped = ""; render(); }
  });
  setInterval(render, 500);
  wake();
  pay.events(wake);
})();
