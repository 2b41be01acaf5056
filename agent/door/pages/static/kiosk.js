"use strict";
// The kiosk's page: one screen for each thing the agent tells of its till.
// Screens are built from nothing each time, so that what the former showed is
// gone from the document with it.
(function () {
  const pay = window.pay;
  const h = pay.h;
  const word = pay.word;
  const el = pay.el;

  pay.takeFragment();

  const hold = pay.number("hold", 8, 1, 60) * 1000;   // how long a result stays
  const patience = pay.number("idle", 60, 5, 600) * 1000; // until we ask whether somebody is there
  const answerIn = 20000;   // and until we take silence for leaving
  const doubtHold = 60000;  // an order in doubt does not block the next patient
  const backHold = 20000;   // that money went back stays longer: it is more to read
  const shipwreck = 15000;  // no state on screen is older than this

  let view = null;
  let caps = null;
  let ready = null;   // why nothing can be paid now, if the token may know
  let readyAt = -Infinity;
  let heard = 0;      // when the agent last answered
  let asked = 0;      // when that question was put: the seconds in the answer count from here
  let denied = "";    // token or till wrong
  let shown = "";     // key of the screen that stands
  let current = "";   // number of the order on the screen
  let shapeAt = 0;    // since when this screen stands
  let touched = 0;    // last sign of the patient
  let dismissed = pay.setting("done"); // an order that is not shown any more
  let resultAt = 0;   // since when a result stands
  let resultOf = "";  // and which
  let qr = { no: "", address: "", asking: false, tried: 0 };
  let shownCode = ""; // number of the order whose QR code was on the screen
  let canceling = ""; // number of the order whose cancel was pressed
  let detaching = "";
  let refusal = "";   // what the last button was answered
  const began = performance.now();

  const finals = ["paid", "failed", "canceled"];
  function age(t) { return performance.now() - t; }
  function order() { return view && view.order && view.order.out_trade_no !== dismissed ? view.order : null; }
  // stage is how far a paid order is in HIS's books: paid is not done.
  function stage(o) { return o && o.state === "paid" && o.booking && o.booking.stage || ""; }

  // stay is how long a result may stand before the next patient's turn; null
  // while there is something to wait for.
  function stay(o) {
    if (o.state === "in_doubt") { return doubtHold; }
    if (finals.indexOf(o.state) < 0) { return null; }
    switch (stage(o)) {
      case "": case "booked": return hold;
      case "pending": return null;
      case "given_back": return Math.max(hold, backHold);
    }
    return doubtHold;
  }
  function allowed(o, a) { return (o.actions_allowed || []).indexOf(a) >= 0; }
  function left(seconds) { return Math.max(0, Math.ceil(seconds - age(asked) / 1000)); }

  // ---- asking the agent ----

  async function ask() {
    if (!pay.setting("t")) { denied = "badToken"; render(); return; }
    if (!caps) {
      const c = await pay.call("GET", "/v1/capabilities");
      if (c.ok) { caps = c.data; if (!pay.setting("till") && caps.token) { pay.remember("till", caps.token.till); } }
    }
    const till = pay.setting("till");
    if (!till) { if (caps) { denied = "noTill"; } render(); return; }
    if (age(readyAt) > 5000) {
      readyAt = performance.now();
      const r = await pay.call("GET", "/readyz");
      ready = r.data && Array.isArray(r.data.reasons) ? r.data.reasons : null;
    }
    const at = performance.now();
    const a = await pay.call("GET", "/v1/tills/" + encodeURIComponent(till));
    if (a.status === 401) { denied = "badToken"; } else if (a.status === 403 || a.status === 404) { denied = "noRight"; } else if (a.ok && a.data) {
      denied = "";
      heard = performance.now();
      asked = at;
      take(a.data);
    }
    render();
  }
  const wake = pay.loop(ask, function () { return order() ? 1000 : 2000; });

  // take compares the agent's word with what is on the screen.
  function take(v) {
    view = v;
    const o = v.order;
    const seen = pay.setting("seen");
    if (o && finals.indexOf(o.state) >= 0 && o.out_trade_no !== seen && o.out_trade_no !== dismissed) {
      dismiss(o.out_trade_no); // it ended before this page saw it: a former patient's
    }
    const now = order();
    const number = now ? now.out_trade_no : "";
    if (number !== current) {
      current = number;
      touched = performance.now();
      resultAt = 0; canceling = ""; detaching = ""; refusal = "";
      dropQR();
      if (number) { pay.remember("seen", number); }
    }
    if (now && stay(now) !== null) {
      if (!resultAt || resultOf !== now.state + stage(now)) { resultAt = performance.now(); resultOf = now.state + stage(now); }
    } else { resultAt = 0; }
  }

  function dismiss(no) {
    dismissed = no;
    pay.remember("done", no);
  }

  // ---- the QR code ----

  // presentable tells whether a code may be on the screen now. The agent gives
  // the seconds; when they are over or the agent is silent, the code goes.
  function presentable(o) {
    return Boolean(o) && o.state === "paying" && o.mode !== "charge" && !o.cancel_requested && canceling !== o.out_trade_no &&
      typeof o.qr_expires_in_s === "number" && o.qr_expires_in_s - age(asked) / 1000 > 0 && age(heard) < 5000;
  }

  function dropQR() {
    document.querySelectorAll(".qr img").forEach(function (i) { i.removeAttribute("src"); i.remove(); });
    if (qr.address) { URL.revokeObjectURL(qr.address); }
    qr = { no: "", address: "", asking: false, tried: 0 };
  }

  async function fetchQR(no) {
    if (qr.asking || qr.no === no || performance.now() - qr.tried < 1000 && qr.tried) { return; }
    qr.asking = true;
    const address = await pay.picture("/v1/orders/" + encodeURIComponent(no) + "/qr.svg");
    qr.asking = false;
    qr.tried = performance.now();
    if (!address) { return; }
    if (!presentable(order()) || order().out_trade_no !== no) { URL.revokeObjectURL(address); return; }
    qr = { no: no, address: address, asking: false, tried: qr.tried };
    shownCode = no;
    render();
  }

  // ---- what the patient presses ----

  function live() { touched = performance.now(); }

  async function post(no, name, body) {
    const a = await pay.call("POST", "/v1/orders/" + encodeURIComponent(no) + "/" + name, body);
    refusal = a.ok ? "" : pay.problem(a, "patient") || word("kOutNext");
    wake();
    return a;
  }

  async function cancel(why) {
    const o = order();
    if (!o || canceling === o.out_trade_no) { return; }
    canceling = o.out_trade_no;
    dropQR();
    render();
    const a = await post(o.out_trade_no, "cancel", { reason: why });
    // A refused cancel (the order ended meanwhile, the agent is silent) leaves
    // the button for another try.
    if (!a.ok && canceling === o.out_trade_no) { canceling = ""; render(); }
  }

  async function goOn() {
    live();
    const o = order();
    if (o) { await post(o.out_trade_no, "confirm", {}); }
  }

  // away ends a screen. An order that is still open goes on in the background,
  // and the next patient can pay.
  async function away() {
    const o = order();
    if (!o) { return; }
    const no = o.out_trade_no;
    if (finals.indexOf(o.state) < 0) {
      if (detaching === no) { return; }
      detaching = no;
      if (allowed(o, "detach")) { await pay.call("POST", "/v1/orders/" + encodeURIComponent(no) + "/detach", {}); }
    }
    dismiss(no);
    current = "";
    resultAt = 0;
    dropQR();
    render();
    wake();
  }

  // ---- screens ----

  function picture(id) { return el(id).content.firstElementChild.cloneNode(true); }
  function button(label, act, kind) { return h("button", { type: "button", "class": kind || "", "data-act": label, onclick: function () { live(); act(); } }, word(label)); }
  function line(id, text, cls) { return h("p", { id: id, "class": cls || "" }, text || ""); }
  function code(o) { return String(o.lookup_code || o.out_trade_no.slice(-6)); }

  function bill(o) {
    const kind = window.payWords[o.order_type] ? word(o.order_type) : "";
    const who = pay.say(view.patient);
    return h("div", {}, line("kind", [kind, who].filter(Boolean).join(" · "), "kind"), h("div", { "class": "sum" }, "￥" + pay.yuan(o.amount_fen)));
  }

  function page(name, cls) {
    const s = h("section", { "class": "screen " + (cls || ""), "data-screen": name });
    for (let i = 2; i < arguments.length; i++) { if (arguments[i]) { s.append(arguments[i]); } }
    return s;
  }

  function both(name, one, two) { return h("section", { "class": "two", "data-screen": name }, one, two); }

  function figure(channel, pic, steps) {
    const f = h("figure", {}, h("b", {}, word(channel)), picture(pic));
    const c = h("figcaption", {});
    steps.forEach(function (s) { c.append(h("div", {}, word(s, { w: word(channel) }))); });
    f.append(c);
    return f;
  }

  function pictures(o) {
    const box = h("div", { "class": "pics" });
    if (o.channel !== "alipay") { box.append(figure("wechat", "pic-wechat", ["stepOpen", "stepPlus", "stepWechat"])); }
    if (o.channel !== "wechat") { box.append(figure("alipay", "pic-alipay", ["stepOpen", "stepAlipay"])); }
    return box;
  }

  // wallets names what the QR code can be paid with: the order's own wallet,
  // or all of its platform's when the code is for several.
  function wallets(o) {
    const route = ((pay.tillOf(caps) || {}).routes || []).find(function (r) { return r.mode === o.mode && r.order_type === o.order_type; });
    const list = o.aggregated || !o.channel ? route && route.channels || ["wechat", "alipay", "unionpay"] : [o.channel];
    const names = list.map(function (c) { return window.payWords[c] ? word(c) : c; });
    const last = names.pop();
    return names.length > 0 ? word("kOr", { a: names.join(pay.getLang() === "en" ? ", " : "、"), b: last }) : last;
  }

  const draw = {
    start: function () { return page("start", "", picture("pic-home"), h("h1", {}, word("kStart"))); },
    out: function () { return page("out", "", picture("pic-stop"), h("h1", {}, word("kOut")), h("p", {}, word("kOutNext")), denied ? h("p", {}, word(denied)) : null); },
    unsure: function () { return page("unsure", "", picture("pic-wait"), h("h1", {}, word("kUnsure")), h("p", {}, word("kUnsureNext")), current ? h("div", { "class": "code" }, code({ out_trade_no: current })) : null); },
    offline: function () { return page("offline", "", picture("pic-stop"), h("h1", {}, word("kOffline")), h("p", {}, word("kOfflineNext"))); },
    idle: function () { return page("idle", "", picture("pic-home"), h("h1", {}, word("welcome")), h("p", {}, word("welcomeNext"))); },
    waiting: function (o) {
      return both("waiting", h("div", {}, h("h1", {}, pay.say(o.patient_message) || word("kShow")), bill(o), line("note", "", "note"), h("p", {}, word("kShowNext")), h("div", { "class": "acts" }, button("kCancel", function () { cancel("patient"); }, "plain"))), pictures(o));
    },
    qr: function (o) {
      const how = h("div", { "class": "how" });
      how.append(picture("pic-scan"));
      return both("qr",
        h("div", {}, h("div", { "class": "qr soon", id: "qr" }, h("span", { id: "qrText" }, word("kQrSoon"))), line("left", "", "left")),
        h("div", {}, h("h1", {}, pay.say(o.patient_message) || word("kScan")), bill(o), h("p", {}, word("kScanNext", { w: wallets(o) })), how, h("div", { "class": "acts" }, button("kCancel", function () { cancel("patient"); }, "plain"))));
    },
    paying: function (o) {
      return page("paying", "", picture("pic-wait"), h("h1", {}, pay.say(o.patient_message) || word("kPaying")), bill(o), line("note", "", "note"),
        h("div", { "class": "acts" }, button("kCancel", function () { cancel("patient"); }, "plain")));
    },
    canceling: function (o) { return page("canceling", "", picture("pic-wait"), h("h1", {}, o.state === "canceling" && pay.say(o.patient_message) || word("kCanceling")), bill(o), line("left", "", "left")); },
    confirming: function (o) { return page("confirming", "", picture("pic-wait"), h("h1", {}, word("kQrGone")), bill(o), h("div", { "class": "acts" }, button("kCancel", function () { cancel("patient"); }, "plain"))); },
    doubt: function (o) {
      return page("doubt", "", picture("pic-wait"), h("h1", {}, pay.say(o.patient_message)), h("p", {}, word("kCode")), h("div", { "class": "code" }, code(o)), h("p", {}, word("kCodeNext")),
        h("div", { "class": "acts" }, button("kKnown", away)), line("left", "", "left"));
    },
    queued: function (o) {
      return page("queued", "", picture("pic-stop"), h("h1", {}, word(view.online ? "kQueuedOn" : "kQueued")), bill(o), line("left", "", "left"),
        h("div", { "class": "acts" }, view.online && allowed(o, "confirm") ? button("kGoOn", goOn) : null, button("kCancel", function () { cancel("patient"); }, "plain")));
    },
    paid: function (o) { return result("paid", "pic-ok", o); },
    registering: function (o) { return page("registering", "", picture("pic-wait"), h("h1", {}, pay.say(o.patient_message)), bill(o)); },
    registerLong: function (o) { return lookUp("registerLong", o); },
    goingBack: function (o) { return lookUp("goingBack", o); },
    backDoubt: function (o) { return lookUp("backDoubt", o); },
    givenBack: function (o) { return result("givenBack", "pic-no", o, "failed"); },
    failed: function (o) { return result("failed", "pic-no", o); },
    canceled: function (o) { return result("canceled", "pic-no", o); }
  };

  // lookUp is a screen that a patient may leave with a number in mind.
  function lookUp(name, o) {
    return page(name, "compact", picture("pic-wait"), h("h1", {}, pay.say(o.patient_message)), bill(o), h("p", {}, word("kCodeBook")), h("div", { "class": "code" }, code(o)),
      h("div", { "class": "acts" }, button("kKnown", away)), line("left", "", "left"));
  }

  function result(name, pic, o, kind) {
    return page(name, kind || name, picture(pic), h("h1", {}, pay.say(o.patient_message)), bill(o),
      h("div", { "class": "acts" }, button("kDone", away)), line("left", "", "left"));
  }

  // stopped tells which screen says that nothing new can be paid here: the
  // network to this till's platforms is down, or the machine takes no orders.
  function stopped() {
    const routes = (pay.tillOf(caps) || {}).routes || [];
    const ours = function (p) { return routes.length === 0 || routes.some(function (r) { return r.platform === p; }); };
    const has = function (code) { return (ready || []).some(function (r) { return r.code === code && (!r.name || ours(r.name)); }); };
    if (has("store_stopped") || has("disk_low") || has("box_replaced") || has("shutting_down")) { return "out"; }
    return view.online === false || has("platform_unreachable") || has("clock_wrong") ? "offline" : "";
  }

  // settled tells whether nothing can change any more: paid is not done, booked is.
  function settled(o) { return finals.indexOf(o.state) >= 0 && ["", "booked", "given_back"].indexOf(stage(o)) >= 0; }

  // ended names the screen of an order that was paid, failed or was canceled.
  function ended(o) {
    return { pending: "registering", pending_long: "registerLong", going_back: "goingBack", back_in_doubt: "backDoubt", insurance_split: "backDoubt", given_back: "givenBack" }[stage(o)] || o.state;
  }

  // which says what is to be seen.
  function which() {
    const silent = heard ? age(heard) : age(began);
    if (denied) { return "out"; }
    if (!heard) { return silent > 10000 ? "out" : "start"; }
    const o = order();
    if (silent > 5000) { return current && o && !settled(o) ? "unsure" : silent > shipwreck || !o ? "out" : ended(o); }
    if (!o) { return stopped() || "idle"; }
    switch (o.state) {
      case "waiting": return o.cancel_requested || canceling === o.out_trade_no ? "canceling" : "waiting";
      case "queued": return canceling === o.out_trade_no ? "canceling" : "queued";
      case "paying":
        if (o.cancel_requested || canceling === o.out_trade_no) { return "canceling"; }
        if (o.mode === "charge") { return "paying"; }
        // Once its code was on the screen, an order without one is being settled.
        return presentable(o) || shownCode !== o.out_trade_no && typeof o.qr_expires_in_s !== "number" ? "qr" : "confirming";
      case "canceling": return "canceling";
      case "paid": case "failed": case "canceled": return ended(o);
    }
    return "doubt";
  }

  function render() {
    try { redraw(); } catch (e) { shown = "out"; el("stage").replaceChildren(draw.out()); }
  }

  function redraw() {
    const o = order();
    // Results leave by themselves.
    if (o && resultAt && !detaching) {
      if (stay(o) !== null && age(resultAt) >= stay(o)) { away(); return; }
    }
    if (!presentable(o)) { if (qr.no) { dropQR(); } } else { fetchQR(o.out_trade_no); }
    const test = Boolean(view && view.test);
    pay.watermark(test);
    el("testbadge").hidden = !test;
    pay.text("testbadge", test ? word("testLong") : "");
    pay.text("site", view && pay.say(view.title) || word("welcome"));
    const name = which();
    const key = [name, pay.getLang(), current, denied, view && view.online, o && pay.say(o.patient_message), o && o.channel, o && name === "qr" && wallets(o)].join("|");
    if (key !== shown) {
      shown = key;
      shapeAt = performance.now();
      el("stage").replaceChildren(draw[name](o));
    }
    tick(o, name);
    prompt(o, name);
    // Only what stands on the screen is said.
    if (o && ["waiting", "qr", "paid", "failed", "doubt", "registering", "goingBack", "backDoubt", "givenBack"].indexOf(name) >= 0) { window.payVoice.speak(o.out_trade_no, view.speech); }
  }

  // tick writes what changes while a screen stands.
  function tick(o, name) {
    if (name === "qr") {
      const box = el("qr");
      if (qr.no === o.out_trade_no && !box.querySelector("img")) {
        box.classList.remove("soon");
        box.replaceChildren(h("img", { src: qr.address, alt: word("kScan") }));
      }
      if (!qr.no) { pay.text("qrText", word(age(shapeAt) > shipwreck ? "kQrLong" : "kQrSoon")); }
      pay.text("left", typeof o.qr_expires_in_s === "number" ? word("kLeft", { n: left(o.qr_expires_in_s) }) : "");
    }
    if (name === "canceling") { pay.text("left", o.cancel_requested && o.cancel_in_s > 0 && left(o.cancel_in_s) > 0 ? word("cancelIn", { n: left(o.cancel_in_s) }) : ""); }
    if (name === "queued") { pay.text("left", typeof o.valid_for_s === "number" ? word("queueEnds", { n: left(o.valid_for_s) }) : ""); }
    if (resultAt && o) {
      if (stay(o) !== null) { pay.text("left", word("kBack", { n: Math.max(0, Math.ceil((stay(o) - age(resultAt)) / 1000)) })); }
    }
    const note = el("note");
    if (note) {
      const t = refusal || (view.note ? pay.say(view.note.patient) : "");
      if (note.textContent !== t) { note.textContent = t; }
      note.hidden = !t;
    }
  }

  // prompt asks whether somebody is still there, and cancels if not (DSP-07).
  function prompt(o, name) {
    const box = el("ask");
    const open = o && ["waiting", "qr", "paying", "queued"].indexOf(name) >= 0;
    const silent = open ? age(touched) : 0;
    if (silent < patience) {
      if (!box.hidden) { box.hidden = true; box.replaceChildren(); }
      return;
    }
    if (silent >= patience + answerIn) {
      box.hidden = true; box.replaceChildren();
      live();
      cancel("no answer at the kiosk");
      return;
    }
    if (box.hidden) {
      box.replaceChildren(h("b", {}, word("kThere")), h("span", { id: "thereLeft" }), button("kGoOn", function () { render(); }), button("kCancel", function () { cancel("patient"); }, "plain"));
      box.hidden = false;
    }
    pay.text("thereLeft", word("kThereNext", { n: Math.ceil((patience + answerIn - silent) / 1000) }));
  }

  document.addEventListener("pointerdown", live);
  document.addEventListener("keydown", live);
  document.addEventListener("contextmenu", function (e) { e.preventDefault(); });
  el("language").addEventListener("click", function () { pay.setLang(pay.getLang() === "en" ? "zh" : "en"); pay.translate(); window.payVoice.draw(); render(); });
  window.addEventListener("hashchange", function () { pay.takeFragment(); wake(); });

  pay.translate();
  window.payVoice.draw();
  render();
  setInterval(render, 200);
  wake();
  pay.events(wake);
})();
