"use strict";
// How one payment looks at the refund desk: what was paid, what went back, what
// is left, and the parts of forms. Everything said about state and money is the
// agent's.
(function () {
  const pay = window.pay;
  const h = pay.h;
  const word = pay.word;

  function name(key) { return window.payWords[key] ? word(key) : key || ""; }
  // named is a word whose key ends in one of the agent's codes.
  function named(kind, code) { return name(kind + code); }
  function when(t) { return String(t || "").slice(0, 19).replace("T", " "); }
  function person(o) { return o ? [o.name, o.id].filter(Boolean).join(" ") : ""; }
  function money(fen) { return pay.yuan(fen) + " " + word("yuan"); }

  // underWay is what is asked for and not back yet.
  function underWay(o) {
    return (o.refunds || []).reduce(function (n, r) { return ["done", "refused"].indexOf(r.state) < 0 ? n + r.amount_fen : n; }, 0);
  }

  function table(rows) {
    const list = h("dl", { "class": "facts one" });
    rows.forEach(function (r) { if (r[1]) { list.append(h("dt", {}, word(r[0])), h("dd", {}, String(r[1]))); } });
    return list;
  }

  // facts are of an order in the books.
  function facts(o) {
    return table([["bill", o.bill], ["dReceipt", o.booking && o.booking.his_flow_id], ["channel", name(o.channel)], ["paidAt", when(o.paid_at)],
      ["till", o.till], ["operator", person(o.operator)], ["orderNo", o.out_trade_no], ["tradeNo", o.trade_no], ["buyer", o.buyer]]);
  }

  // found are the facts of a payment that is not in the books.
  function found(f) {
    return table([["channel", name(f.channel)], ["paidAt", when(f.paid_at)], ["dMerchant", f.merchant], ["orderNo", f.order_no], ["tradeNo", f.trade_no],
      ["dGone", typeof f.refunded_fen === "number" ? money(f.refunded_fen) : word("dUnknownSum")]]);
  }

  // sums are the three figures that matter, the rest the largest.
  function sums(paid, gone, way, rest, state) {
    return [h("div", { "class": "rest" }, rest > 0 ? [word("dRest"), " ￥" + pay.yuan(rest)].join("") : word("dNoRest")),
      h("p", { "class": "sums" }, [word(state && state !== "paid" ? "amountShort" : "dPaidFor") + " " + money(paid), state && state !== "paid" ? "" : word("dGone") + " " + (typeof gone === "number" ? money(gone) : word("dUnknownSum")), way > 0 ? word("dUnderWay") + " " + money(way) : ""].filter(Boolean).join(" · "))];
  }

  function lines(o) {
    if (!o.refunds || o.refunds.length === 0) { return null; }
    const list = h("ul", {});
    o.refunds.forEach(function (r) {
      const who = [r.auto ? word("dAuto") : word("dBy") + " " + person(r.operator), r.approved_by ? word("dApprovedBy") + " " + person(r.approved_by) : ""].filter(Boolean).join("，");
      const why = [r.reason && !r.auto ? r.reason : "", r.platform_message, r.his_flow_id ? word("dReceipt") + " " + r.his_flow_id : ""].filter(Boolean).join(" · ");
      list.append(h("li", { "class": r.state, "data-refund": r.refund_no }, h("b", {}, money(r.amount_fen)), h("b", {}, pay.say(r.state_text)), h("span", {}, who + " " + when(r.requested_at).slice(5, 16)), h("span", {}, why)));
    });
    return h("div", { "class": "card refunds" }, list);
  }

  function field(key, input) { return h("label", {}, h("span", {}, word(key)), input); }

  // buttons of a form: [{id, label, key, kind, act}].
  function buttons(list) {
    const row = h("div", { "class": "acts" });
    list.forEach(function (b) { if (b) { row.append(h("button", { type: "button", id: b.id, "class": b.kind || "", onclick: b.act }, h("span", {}, word(b.label)), b.key ? h("kbd", {}, b.key) : null)); } });
    return row;
  }

  // row is a payment in a list.
  function row(o, more, sum, act, on) {
    return h("button", { type: "button", "data-order": o.out_trade_no, "class": on ? "on" : "", onclick: act },
      h("span", {}, o.bill || o.out_trade_no), h("span", {}, more), h("span", {}, [name(o.channel), when(o.paid_at || o.created_at).slice(5, 16)].filter(Boolean).join(" ")), h("b", {}, "￥" + pay.yuan(sum)));
  }

  // sure makes a button of two presses: the first says what the second will do.
  // It forgets after eight seconds, and when what it would do changes. Two
  // presses of one double click are one.
  function sure() {
    let what = "";
    let at = 0;
    let timer = 0;
    return {
      asked: function (b, text, key) {
        const now = performance.now();
        if (what === key && now - at > 600 && now - at < 8000) { this.forget(b); return true; }
        if (what === key && now - at <= 600) { return false; }
        const label = b.querySelector("span");
        if (!b.hasAttribute("data-label")) { b.setAttribute("data-label", label.textContent); }
        what = key; at = now;
        label.textContent = text;
        b.classList.add("sure");
        clearTimeout(timer);
        timer = setTimeout(this.forget.bind(this, b), 8000);
        return false;
      },
      forget: function (b) {
        what = "";
        clearTimeout(timer);
        if (b && b.hasAttribute("data-label")) { b.querySelector("span").textContent = b.getAttribute("data-label"); b.classList.remove("sure"); }
      }
    };
  }

  function note(id, text, good) {
    const e = pay.el(id);
    if (e.textContent !== text) { e.textContent = text; }
    e.classList.toggle("good", Boolean(good));
    e.hidden = !text;
  }

  window.payCase = { facts: facts, found: found, sums: sums, lines: lines, field: field, buttons: buttons, row: row, sure: sure, note: note, underWay: underWay, person: person, money: money, name: name, named: named };
})();
