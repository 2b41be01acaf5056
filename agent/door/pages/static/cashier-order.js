"use strict";
// How an order looks on the cashier's screen. Everything said about state and
// money is the agent's; this file lays it out.
(function () {
  const pay = window.pay;
  const h = pay.h;
  const word = pay.word;

  const finals = ["paid", "failed", "canceled"];
  function final(o) { return finals.indexOf(o.state) >= 0; }
  function allowed(o, action) { return (o.actions_allowed || []).indexOf(action) >= 0; }

  // left is what remains of a number of seconds that was true when the answer
  // arrived.
  function left(seconds, since) { return Math.max(0, Math.ceil(seconds - since)); }

  // times are the sentences that change every second.
  function times(o, view, since, closesIn) {
    const out = [];
    const has = function (k) { return typeof o[k] === "number"; };
    if (o.state === "paid" && closesIn >= 0) { out.push(word("closesIn", { n: closesIn })); }
    if (final(o)) { return out; }
    if (o.state === "waiting" && has("acts_in_s")) { out.push(word("waitEnds", { n: left(o.acts_in_s, since) })); }
    if (o.state === "queued") {
      if (has("valid_for_s")) { out.push(word("queueEnds", { n: left(o.valid_for_s, since) })); }
      out.push(word(view && view.online ? "online" : "offlineQueued"));
    }
    if (o.cancel_requested) {
      const n = has("cancel_in_s") ? left(o.cancel_in_s, since) : 0;
      out.push(n > 0 ? word("cancelIn", { n: n }) : word("cancelSoon"));
    } else if (o.state === "paying") {
      if (has("buttons_in_s") && left(o.buttons_in_s, since) > 0 && !allowed(o, "check")) { out.push(word("buttonsIn", { n: left(o.buttons_in_s, since) })); }
      if (has("acts_in_s")) { out.push(word("autoCancelIn", { n: left(o.acts_in_s, since) })); }
    }
    return out;
  }

  // cash is the verdict, always in sight. An answer that is not fresh says no.
  function cash(o, since, fresh) {
    const s = o.safe_to_take_cash || {};
    if (!fresh || ["yes", "no", "wait"].indexOf(s.answer) < 0) { return { kind: "no", big: word("noCash"), why: word("cashUnknown") }; }
    if (s.answer === "yes") { return { kind: "yes", big: word("canTakeCash"), why: pay.say(s.say) }; }
    if (s.answer === "wait") { 
      // One number only, and it runs: the agent's sentence has the seconds of
      // the moment it was written.
      const n = left(s.wait_s || 0, since);
      return { kind: "wait", big: n > 0 ? word("waitCash", { n: n }) : word("waitCashSoon"), why: word("waitWhy") };
    }
    return { kind: "no", big: word("noCash"), why: pay.say(s.say) };
  }

  // next is what to do. While a charge is under way the seconds until the
  // buttons stand in times; the agent's sentence has a fixed number of them.
  function next(o) {
    if (o.state !== "paying" || o.mode === "present") { return pay.say(o.next_action); }
    if (o.cancel_requested) { return ""; }
    return word(allowed(o, "check") ? "askThenAct" : "askPassword");
  }

  function sum(fen) {
    const big = h("div", { "class": "sum" }, "￥" + pay.yuan(fen) + " ");
    big.append(h("small", {}, word("yuan")));
    return big;
  }

  // when writes a time as the agent gave it (UTC+8), whatever zone this
  // machine believes in.
  function when(t) { return String(t || "").slice(0, 19).replace("T", " "); }

  function channelName(c) { return window.payWords[c] ? word(c) : c || ""; }

  function facts(o, patient) {
    const list = h("dl", { "class": "facts" });
    const row = function (key, value, long) {
      if (!value) { return; }
      list.append(h("dt", { "class": long ? "long" : "" }, word(key)), h("dd", { "class": long ? "long" : "" }, String(value)));
    };
    row("patient", patient);
    row("bill", o.bill);
    row("orderNo", o.out_trade_no);
    row("tradeNo", o.trade_no);
    row("channel", channelName(o.channel));
    row("orderType", window.payWords[o.order_type] ? word(o.order_type) : o.order_type);
    row("operator", o.operator && (o.operator.name || o.operator.id));
    row("till", o.till);
    row("createdAt", when(o.created_at));
    row("paidAt", o.paid_at && when(o.paid_at) + (o.paid_at_clock ? "（" + word(o.paid_at_clock === "platform" ? "platformClock" : "localClock") + "）" : ""));
    row("buyer", o.buyer);
    row("platformSays", [o.platform_message, o.platform_code].filter(Boolean).join(" · "), true);
    (o.refunds || []).forEach(function (r) {
      row("refund", pay.yuan(r.amount_fen) + " " + word("yuan") + " · " + pay.say(r.state_text) + " · " + r.refund_no + (r.platform_message ? " · " + r.platform_message : ""), true);
    });
    if (o.refunded_fen > 0) { row("refunded", pay.yuan(o.refunded_fen) + " " + word("yuan")); }
    return list;
  }

  // buttons are those that the agent allows, and closing, which concerns only
  // this page. act(name) is called with what was pressed.
  function buttons(o, view, found, act) {
    const row = h("div", { "class": "acts card wide" });
    const add = function (name, key, label, kind) {
      row.append(h("button", { type: "button", "class": kind || "", "data-act": name, onclick: function () { act(name); } },
        word(label) + " ", h("kbd", {}, key)));
    };
    if (o.state === "queued" && allowed(o, "confirm") && view && view.online) { add("confirm", "Enter", "confirm", "main"); }
    if (allowed(o, "check")) { add("check", "F8", "check", "main"); }
    if (allowed(o, "cancel") && !o.cancel_requested) { add("cancel", "F9", "cancel", "danger"); }
    if (allowed(o, "detach")) { add("detach", "F4", "detach"); }
    if (allowed(o, "refund")) { add("refund", "F2", "refund", "danger"); }
    if (final(o) && !found && allowed(o, "retry")) { add("again", "Enter", "again", "main"); }
    if (final(o) || found || o.state === "queued") { add("close", "Esc", "close", o.state === "paid" && !found ? "main" : ""); }
    return row;
  }

  // draw builds the screen. s: {order, view, patient, found, fresh, since,
  // closesIn, note, act}.
  function draw(box, s) {
    const o = s.order;
    const state = h("div", { "class": "card state " + o.state, "data-state": o.state, tabindex: "-1" },
      h("h2", { id: "o_state" }, pay.say(o.state_text)), sum(o.amount_fen));
    const verdict = h("div", { "class": "card cash", id: "o_cash", role: "status" }, h("strong", { id: "o_cashBig" }), h("p", { id: "o_cashWhy" }));
    state.append(h("p", { id: "o_message" }), h("p", { id: "o_next" }), h("p", { id: "o_note", "class": "note", role: "alert" }), h("p", { id: "o_time", "class": "time" }));
    box.replaceChildren(state, verdict, buttons(o, s.view, s.found, s.act), h("div", { "class": "card wide", id: "o_refund", hidden: true }), h("div", { "class": "card wide" }, facts(o, s.patient)));
    tick(s);
  }

  // tick writes what changes without a new look.
  function tick(s) {
    const o = s.order;
    const put = function (id, t) { pay.text(id, t || ""); const e = pay.el(id); if (e) { e.hidden = !t; } };
    const said = pay.say(o.message);
    put("o_message", said === pay.say(o.state_text) ? "" : said);
    put("o_next", next(o));
    put("o_note", s.note);
    put("o_time", times(o, s.view, s.since, s.closesIn).join(pay.getLang() === "en" ? ". " : "；"));
    const c = cash(o, s.since, s.fresh);
    const box = pay.el("o_cash");
    if (box) {
      box.className = "card cash " + c.kind;
      pay.text("o_cashBig", c.big);
      pay.text("o_cashWhy", c.why);
    }
  }

  // shape changes when the screen must be built anew.
  function shape(s) {
    const o = s.order;
    return JSON.stringify([pay.getLang(), o.out_trade_no, o.rev, o.state, o.state_text, o.actions_allowed, o.cancel_requested, o.refunds, s.found, s.patient, s.view && s.view.online]);
  }

  window.payOrder = { draw: draw, tick: tick, shape: shape, final: final, allowed: allowed, channelName: channelName };
})();
