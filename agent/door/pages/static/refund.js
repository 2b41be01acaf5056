"use strict";
// The refund desk: a payment is found by what stands on a receipt, looked at,
// and given back to where it came from. It is worked by keyboard alone; every
// key is written on its button.
(function () {
  const pay = window.pay;
  const ui = window.payCase;
  const word = pay.word;
  const el = pay.el;
  const h = pay.h;

  const tabs = { desk: "refund", await: "refund", doubt: "resolve" }; // and the scope each needs
  const fromHIS = pay.takeFragment();
  let caps = null;
  let fault = "";
  let heard = 0;
  let screen = pay.setting("desk_tab") || "desk";
  let busy = false;
  let no = pay.setting("desk_order"); // the order that is looked at
  let order = null;
  let found = null;   // a payment at the platform: {query, data}
  let query = read("desk_query");     // the question that found it, for a reload
  let attempt = read("desk_attempt"); // {no, text, key}: a refund whose answer is not known
  let noted = "";     // the refund of which the notice speaks
  let drawn = "";
  let formOf = "";
  const twice = ui.sure();

  // read gives back what was kept for a reload; nothing personal is kept.
  function read(k) { try { return JSON.parse(pay.setting(k) || "null"); } catch (e) { return null; } }
  function keep(k, v) { pay.remember(k, v ? JSON.stringify(v) : ""); }
  function allows(scope) { return Boolean(caps && caps.token && caps.token.scopes.indexOf(scope) >= 0); }
  function problem(a) { return a.status === 0 ? word("noService") : pay.problem(a, "cashier"); }

  // operator is who sits here; without one nothing that counts is done.
  function operator() {
    const id = el("operator").value.trim();
    el("operator").classList.toggle("bad", !id);
    if (!id) { el("operator").focus(); return null; }
    const o = { id: id };
    if (id === pay.setting("operator_id")) { if (pay.setting("operator_name")) { o.name = pay.setting("operator_name"); } } else { pay.remember("operator_id", id); pay.remember("operator_name", ""); }
    return o;
  }

  // ---- asking the agent ----

  async function ask() {
    if (!pay.setting("t")) { fault = "badToken"; render(); return; }
    if (!caps) {
      const c = await pay.call("GET", "/v1/capabilities");
      if (c.status === 401) { fault = "badToken"; render(); return; }
      if (!c.ok) { render(); return; }
      caps = c.data;
      heard = performance.now();
      fault = allows("refund") || allows("resolve") ? "" : "dNeeds";
      if (!allows(tabs[screen])) { screen = allows("refund") ? "desk" : "doubt"; }
      merchants();
      if (!fault) { show(screen); }
      if (!no && query) { look(query); }
      if (!no && !query && fromHIS.bill) { el("d_value").value = fromHIS.bill; search(); }
    }
    if (fault) { render(); return; }
    if (no) {
      const mine = no;
      const a = await pay.call("GET", "/v1/orders/" + encodeURIComponent(mine));
      if (mine === no) {
        if (a.ok) { order = a.data; heard = performance.now(); } else if (a.status === 404 || a.status === 403) { clear(); } else if (a.status === 401) { fault = "badToken"; }
      }
    }
    if (await window.payPeople.read()) { heard = performance.now(); }
    render();
  }
  const wake = pay.loop(ask, function () { return order && ui.underWay(order) > 0 || screen !== "desk" ? 1500 : 5000; });

  // merchants fills in whose payments can be asked for at a platform.
  function merchants() {
    const list = (caps.merchants || []).filter(function (m) { return m.lookup; });
    el("d_merchant").replaceChildren.apply(el("d_merchant"), list.map(function (m) { return h("option", { value: m.name }, m.name); }));
  }

  // ---- finding ----

  function clear(keepValue) {
    no = ""; order = null; found = null; query = null; drawn = ""; formOf = "";
    pay.remember("desk_order", ""); keep("desk_query", null);
    el("d_list").replaceChildren();
    el("d_case").replaceChildren();
    el("d_away").hidden = true;
    ui.note("d_notice", "");
    if (!keepValue) { el("d_value").value = ""; el("d_value").focus(); }
  }

  async function search() {
    const by = el("d_by").value;
    const value = el("d_value").value.trim();
    if (busy || !value) { return; }
    clear(true);
    if (by === "trade_end" && value.length !== 4) { ui.note("d_notice", word("dTailLong")); return; }
    busy = true;
    const a = await pay.call("GET", "/v1/orders?" + by + "=" + encodeURIComponent(value));
    busy = false;
    const list = a.ok && a.data ? (a.data.orders || []) : [];
    if (!a.ok) { ui.note("d_notice", problem(a)); return; }
    if (list.length === 0) {
      ui.note("d_notice", word("dNothing"));
      el("d_away").hidden = !(by === "trade" || by === "order") || el("d_merchant").options.length === 0;
      if (!el("d_away").hidden) { el("d_merchant").focus(); }
      return;
    }
    if (list.length === 1) { open(list[0]); return; }
    ui.note("d_notice", word("dMany", { n: list.length }));
    el("d_list").replaceChildren.apply(el("d_list"), list.map(function (o) { return ui.row(o, pay.say(o.state_text), o.amount_fen, function () { open(o); }); }));
    el("d_list").querySelector("button").focus();
  }

  // askAway asks the platform about a payment that is not in the books.
  function askAway() {
    const value = el("d_value").value.trim();
    if (busy || el("d_away").hidden || !value) { return; }
    const q = { merchant: el("d_merchant").value, mode: el("d_mode").value };
    q[el("d_by").value === "trade" ? "trade_no" : "order_no"] = value;
    look(q);
  }

  async function look(q) {
    busy = true; ui.note("d_notice", word("dAsking")); disable(true);
    const a = await pay.call("POST", "/v1/desk/lookup", q);
    busy = false; disable(false);
    if (!a.ok) { query = null; keep("desk_query", null); ui.note("d_notice", problem(a)); return; }
    if (a.data.order) { open(a.data.order); return; }
    found = { query: q, data: a.data };
    query = q; keep("desk_query", q);
    el("d_away").hidden = true;
    ui.note("d_notice", "");
    drawFound();
  }

  function open(o) {
    clear(true);
    no = o.out_trade_no;
    order = o;
    pay.remember("desk_order", no);
    render();
    wake();
  }

  // ---- a payment that is not in the books ----

  function drawFound() {
    const f = found.data;
    const can = f.status === "paid" && f.refundable_fen > 0;
    el("d_case").replaceChildren(h("div", { "class": "case" },
      h("div", { "class": "card" }, h("h2", { "class": "bad-text" }, word("dForeign")), ui.found(f)),
      h("div", { "class": "card" }, h("h2", {}, ui.named("dStatus_", f.status)), ui.sums(f.amount_fen, f.refunded_fen, 0, f.refundable_fen)[0], ui.sums(f.amount_fen, f.refunded_fen, 0, f.refundable_fen)[1],
        h("p", {}, word(can ? "dTakeHint" : "dNotPaid")), ui.buttons([can && { id: "d_take", label: "dTake", key: "F9", kind: "main", act: take }, { id: "d_next", label: "dNewSearch", key: "Esc", act: function () { clear(); } }]))));
    const b = el("d_take") || el("d_next");
    b.focus();
  }

  async function take() {
    const who = operator();
    if (!who) { ui.note("d_notice", word("dNoMe")); return; }
    if (busy || !found) { return; }
    const body = Object.assign({ operator: who }, found.query);
    if (pay.setting("till")) { body.till = pay.setting("till"); } else if (caps.tills.length > 0) { body.till = caps.tills[0].name; }
    busy = true; disable(true);
    const a = await pay.call("POST", "/v1/desk/adopt", body);
    busy = false; disable(false);
    if (!a.ok) { ui.note("d_notice", problem(a)); return; }
    open(a.data);
  }

  // ---- a payment in the books ----

  function head(o) {
    const text = o.state === "paid" && o.refunded_fen === o.amount_fen ? word("dAllBack") : o.booking ? pay.say(o.booking.text) : pay.say(o.state_text);
    return h("h2", { "data-state": o.state, "class": o.state === "paid" && !(o.booking && /back|split/.test(o.booking.stage)) ? "good-text" : "bad-text" }, text);
  }

  function drawCase() {
    const o = order;
    const key = JSON.stringify([pay.getLang(), o.out_trade_no, o.rev, o.refundable_fen, o.state_text, o.refunds, o.booking && o.booking.stage]);
    if (key === drawn) { return; }
    drawn = key;
    if (noted && !(o.refunds || []).some(function (r) { return r.refund_no === noted && r.state !== "done"; })) { noted = ""; ui.note("d_notice", ""); }
    if (!el("d_info")) {
      el("d_case").replaceChildren(h("div", { "class": "case" }, h("div", { "class": "card", id: "d_info" }), h("div", { "class": "card", id: "d_form" }), h("div", { "class": "wide", id: "d_lines" })));
    }
    const part = [o.foreign ? h("p", { "class": "bad-text" }, word("dForeign")) : null, head(o)].filter(Boolean);
    el("d_info").replaceChildren.apply(el("d_info"), part.concat(ui.sums(o.amount_fen, o.refunded_fen, ui.underWay(o), o.refundable_fen, o.state), [ui.facts(o)]));
    el("d_lines").replaceChildren.apply(el("d_lines"), [ui.lines(o)].filter(Boolean));
    const form = o.state === "paid" && (o.actions_allowed || []).indexOf("refund") >= 0 && o.refundable_fen > 0;
    const of = [form, o.out_trade_no, o.refundable_fen, pay.getLang()].join("|");
    if (of !== formOf) { formOf = of; drawForm(form); }
  }

  function drawForm(can) {
    const o = order;
    twice.forget(el("r_go"));
    const next = { id: "d_next", label: "dNewSearch", key: "Esc", act: function () { clear(); } };
    if (!can) {
      el("d_form").replaceChildren(h("p", {}, o.state !== "paid" ? word("dNotPaid") : word("dNoRest")), h("p", {}, pay.say(o.next_action)), ui.buttons([next]));
      el("d_next").focus();
      return;
    }
    const limit = caps && caps.limits && caps.limits.refund_alone_fen;
    const form = h("form", { novalidate: true });
    form.addEventListener("submit", function (e) { e.preventDefault(); });
    form.append(ui.field("dSum", h("input", { id: "r_sum", "class": "sum", inputmode: "decimal", maxlength: "13", autocomplete: "off", value: pay.yuan(o.refundable_fen) })),
      ui.field("dReason", h("input", { id: "r_reason", maxlength: "64", autocomplete: "off" })),
      h("p", {}, word("dOriginal")));
    if (limit > 0) { form.append(h("p", {}, word("dOver", { n: pay.yuan(limit) }))); }
    form.append(ui.buttons([{ id: "r_go", label: "dDo", key: "F9", kind: "danger", act: send }, next]));
    el("d_form").replaceChildren(form);
    form.addEventListener("input", function () { twice.forget(el("r_go")); });
    if (attempt && attempt.no === o.out_trade_no) { // the answer to it never came
      const b = JSON.parse(attempt.text);
      el("r_sum").value = pay.yuan(b.amount_fen);
      el("r_reason").value = b.reason;
      ui.note("d_notice", word("dUnsure"));
    }
    el(attempt && attempt.no === o.out_trade_no ? "r_go" : "r_sum").focus();
    if (document.activeElement === el("r_sum")) { el("r_sum").select(); }
  }

  async function send() {
    if (busy || !order || !el("r_go")) { return; }
    const who = operator();
    if (!who) { ui.note("d_notice", word("dNoMe")); return; }
    ui.note("d_notice", "");
    const sum = pay.fen(el("r_sum").value);
    const reason = el("r_reason").value.trim();
    const over = sum === null || sum > order.refundable_fen;
    // One that was asked for already may be more than what is left now.
    const again = attempt && attempt.no === order.out_trade_no && sum !== null && attempt.text === JSON.stringify({ amount_fen: sum, reason: reason, operator: who });
    el("r_sum").classList.toggle("bad", over && !again);
    el("r_reason").classList.toggle("bad", !reason);
    if (over && !again) { ui.note("d_notice", word("dBadSum", { n: pay.yuan(order.refundable_fen) })); el("r_sum").focus(); return; }
    if (!reason) { ui.note("d_notice", word("dBadReason")); el("r_reason").focus(); return; }
    const body = { amount_fen: sum, reason: reason, operator: who };
    const text = JSON.stringify(body);
    if (!twice.asked(el("r_go"), word("dSure", { n: pay.yuan(sum) }), order.out_trade_no + text)) { el("r_go").focus(); return; }
    // The same refund again keeps its key, over a reload too: it can never move
    // money twice.
    if (!again) { attempt = { no: order.out_trade_no, text: text, key: pay.freshKey() }; keep("desk_attempt", attempt); }
    const mine = attempt;
    busy = true; disable(true);
    const a = await pay.call("POST", "/v1/orders/" + encodeURIComponent(mine.no) + "/refunds", body, { "Idempotency-Key": mine.key });
    busy = false; disable(false);
    if (a.status === 0 || a.status === 503 || a.status >= 500 && !(a.data && a.data.code)) {
      ui.note("d_notice", a.status === 0 || !a.data ? word("dUnsure") : problem(a) + "\n" + word("dUnsure"));
      return;
    }
    attempt = null; keep("desk_attempt", null);
    if (!a.ok) { ui.note("d_notice", problem(a)); wake(); return; }
    if (no === mine.no) {
      order = a.data.order; drawn = ""; formOf = "";
      const waits = a.data.refund && a.data.refund.state === "awaiting";
      noted = a.data.refund ? a.data.refund.refund_no : "";
      ui.note("d_notice", word(waits ? "dWaits" : "dSent"), true);
    }
    render();
    wake();
  }

  // ---- drawing ----

  function disable(on) { document.querySelectorAll("main button").forEach(function (b) { b.disabled = on; }); }

  function show(name) {
    screen = name;
    pay.remember("desk_tab", name);
    Object.keys(tabs).forEach(function (t) {
      el(t).hidden = t !== name;
      el("tab_" + t).hidden = !allows(tabs[t]);
      el("tab_" + t).classList.toggle("on", t === name);
    });
    if (name === "desk") { if (!no && !found) { el("d_value").focus(); } } else { window.payPeople.enter(name); }
  }

  function tab(name) { if (!fault && caps && !el("tab_" + name).hidden) { show(name); render(); wake(); } }

  function render() {
    el("stop").hidden = !fault;
    if (fault) {
      Object.keys(tabs).forEach(function (t) { el(t).hidden = true; });
      pay.text("stopTitle", word(fault)); pay.text("stopNext", word("badTokenNext"));
    }
    const silent = (!heard || performance.now() - heard > 12000) && performance.now() > 3000;
    pay.text("banner", silent && !fault ? pay.sentences(word("noService"), word("noServiceNext")) : "");
    el("banner").hidden = !(silent && !fault);
    const test = Boolean(caps && caps.test);
    pay.watermark(test);
    el("testbadge").hidden = !test;
    if (!fault && screen === "desk" && order) { drawCase(); }
    if (!fault && caps) { window.payPeople.draw(screen); }
  }

  function relabel() {
    pay.translate();
    drawn = ""; formOf = "";
    pay.text("d_label", word({ bill: "byBill", flow: "dByFlow", trade_end: "dByTail", trade: "byTrade", order: "byOrder" }[el("d_by").value]));
    document.title = word("dTitle");
    if (found) { drawFound(); }
    window.payPeople.relabel();
    render();
  }

  // ---- keys ----

  function press(id) { const b = el(id); if (b && !b.disabled && !b.closest("[hidden]")) { b.click(); return true; } return false; }
  const keys = {
    F2: function () { tab("desk"); }, F3: function () { tab("await"); }, F4: function () { tab("doubt"); },
    F6: function () { askAway(); },
    F8: function () { window.payPeople.press("yes"); },
    F9: function () { if (screen === "desk") { if (!press("d_take")) { press("r_go"); } } else { window.payPeople.press("no"); } },
    Escape: function () { if (screen === "desk") { clear(); } else { window.payPeople.back(); } }
  };
  let swallow = false; // the Enter that is down has done its work and presses nothing more
  document.addEventListener("keypress", function (e) { if (e.key === "Enter" && swallow) { e.preventDefault(); } });
  document.addEventListener("keydown", function (e) {
    if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing) { return; }
    const t = e.target;
    if (e.key === "Enter") {
      swallow = t.tagName !== "BUTTON" || e.repeat;
      if (!swallow) { return; }
      e.preventDefault();
      if (e.repeat) { return; }
      if (t.id === "d_value" || t.id === "d_by") { search(); return; }
      if (t.closest("#d_away")) { askAway(); return; }
      const form = t.closest("form");
      if (!form || t.tagName === "BUTTON") { return; }
      const all = Array.from(form.querySelectorAll("input, select, textarea, button"));
      all[Math.min(all.indexOf(t) + 1, all.length - 1)].focus();
      return;
    }
    if ((e.key === "ArrowDown" || e.key === "ArrowUp") && t.tagName === "BUTTON" && t.closest(".list")) {
      const next = e.key === "ArrowDown" ? t.nextElementSibling : t.previousElementSibling;
      if (next) { next.focus(); }
      e.preventDefault();
      return;
    }
    if (!keys[e.key]) { return; }
    e.preventDefault();
    if (!e.repeat) { keys[e.key](); }
  });

  // ---- start ----

  Object.keys(tabs).forEach(function (t) { el("tab_" + t).addEventListener("click", function () { tab(t); }); });
  el("d_go").addEventListener("click", search);
  el("d_ask").addEventListener("click", askAway);
  el("d_by").addEventListener("change", relabel);
  el("larger").addEventListener("click", function () { pay.size(true); });
  el("language").addEventListener("click", function () { pay.setLang(pay.getLang() === "en" ? "zh" : "en"); relabel(); });
  el("operator").value = pay.setting("operator_id");
  el("operator").readOnly = Boolean(pay.setting("operator_name"));
  el("operator").addEventListener("input", function () { el("operator").classList.remove("bad"); });

  window.payDesk = { operator: operator, problem: problem, wake: wake, disable: disable, allows: allows, busy: function () { return busy; }, hold: function (on) { busy = on; disable(on); }, render: render };
  pay.size(false);
  relabel();
  setInterval(render, 500);
  wake();
})();
