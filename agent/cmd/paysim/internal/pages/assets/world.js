// The world's own page: boxes, faults, the table, the truth.
"use strict";

let filled = false;

function fillOnce(s) {
  if (filled) return;
  filled = true;
  const { el } = paysim;
  document.getElementById("scan-box").replaceChildren(...s.boxes.map((b) => el("option", { value: b.name }, b.name)));
  document.getElementById("fault-platform").replaceChildren(...s.platforms.map((p) => el("option", {}, p)));
  document.getElementById("fault-kind").replaceChildren(el("option", { value: "" }, "—"), ...s.faults.map((f) => el("option", {}, f)));
  document.querySelector("#scenarios tbody").replaceChildren(...s.scenarios.map((x) =>
    el("tr", {}, el("td", { class: "n" }, x.n === 0 ? "00–89" : String(x.n)), el("td", {}, [x.zh, x.en]))));
}

document.addEventListener("world", async (ev) => {
  const s = ev.detail, { el, yuan } = paysim;
  fillOnce(s);
  document.getElementById("boxes").replaceChildren(...s.boxes.map((b) =>
    el("p", {}, el("strong", {}, b.name + " "), b.path + " ",
      el("button", { type: "button", onclick: () => paysim.call("POST", b.plugged ? "/scanbox/unplug" : "/scanbox/plug", { box: b.name }).then(paysim.refresh).catch(() => {}) },
        b.plugged ? ["拔掉", "unplug"] : ["插上", "plug in"]))));
  const t = await paysim.call("GET", "/ledger").catch(() => null);
  if (!t) return;
  document.getElementById("total").replaceChildren(...paysim.both(["付款人共支出 " + yuan(t.net_fen) + " 元", "payers are out of " + yuan(t.net_fen) + " yuan"]));
  document.querySelector("#ledger tbody").replaceChildren(...t.orders.map((o) =>
    el("tr", {}, el("td", {}, o.order_no), el("td", {}, o.state + (o.refusal ? " (" + o.refusal + ")" : "")), el("td", {}, paysim.wallet(o.channel)),
      el("td", { class: "n" }, yuan(o.amount_fen)), el("td", { class: "n" }, yuan(o.net_fen)),
      el("td", { class: o.captures > 1 ? "n warn" : "n" }, String(o.captures)), el("td", { class: o.pay_requests > 1 ? "n warn" : "n" }, String(o.pay_requests)))));
});

document.getElementById("scan").addEventListener("submit", async (ev) => {
  ev.preventDefault();
  const f = new FormData(ev.target);
  await paysim.call("POST", "/scanbox", Object.fromEntries(f)).catch(() => {});
});

document.getElementById("fault").addEventListener("submit", async (ev) => {
  ev.preventDefault();
  const f = new FormData(ev.target);
  const body = { platform: f.get("platform"), op: f.get("op"), fault: f.get("fault"), always: f.get("always") !== null };
  const done = await paysim.call("POST", "/faults", body).catch(() => null);
  document.getElementById("fault-done").textContent = done ? "✓ " + [body.platform, body.op, body.fault || "—", body.always ? "∞" : "1×"].join(" · ") : "";
});
