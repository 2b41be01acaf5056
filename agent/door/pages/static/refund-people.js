"use strict";
// What needs a second person: refunds above the limit, and what is in doubt.
(function () {
  const pay = window.pay;
  const ui = window.payCase;
  const h = pay.h;
  const word = pay.word;
  const el = pay.el;

  // Two lists of the same make: what they ask for, and where they are drawn.
  const lists = {
    await: { state: "awaiting", scope: "refund", box: "a", none: "dAwaitNone", orders: [], at: "", drawn: "", formed: "" },
    doubt: { state: "in_doubt", scope: "resolve", box: "q", none: "dDoubtNone", orders: [], at: "", drawn: "", formed: "" }
  };
  const twice = { yes: ui.sure(), no: ui.sure() };
  let screen = "";

  // read asks for both lists; true if the agent answered.
  async function read() {
    let heard = false;
    for (const name of Object.keys(lists)) {
      const l = lists[name];
      if (!window.payDesk.allows(l.scope)) { continue; }
      const a = await pay.call("GET", "/v1/orders?state=" + l.state);
      if (a.ok && a.data) { l.orders = a.data.orders || []; heard = true; }
    }
    return heard;
  }

  // cases are what stands in a list: an order, and which of its refunds.
  function cases(name) {
    const out = [];
    lists[name].orders.forEach(function (o) {
      (o.refunds || []).forEach(function (r) {
        if (name === "await" ? r.state === "awaiting" : r.state === "in_doubt") { out.push({ id: o.out_trade_no + "/" + r.refund_no, o: o, r: r }); }
      });
      if (name === "doubt" && (o.state === "in_doubt" || o.booking && o.booking.stage === "insurance_split")) { out.push({ id: o.out_trade_no, o: o, r: null }); }
    });
    return out;
  }

  function chosen(name) { return cases(name).find(function (c) { return c.id === lists[name].at; }); }

  function choose(name, id) {
    lists[name].at = id;
    lists[name].formed = "";
    ui.note(lists[name].box + "_notice", "");
    draw(screen);
    const first = el(lists[name].box + "_case").querySelector("input, select, button");
    if (first) { first.focus(); }
  }

  function draw(now) {
    screen = now;
    Object.keys(lists).forEach(function (name) {
      const n = cases(name).length;
      pay.text("n_" + name, n > 0 ? String(n) : "");
    });
    if (!lists[now]) { return; }
    const l = lists[now];
    const all = cases(now);
    const key = JSON.stringify([pay.getLang(), l.at, all.map(function (c) { return [c.id, c.o.rev]; })]);
    if (key === l.drawn) { return; }
    l.drawn = key;
    const box = el(l.box + "_list");
    const had = document.activeElement && document.activeElement.getAttribute("data-case");
    box.replaceChildren.apply(box, all.length === 0 ? [h("p", { "class": "none" }, word(l.none))] : all.map(function (c) {
      const more = now === "await" ? ui.person(c.r.operator) + " · " + (c.r.reason || "") : c.r ? word("dAboutRefund", { no: c.r.refund_no, n: pay.yuan(c.r.amount_fen) }) : pay.say(c.o.message);
      const b = ui.row(c.o, more, c.r ? c.r.amount_fen : c.o.amount_fen, function () { choose(now, c.id); }, c.id === l.at);
      b.setAttribute("data-case", c.id);
      return b;
    }));
    box.querySelectorAll("button").forEach(function (b) { if (had && b.getAttribute("data-case") === had) { b.focus(); } });
    if (!l.at && document.activeElement === document.body && all.length > 0) { box.querySelector("button").focus(); }
    const c = chosen(now);
    const formed = c ? [c.id, c.o.resolution && c.o.resolution.state, pay.getLang()].join("|") : "";
    if (formed === l.formed && c) { return; }
    l.formed = formed;
    twice.yes.forget(null); twice.no.forget(null);
    el(l.box + "_case").replaceChildren.apply(el(l.box + "_case"), c ? [now === "await" ? approval(c) : resolution(c)] : []);
  }

  function form(list) {
    const f = h("form", { novalidate: true });
    f.addEventListener("submit", function (e) { e.preventDefault(); });
    list.forEach(function (x) { if (x) { f.append(x); } });
    f.addEventListener("input", function () { twice.yes.forget(el("p_yes")); twice.no.forget(el("p_no")); });
    return f;
  }

  function layout(c, title, right) {
    return h("div", { "class": "case" },
      h("div", { "class": "card" }, h("h2", { "class": c.o.state === "paid" ? "good-text" : "bad-text" }, pay.say(c.o.booking ? c.o.booking.text : c.o.state_text)), ui.sums(c.o.amount_fen, c.o.refunded_fen, ui.underWay(c.o), c.o.refundable_fen, c.o.state)[1], ui.facts(c.o)),
      h("div", { "class": "card" }, title, right),
      ui.lines(c.o) || "");
  }

  // ---- approval ----

  function approval(c) {
    return layout(c, h("div", { "class": "rest" }, word("dDo") + " ￥" + pay.yuan(c.r.amount_fen)), form([
      h("p", {}, word("dBy") + " " + ui.person(c.r.operator) + "：" + (c.r.reason || "—")),
      ui.field("dRemark", h("input", { id: "p_reason", maxlength: "64", autocomplete: "off" })),
      ui.buttons([{ id: "p_yes", label: "dYes", key: "F8", kind: "main", act: function () { decide(c, true); } }, { id: "p_no", label: "dNo", key: "F9", kind: "danger", act: function () { decide(c, false); } }])]));
  }

  async function decide(c, yes) {
    const who = window.payDesk.operator();
    if (!who) { ui.note("a_notice", word("dNoMe")); return; }
    const reason = el("p_reason").value.trim();
    if (!yes && !reason) { el("p_reason").classList.add("bad"); el("p_reason").focus(); ui.note("a_notice", word("dWhyNo")); return; }
    const b = el(yes ? "p_yes" : "p_no");
    twice[yes ? "no" : "yes"].forget(el(yes ? "p_no" : "p_yes"));
    if (!twice[yes ? "yes" : "no"].asked(b, yes ? word("dSureYes", { n: pay.yuan(c.r.amount_fen) }) : word("dSureNo"), c.id + reason)) { b.focus(); return; }
    await post("await", "/v1/orders/" + encodeURIComponent(c.o.out_trade_no) + "/refunds/" + encodeURIComponent(c.r.refund_no) + (yes ? "/approve" : "/decline"), { operator: who, reason: reason }, yes ? "dAgreed" : "dDeclined");
  }

  // ---- in doubt ----

  function resolution(c) {
    const r = c.o.resolution;
    const mine = r && r.state === "proposed" && (r.refund_no || "") === (c.r ? c.r.refund_no : "");
    const about = c.r ? word("dAboutRefund", { no: c.r.refund_no, n: pay.yuan(c.r.amount_fen) }) : word("dAboutOrder");
    if (mine) {
      return layout(c, h("h2", {}, word("dSays")), form([
        h("p", { "class": "rest" }, ui.named("dOut_", r.outcome)),
        h("p", {}, word("dAbout") + "：" + about), r.trade_no ? h("p", {}, word("tradeNo") + "：" + r.trade_no) : null,
        h("p", {}, word("dEvidence") + "：" + r.evidence), h("p", {}, word("dWhy") + "：" + r.reason), h("p", {}, word("dBy") + " " + ui.person(r.operator)),
        ui.field("dRemark", h("input", { id: "p_reason", maxlength: "64", autocomplete: "off" })),
        ui.buttons([{ id: "p_yes", label: "dConfirm", key: "F8", kind: "main", act: function () { confirm(c, true); } }, { id: "p_no", label: "dReject", key: "F9", kind: "danger", act: function () { confirm(c, false); } }])]));
    }
    const outcomes = c.r ? ["done", "refused"] : c.o.booking ? ["paid", "canceled"] : ["paid", "canceled", "failed"];
    const select = h("select", { id: "p_outcome" }, h("option", { value: "" }, ""));
    outcomes.forEach(function (x) { select.append(h("option", { value: x }, ui.named("dOut_", x))); });
    return layout(c, h("h2", {}, pay.say(c.o.message)), form([
      h("p", {}, word("dAbout") + "：" + about),
      ui.field("dOutcome", select),
      c.r ? null : ui.field("tradeNo", h("input", { id: "p_trade", maxlength: "64", autocomplete: "off" })),
      ui.field("dEvidence", h("textarea", { id: "p_evidence", maxlength: "160", rows: "2", placeholder: word("dEvidenceHint") })),
      ui.field("dWhy", h("input", { id: "p_reason", maxlength: "64", autocomplete: "off" })),
      ui.buttons([{ id: "p_yes", label: "dPropose", key: "F8", kind: "main", act: function () { propose(c); } }])]));
  }

  async function propose(c) {
    const who = window.payDesk.operator();
    if (!who) { ui.note("q_notice", word("dNoMe")); return; }
    const v = function (id) { return el(id) ? el(id).value.trim() : ""; };
    const b = { outcome: v("p_outcome"), evidence: v("p_evidence").replace(/\s+/g, " "), reason: v("p_reason"), operator: who };
    if (v("p_trade")) { b.trade_no = v("p_trade"); }
    if (c.r) { b.refund_no = c.r.refund_no; }
    let missing = "";
    ["p_outcome", "p_evidence", "p_reason"].forEach(function (id) { const bad = !v(id); el(id).classList.toggle("bad", bad); if (bad && !missing) { missing = id; } });
    if (missing) { el(missing).focus(); ui.note("q_notice", word("dBadEvidence")); return; }
    await post("doubt", "/v1/orders/" + encodeURIComponent(c.o.out_trade_no) + "/resolution", b, "dProposed");
  }

  async function confirm(c, yes) {
    const who = window.payDesk.operator();
    if (!who) { ui.note("q_notice", word("dNoMe")); return; }
    const reason = el("p_reason").value.trim();
    if (!yes && !reason) { el("p_reason").classList.add("bad"); el("p_reason").focus(); ui.note("q_notice", word("dWhyNo")); return; }
    const b = el(yes ? "p_yes" : "p_no");
    if (!twice[yes ? "yes" : "no"].asked(b, yes ? word("dSureConfirm", { w: ui.named("dOut_", c.o.resolution.outcome) }) : word("dSureNo"), c.id + reason)) { b.focus(); return; }
    await post("doubt", "/v1/orders/" + encodeURIComponent(c.o.out_trade_no) + "/resolution/" + (yes ? "confirm" : "reject"), { operator: who, reason: reason }, yes ? "dConfirmed" : "dRejected");
  }

  async function post(name, path, body, said) {
    if (window.payDesk.busy()) { return; }
    window.payDesk.hold(true);
    const a = await pay.call("POST", path, body);
    window.payDesk.hold(false);
    const l = lists[name];
    if (a.ok) { l.formed = ""; l.drawn = ""; if (said !== "dProposed") { l.at = ""; } }
    if (a.ok && a.data && a.data.out_trade_no) { l.orders = l.orders.map(function (o) { return o.out_trade_no === a.data.out_trade_no ? a.data : o; }); }
    draw(screen);
    ui.note(l.box + "_notice", a.ok ? word(said) : window.payDesk.problem(a), a.ok);
    window.payDesk.wake();
  }

  // enter comes to a list; back leaves what is chosen there.
  function enter(name) {
    lists[name].drawn = "";
    draw(name);
    const first = el(lists[name].box + "_list").querySelector("button");
    if (first && !lists[name].at) { first.focus(); }
  }
  function back() {
    const l = lists[screen];
    if (!l) { return; }
    const at = l.at;
    l.at = ""; l.formed = "";
    ui.note(l.box + "_notice", "");
    draw(screen);
    const b = Array.from(el(l.box + "_list").querySelectorAll("button")).find(function (x) { return x.getAttribute("data-case") === at; }) || el(l.box + "_list").querySelector("button");
    if (b) { b.focus(); }
  }
  function press(which) { const b = el("p_" + which); if (b && !b.disabled && !b.closest("[hidden]")) { b.click(); } }
  function relabel() { Object.keys(lists).forEach(function (n) { lists[n].drawn = ""; lists[n].formed = ""; }); }

  window.payPeople = { read: read, draw: draw, enter: enter, back: back, press: press, relabel: relabel };
})();
