"use strict";
// The orders that wait at this till for the network. They hold no till, so
// they are listed beside the form, each with what can be done about it.
(function () {
  const pay = window.pay;
  const h = pay.h;
  const word = pay.word;

  let list = [];
  let readAt = 0;
  let drawn = "";

  // read asks for this till's queued orders, oldest first. An answer that does
  // not come leaves the list as it was.
  async function read(view) {
    if (!view.queued) { list = []; return; }
    const asked = performance.now();
    const a = await pay.call("GET", "/v1/orders?state=open");
    if (!a.ok || !a.data) { return; }
    list = (a.data.orders || []).filter(function (o) { return o.state === "queued" && o.till === view.till; });
    readAt = asked;
  }

  // drop takes an order off the list that is known to be queued no more.
  function drop(no) { list = list.filter(function (o) { return o.out_trade_no !== no; }); }

  function passed() { return (performance.now() - readAt) / 1000; }

  function waited(o) {
    const s = Math.max(0, Math.floor(o.age_ms / 1000 + passed()));
    const left = typeof o.valid_for_s === "number" ? [word("queueEnds", { n: Math.max(0, Math.ceil(o.valid_for_s - passed())) })] : [];
    return [word("waited", { m: (s - s % 60) / 60, s: s % 60 })].concat(left).join(pay.getLang() === "en" ? ". " : "；");
  }

  function line(o, online, act) {
    const can = function (name) { return (o.actions_allowed || []).indexOf(name) >= 0; };
    const button = function (name, kind) {
      return h("button", { type: "button", "class": kind, "data-queue": name, "data-no": o.out_trade_no, onclick: function () { act(o, name); } }, word(name));
    };
    return h("li", {}, h("span", {}, o.bill), h("b", {}, "￥" + pay.yuan(o.amount_fen)), h("span", { "class": "age", "data-age": o.out_trade_no }),
      online && can("confirm") ? button("confirm", "main") : null, can("cancel") ? button("cancel", "danger") : null);
  }

  // draw lays the list out when it changed and writes the times.
  function draw(view, note, busy, act) {
    const online = Boolean(view && view.online);
    const key = JSON.stringify([pay.getLang(), online, list.map(function (o) { return [o.out_trade_no, o.rev, o.actions_allowed]; })]);
    const box = pay.el("queue");
    box.hidden = list.length === 0;
    if (key !== drawn) {
      drawn = key;
      const at = document.activeElement;
      const was = at && at.getAttribute("data-queue") && [at.getAttribute("data-queue"), at.getAttribute("data-no")];
      pay.el("queueList").replaceChildren.apply(pay.el("queueList"), list.map(function (o) { return line(o, online, act); }));
      // Only the same button of the same order stays in focus: Enter must never
      // meet another one.
      buttons().forEach(function (b) { if (was && b.getAttribute("data-queue") === was[0] && b.getAttribute("data-no") === was[1]) { b.focus(); } });
    }
    pay.text("queueSay", list.length === 0 ? "" : word(online ? "online" : "offlineQueued"));
    pay.el("queueSay").className = online ? "back" : "";
    pay.text("queueNote", note);
    pay.el("queueNote").hidden = !note;
    list.forEach(function (o) {
      const e = document.querySelector('[data-age="' + o.out_trade_no + '"]');
      const t = waited(o);
      if (e && e.textContent !== t) { e.textContent = t; }
    });
    buttons().forEach(function (b) { b.disabled = busy; });
  }

  function buttons() { return Array.from(document.querySelectorAll("#queueList button")); }

  // enter puts the focus on the first button, step moves it.
  function enter() { const first = buttons()[0]; if (first) { first.focus(); } }
  function step(from, n) { const all = buttons(); const next = all[all.indexOf(from) + n]; if (next) { next.focus(); } }

  window.payQueue = { read: read, drop: drop, draw: draw, enter: enter, step: step };
})();
