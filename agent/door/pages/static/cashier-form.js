"use strict";
// The fields of the cashier's form: writing, emptying, setting aside, and how
// the agent's names of fields are called on the screen. Everything lives in
// the document only; nothing about a patient is stored.
(function () {
  const pay = window.pay;
  const el = pay.el;

  const texts = ["name", "card_no", "card_type", "admission_no", "phone", "subject", "operator", "bill", "amount"];
  // Fields that most platforms never ask for; they appear when one is missed.
  const rare = ["phone", "subject", "operator"];
  const kinds = ["medical_card", "id_card", "passport", "insurance_card", "admission_no", "phone", "other"];
  const names = {
    "patient.name": ["name", "name"], "patient.card_no": ["card_no", "cardNo"], "patient.card_type": ["card_type", "cardType"],
    "patient.admission_no": ["admission_no", "admission"], "patient.phone": ["phone", "phone"], subject: ["subject", "subject"],
    bill: ["bill", "bill"], amount_fen: ["amount", "amountShort"], order_type: ["order_type", "orderType"], "operator.id": ["operator", "operatorNo"]
  };

  function row(f) { return el("f_" + f).closest("label"); }

  // put writes one field. A card type that is none of the API's own is kept as
  // HIS gave it: the hospital's configuration may know it.
  function put(f, value) {
    const e = el("f_" + f);
    if (f === "card_type") {
      Array.from(e.options).forEach(function (o) { if (o.value && kinds.indexOf(o.value) < 0) { o.remove(); } });
      if (value && kinds.indexOf(value) < 0) { e.append(pay.h("option", { value: value }, value)); }
    }
    e.value = value;
  }

  function clean() { document.querySelectorAll("#form .bad").forEach(function (e) { e.classList.remove("bad"); }); }

  function empty() {
    texts.forEach(function (f) { put(f, ""); });
    rare.forEach(function (f) { row(f).hidden = true; });
    clean();
  }

  function filled() { return texts.some(function (f) { return el("f_" + f).value !== ""; }); }

  // take reads the fields to set them aside; give writes them again.
  function take() {
    const v = { order_type: el("f_order_type").value };
    texts.forEach(function (f) { v[f] = el("f_" + f).value; });
    return v;
  }
  function give(v) {
    texts.forEach(function (f) {
      put(f, v[f]);
      if (rare.indexOf(f) >= 0) { row(f).hidden = v[f] === ""; }
    });
  }

  // missing marks the field that the agent missed and says what to do; an
  // empty text if this form has no such field.
  function missing(field) {
    const known = names[field];
    if (!known) { return ""; }
    const e = el("f_" + known[0]);
    row(known[0]).hidden = false;
    e.classList.add("bad");
    e.focus();
    return pay.word(e.value.trim() ? "fillRight" : "fillIn", { w: pay.word(known[1]) });
  }

  // focus goes to the first thing to do, or to a wallet that was tried before.
  function focus(channel) {
    const b = channel && document.querySelector('[data-channel="' + channel + '"]');
    document.querySelectorAll("[data-channel]").forEach(function (e) { e.classList.toggle("suggested", e === b); });
    if (b) { b.focus(); return; }
    const inputs = Array.from(document.querySelectorAll("#form label:not([hidden]) input"));
    const next = inputs.find(function (i) { return i.value === "" && ["f_bill", "f_amount", "f_name"].indexOf(i.id) >= 0; });
    if (next) { next.focus(); } else { const first = document.querySelector("[data-channel]"); if (first) { first.focus(); } }
  }

  el("f_card_type").replaceChildren.apply(el("f_card_type"), [pay.h("option", { value: "" })].concat(kinds.map(function (k) {
    return pay.h("option", { value: k, "data-word": "card_" + k });
  })));

  window.payForm = { put: put, clean: clean, empty: empty, filled: filled, take: take, give: give, missing: missing, focus: focus };
})();
