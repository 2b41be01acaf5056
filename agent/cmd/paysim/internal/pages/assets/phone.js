// The pretend payer's phone.
"use strict";

let ready = false, ends = 0, shown = "";
const $ = (id) => document.getElementById(id);

function wish() { return { wallet: $("wallet").value, behave: Number($("behave").value) }; }

document.addEventListener("world", async (ev) => {
  const s = ev.detail, { el, yuan } = paysim;
  if (!ready) {
    ready = true;
    $("wallet").replaceChildren(...s.wallets.map((w) => el("option", { value: w }, paysim.wallet(w).join(" "))));
    $("behave").replaceChildren(el("option", { value: "-1" }, "按金额 by amount"), ...s.scenarios.map((x) => el("option", { value: String(x.n) }, x.zh + " " + x.en)));
    $("box").replaceChildren(...s.boxes.map((b) => el("option", { value: b.name }, b.name)));
    $("scan").disabled = s.boxes.length === 0;
  }
  $("purse").replaceChildren(...s.wallets.map((w) => el("tr", {}, el("td", {}, paysim.wallet(w)), el("td", { class: "n" }, yuan(-(s.purse.by_wallet_fen[w] || 0))))),
    el("tr", {}, el("th", {}, ["合计", "total"]), el("th", { class: "n" }, yuan(-s.purse.total_fen))));
  const list = await paysim.call("GET", "/phone/qrs").catch(() => []);
  $("qrs").replaceChildren(...list.map((q) => el("tr", {}, el("td", {}, q.order_no), el("td", {}, paysim.wallet(q.channel)), el("td", { class: "n" }, yuan(q.amount_fen)),
    el("td", {}, el("button", { type: "button", onclick: () => pay(q.qr) }, ["付款", "pay"])))));
});

$("fresh").addEventListener("click", async () => {
  const c = await paysim.call("POST", "/phone/code", wish()).catch(() => null);
  if (!c) return;
  shown = c.code;
  $("code").hidden = false;
  $("bars").src = c.bars_png;
  $("qr").src = c.qr_png;
  $("digits").textContent = c.code.replace(/(\d{4})(?=\d)/g, "$1 ");
  ends = Date.now() + c.life_s * 1000;
});

setInterval(() => {
  if (!shown) return;
  const left = Math.max(0, Math.round((ends - Date.now()) / 1000));
  $("life").replaceChildren(...paysim.both(left ? ["剩余约 " + left + " 秒", "about " + left + " s left"] : ["已过期，请换新码", "expired; show a fresh one"]));
}, 500);

$("scan").addEventListener("click", () => paysim.call("POST", "/scanbox", { text: shown, box: $("box").value }).catch(() => {}));

async function pay(qr) {
  const o = await paysim.call("POST", "/phone/pay", { ...wish(), qr }).catch(() => null);
  if (o) $("paid").textContent = o.order_no + " · " + o.state + (o.refusal ? " (" + o.refusal + ")" : "");
  await paysim.refresh().catch(() => {});
}

$("pay").addEventListener("submit", (ev) => { ev.preventDefault(); pay($("paste").value.trim()); });
