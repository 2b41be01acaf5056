"use strict";
// How an order looks on the cashier's screen. Everything said about state and
// money is the agent's; this file lays it out.
(function () {
  const pay = window.pay;
  const h = pay.h;
  const word = pay.word;

  const finals = ["paid", "failed", "canceled"];
  function final(o) { return finals.indexOf(o.state) >= 0; }
  // stage is how far a paid order is in HIS's books; empty where HIS has nothing
  // to do with it.
  function stage(o) { return o.booking && o.booking.stage || ""; }

  // done tells that nothing is to be waited for any more: paid is not done,
  // booked is.
  function done(o) { return final(o) && ["", "booked", "given_back"].indexOf(stage(o)) >= 0; }

  // look is the colour of a state: green only what is done and well.
  function look(o) { return { pending: "pending", pending_long: "in_doubt", going_back: "in_doubt", back_in_doubt: "failed", insurance_split: "in_doubt", given_back: "canceled" }[stage(o)] || o.state; }
  function title(o) { return stage(o) ? pay.say(o.booking.text) : pay.say(o.state_text); }

  function allowed(o, action) { return (o.actions_allowed || []).indexOf(action) >= 0; }

  // left is what remains of a number of seconds that was true when the answer
  // arrived.
  function left(seconds, since) { return Math.max(0, Math.ceil(seconds - since)); }

  // times are the sentences that change every second.
  function times(o, view, since, closesIn) {
    const out = [];
    const has = function (k) { return typeof o[k] === "number"; };
    if (o.state === "paid" && closesIn >= 0) { out.push(word("closesIn", { n: closesIn })); }
    if (stage(o) === "pending" && typeof o.booking.prompt_in_s === "number") {
      const n = left(o.booking.prompt_in_s, since);
      if (n > 0) { out.push(word("bookIn", { n: n })); }
    }
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
      return { kind: "wait", big: n > 0 ? word("waitCash", { n: n }) : word("waitCashSoon"), why: word(s.reason === "cash_reversing" ? "waitBack" : "waitWhy") };
    }
    return { kind: "no", big: word("noCash"), why: pay.say(s.say) };
  }

  // next is what to do. While a charge is under way the seconds until the
  // buttons stand in times; the agent's sentence has a fixed number of them.
  function next(o) {
    if (o.state !== "paying" || o.mode !== "charge") { return pay.say(o.next_action); }
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
    row("hisFlow", o.booking && o.booking.his_flow_id);
    row("hisWhy", o.booking && o.booking.reason, true);
    row("platformSays", [o.platform_message, o.platform_code].filter(Boolean).join(" · "), true);
    (o.refunds || []).forEach(function (r) {
      row("refund", pay.yuan(r.amount_fen) + " " + word("yuan") + " · " + pay.say(r.state_text) + " · " + r.refund_no + (r.platform_message ? " · " + r.platform_message : ""), true);
    });
    if (o.refunded_fen > 0) { row("refunded", pay.yuan(o.refunded_fen) + " " + word("yuan")); }
    return list;
  }

  // progress shows how far the money is on its way back, in three steps.
  function progress(o) {
    const at = { going_back: 1, given_back: 2, back_in_doubt: 1 }[stage(o)];
    if (at === undefined) { return null; }
    const list = h("ol", { "class": "progress", id: "o_progress" });
    ["backSaid", at === 1 && stage(o) === "back_in_doubt" ? "backDoubt" : "backOn", "backDone"].forEach(function (key, i) {
      list.append(h("li", { "class": i < at || at === 2 ? "past" : i === at ? stage(o) === "back_in_doubt" ? "now bad" : "now" : "" }, word(key)));
    });
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
    if (final(o) || found || o.state === "queued") { add("close", "Esc", "close", o.state === "paid" && done(o) && !found && !allowed(o, "retry") ? "main" : ""); }
    return row;
  }

  // draw builds the screen. s: {order, view, patient, found, fresh, since,
  // closesIn, note, act}.
  function draw(box, s) {
    const o = s.order;
    const state = h("div", { "class": "card state " + look(o), "data-state": o.state, "data-stage": stage(o), tabindex: "-1" },
      h("h2", { id: "o_state" }, title(o)), sum(o.amount_fen), progress(o));
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
    put("o_message", said === title(o) ? "" : said);
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
    return JSON.stringify([pay.getLang(), o.out_trade_no, o.rev, o.state, o.state_text, o.actions_allowed, o.cancel_requested, o.refunds, s.found, s.patient, s.view && s.view.online, stage(o)]);
  }

  // refundForm fills the form by which money is given back, and comes to the
  // field of the sum.
  function refundForm(box, o, operator, send) {
    const rest = Number.isSafeInteger(o.refundable_fen) ? o.refundable_fen : null;
    const sum = h("input", { id: "r_sum", inputmode: "decimal", maxlength: "13", autocomplete: "off" });
    if (rest !== null) { sum.value = pay.yuan(rest); }
    box.replaceChildren(h("div", { "class": "refund" },
      h("label", {}, word("refundSum"), sum),
      h("label", {}, word("refundReason"), h("input", { id: "r_reason", maxlength: "64", autocomplete: "off" })),
      // Money is given back by somebody with a name.
      operator ? "" : h("label", {}, word("operatorNo"), h("input", { id: "r_operator", maxlength: "32", autocomplete: "off" })),
      h("p", { id: "r_note", role: "alert" }, rest === null ? "" : word("refundLeft", { n: pay.yuan(rest) })),
      h("button", { type: "button", "class": "danger", id: "r_go", onclick: send }, word("refundDo"), h("kbd", {}, "Enter"))));
    sum.focus();
    sum.select();
  }

  // rows lists orders and comes to the first.
  function rows(box, orders, open) {
    box.replaceChildren.apply(box, orders.map(function (o) {
      return h("button", { type: "button", "data-order": o.out_trade_no, onclick: function () { open(o); } },
        h("span", {}, o.bill || o.out_trade_no), h("span", {}, title(o)), h("b", {}, "￥" + pay.yuan(o.amount_fen)));
    }));
    const first = box.querySelector("button");
    if (first) { first.focus(); }
  }

  window.payOrder = { refundForm: refundForm, rows: rows, draw: draw, tick: tick, shape: shape, final: final, done: done, stage: stage, title: title, allowed: allowed, channelName: channelName };
})();
