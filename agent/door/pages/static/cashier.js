"use strict";
// The cashier's page: the seed's first screen, then the order's states. It is
// worked by keyboard alone; every key is written on its button.
(function () {
  const pay = window.pay;
  const ui = window.payOrder;
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
        if (screen === "form" && !edited) { focusForm(); }
      }
    }
    const till = pay.setting("till");
    if (!till) { if (caps) { fault = "noTill"; } render(); return; }
    if (seconds(readyAt) > 5) {
      readyAt = performance.now();
      const r = await pay.call("GET", "/readyz");
      ready = r.data && Array.isArray(r.data.reasons) ? r.data : null;
    }
    const a = await pay.call("GET", "/v1/tills/" + encodeURIComponent(till));
    if (a.status === 401) { fault = "badToken"; render(); return; }
    if (a.status === 403 || a.status === 404) { fault = "noRight"; render(); return; }
    fault = "";
    if (a.ok) {
      view = a.data;
      heard = performance.now();
      const front = view.order;
      // An order that HIS or another page made for this till appears by itself.
      if (!no && front && !ui.final(front) && front.out_trade_no !== closed && screen !== "search") { attach(front.out_trade_no, false); }
      if (!no && front && !ui.final(front)) { closed = front.out_trade_no === closed ? closed : ""; }
    }
    if (no) {
      const mine = no;
      const asked = performance.now();
      const b = await pay.call("GET", "/v1/orders/" + encodeURIComponent(mine));
      if (mine === no) {
        if (b.ok) { order = b.data; orderAt = asked; } else if (b.status === 404 || b.status === 403) { leave(); }
      }
    }
    if (order && order.state === "paid" && !found) {
      if (!paidAt) { paidAt = performance.now(); }
    } else { paidAt = 0; }
    render();
  }
  const wake = pay.loop(ask, function () { return order && !ui.final(order) ? 1000 : 3000; });

  // ---- attaching and leaving ----

  function attach(number, byHand) {
    no = number;
    found = byHand;
    order = null; orderAt = 0; paidAt = 0; orderNote = ""; refunding = null; shaped = "";
    screen = "order";
    pay.remember("order", number);
    pay.remember("found", byHand ? "1" : "");
  }

  // leave goes back to the first screen. An order whose bill may be tried
  // again leaves its bill and amount in the form.
  function leave(offer) {
    const o = order;
    if (o && !found) { closed = o.out_trade_no; pay.remember("closed", closed); }
    const again = Boolean(offer && o && !found && ui.allowed(o, "retry"));
    no = ""; order = null; orderNote = ""; refunding = null; shaped = ""; paidAt = 0;
    pay.remember("order", ""); pay.remember("found", "");
    attempt = { key: "", body: "" };
    refused = null;
    screen = "form";
    notice = "";
    el("order").replaceChildren();
    if (again) {
      el("f_bill").value = o.bill || el("f_bill").value;
      if (Number.isSafeInteger(o.amount_fen)) { el("f_amount").value = pay.yuan(o.amount_fen); }
      if (o.order_type) { el("f_order_type").value = o.order_type; }
      notice = "rescan";
    } else if (o && !found) { empty(); }
    render();
    focusForm(again ? o.channel : "");
  }

  function empty() {
    textFields.forEach(function (f) { el("f_" + f).value = ""; });
    el("f_amount").value = "";
    extra = {};
    document.querySelectorAll(".bad").forEach(function (e) { e.classList.remove("bad"); });
  }

  // ---- the form ----

  function fill(p) {
    if (Object.keys(p).length === 0) { return; }
    empty();
    textFields.forEach(function (f) { if (p[f]) { el("f_" + f).value = p[f]; } });
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

  function focusForm(channel) {
    const b = channel && document.querySelector('[data-channel="' + channel + '"]');
    document.querySelectorAll("[data-channel]").forEach(function (e) { e.classList.toggle("suggested", e === b); });
    if (b) { b.focus(); return; }
    const inputs = Array.from(document.querySelectorAll("#form input"));
    const next = inputs.find(function (i) { return i.value === "" && ["f_bill", "f_amount", "f_name"].indexOf(i.id) >= 0; });
    if (next) { next.focus(); } else { const first = document.querySelector("[data-channel]"); if (first) { first.focus(); } }
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
    b.subject = extra.subject || window.payWords[b.order_type] && window.payWords[b.order_type][0] || b.order_type;
    if (extra.memo) { b.memo = extra.memo; }
    const patient = {};
    ["name", "card_no", "card_type", "admission_no"].forEach(function (f) { if (v(f)) { patient[f] = v(f); } });
    if (extra.phone) { patient.phone = extra.phone; }
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
    document.querySelectorAll(".bad").forEach(function (e) { e.classList.remove("bad"); });
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
      attach(a.data.out_trade_no, false);
      order = a.data; orderAt = performance.now();
    } else if (a.status === 0 || a.status >= 500 && !(a.data && a.data.code)) {
      notice = "unsure";
    } else {
      const p = a.data || {};
      notice = "\n" + problem(a) + (p.safe_to_take_cash && pay.say(p.safe_to_take_cash.say) ? "\n" + pay.say(p.safe_to_take_cash.say) : "");
      if (p.code === "platform_unreachable") { refused = channel; }
      const field = p.field && String(p.field).split(".").pop();
      const input = field && el(field === "amount_fen" ? "f_amount" : "f_" + field);
      if (input) { input.classList.add("bad"); input.focus(); }
      if (p.order && p.order.out_trade_no) { attach(p.order.out_trade_no, true); orderNote = problem(a); }
      if (a.status !== 503) { attempt = { key: "", body: "" }; }
    }
    render();
    wake();
  }

  // ---- an order's buttons ----

  async function act(name) {
    if (busy || !order) { return; }
    if (name === "close") { leave(!found); return; }
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

  function disable(on) { document.querySelectorAll("#order button").forEach(function (b) { b.disabled = on; }); }

  function openRefund() {
    const box = el("o_refund");
    if (!box) { return; }
    if (refunding) { refunding = null; box.hidden = true; box.replaceChildren(); return; }
    refunding = { key: "", body: "" };
    const rest = Number.isSafeInteger(order.refundable_fen) ? order.refundable_fen : null;
    const sum = pay.h("input", { id: "r_sum", inputmode: "decimal", maxlength: "13", autocomplete: "off" });
    if (rest !== null) { sum.value = pay.yuan(rest); }
    box.replaceChildren(pay.h("div", { "class": "refund" },
      pay.h("label", {}, word("refundSum"), sum),
      pay.h("label", {}, word("refundReason"), pay.h("input", { id: "r_reason", maxlength: "64", autocomplete: "off" })),
      // Money is given back by somebody with a name.
      operator() ? null : pay.h("label", {}, word("operatorNo"), pay.h("input", { id: "r_operator", maxlength: "32", autocomplete: "off" })),
      pay.h("p", { id: "r_note", role: "alert" }, rest === null ? "" : word("refundLeft", { n: pay.yuan(rest) })),
      pay.h("button", { type: "button", "class": "danger", id: "r_go", onclick: sendRefund }, word("refundDo"), pay.h("kbd", {}, "Enter"))));
    box.hidden = false;
    sum.focus();
    sum.select();
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
    if (mine !== no || !refunding) { return; }
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
    if (!no) { focusForm(); }
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
    el("s_list").replaceChildren.apply(el("s_list"), orders.map(function (o) {
      return pay.h("button", { type: "button", "data-order": o.out_trade_no, onclick: function () { attach(o.out_trade_no, true); order = o; orderAt = performance.now(); render(); wake(); } },
        pay.h("span", {}, o.out_trade_no), pay.h("span", {}, pay.say(o.state_text)), pay.h("b", {}, "￥" + pay.yuan(o.amount_fen)));
    }));
    const first = document.querySelector("#s_list button");
    if (first) { first.focus(); }
  }

  // ---- drawing ----

  function banner() {
    const lines = [];
    if (!heard || seconds(heard) > 3) { if (performance.now() > 3000 || heard) { lines.push(word("noService") + "。" + word("noServiceNext")); } }
    (ready ? ready.reasons : []).forEach(function (r) {
      lines.push([pay.say(r.say), r.name].filter(Boolean).join(" · ") + "。" + pay.say(r.next_action));
    });
    if (view && view.online === false && lines.length === 0) { lines.push(word("offline")); }
    if (view && view.queued > 0) { lines.push(word("queuedCount", { n: view.queued })); }
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
      note: orderNote || (front && view.note ? [pay.say(view.note.cashier), pay.say(view.note.next_action)].filter(Boolean).join("。") : "")
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

  function size(step) {
    let n = parseInt(window.localStorage.getItem("pay.size") || "2", 10);
    n = step ? n % 3 + 1 : Math.min(3, Math.max(1, n || 2));
    window.localStorage.setItem("pay.size", String(n));
    document.documentElement.className = document.documentElement.className.replace(/size-\d/, "size-" + n);
  }
  function relabel() { pay.translate(); choices(); shaped = ""; render(); document.title = word("title"); pay.text("s_label", word({ bill: "byBill", order: "byOrder", trade: "byTrade" }[el("s_by").value])); }

  el("form").addEventListener("input", function () { edited = true; });
  el("gosearch").addEventListener("click", openSearch);
  el("larger").addEventListener("click", function () { size(true); });
  el("language").addEventListener("click", function () { pay.setLang(pay.getLang() === "en" ? "zh" : "en"); relabel(); });
  el("clear").addEventListener("click", function () { empty(); notice = ""; refused = null; attempt = { key: "", body: "" }; render(); focusForm(); });
  el("queueIt").addEventListener("click", function () { if (refused) { send(refused, true); } });
  el("s_go").addEventListener("click", search);
  el("s_back").addEventListener("click", closeSearch);
  el("s_by").addEventListener("change", relabel);
  el("f_order_type").addEventListener("change", choices);
  window.addEventListener("hashchange", function () { const p = pay.takeFragment(); caps = null; if (screen === "form") { fill(p); } wake(); });
  window.addEventListener("pageshow", function (e) { if (e.persisted) { wake(); } });

  size(false);
  if (personal) { fill(personal); personal = null; }
  if (no) { found = pay.setting("found") === "1"; screen = "order"; }
  relabel();
  focusForm();
  window.payKeys({
    screen: function () { return screen; },
    refunding: function () { return refunding !== null; },
    openSearch: openSearch, closeSearch: closeSearch, search: search, sendRefund: sendRefund,
    closeRefund: function () { openRefund(); shaped = ""; render(); }
  });
  setInterval(render, 500);
  wake();
  pay.events(wake);
})();
