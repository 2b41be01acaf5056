// Two pretend workstations of a pretend HIS.
"use strict";

const stations = [];
let bills = [];

function choice(label, options) {
  const { el } = paysim;
  const select = el("select", {}, ...options.map(([value, text]) => el("option", { value }, text)));
  return [el("label", {}, label, select), select];
}

function station(index, tills) {
  const { el } = paysim;
  const [billL, bill] = choice(["账单", "bill"], []);
  const [tillL, till] = choice(["窗口", "till"], tills.map((t) => [t, t]));
  till.selectedIndex = Math.min(index, tills.length - 1);
  const [modeL, mode] = choice(["方式", "mode"], [["charge", "扫付款码 charge"], ["present", "展示二维码 present"]]);
  const [walletL, wallet] = choice(["钱包", "wallet"], [["wechat", "微信 WeChat"], ["alipay", "支付宝 Alipay"], ["unionpay", "云闪付 UnionPay"], ["*", "聚合 aggregated"], ["", "不指定 none"]]);
  const [clickL, click] = choice(["点击", "click"], [["once", "单击 once"], ["twice_same_key", "双击，同一键 twice, one key"], ["twice_new_key", "双击，不同键 twice, two keys"]]);
  const [offL, offline] = choice(["离线时", "offline"], [["", "默认 default"], ["refuse", "拒绝 refuse"], ["queue", "排队 queue"]]);
  const code = el("input", { autocomplete: "off", size: "20" });
  const answers = el("div", { role: "status" });
  const box = el("section", {}, el("h2", {}, ["工作站 " + (index + 1), "Workstation " + (index + 1)]),
    billL, tillL, modeL, walletL, clickL, offL, el("label", {}, ["付款码（可空）", "code (optional)"], code),
    el("p", {}, el("button", { type: "button", class: "main", onclick: () => collect() }, ["收费", "collect"]), " ",
      el("button", { type: "button", onclick: () => lookup() }, ["按账单查询", "find by bill"])), answers);
  const me = { index, bill, answers, box };

  async function collect(key) {
    const pressed = await paysim.call("POST", "/his/orders", {
      workstation: index, bill: bill.value, till: till.value, mode: mode.value, channel: wallet.value === "*" ? "" : wallet.value,
      aggregated: wallet.value === "*", auth_code: code.value.trim(), click: key ? "once" : click.value, when_offline: offline.value, key: key || "",
    }).catch(() => null);
    if (!pressed) return;
    const numbers = new Set();
    for (const p of pressed) {
      const card = show(me, p.answer, p.error);
      if (p.error) card.append(el("button", { type: "button", onclick: () => collect(p.key) }, ["同一键再发一次", "again with the same key"]));
      const no = p.answer && p.answer.body && p.answer.body.out_trade_no;
      if (no && !numbers.has(no)) { numbers.add(no); follow(me, no, card); }
    }
  }
  async function lookup() {
    const a = await paysim.call("GET", "/his/orders?bill=" + encodeURIComponent(bill.value)).catch(() => null);
    if (!a) return;
    const card = show(me, a, "");
    const list = Array.isArray(a.body) ? a.body : (a.body && a.body.orders) || [];
    for (const o of list) if (o.out_trade_no) card.append(el("button", { type: "button", onclick: () => follow(me, o.out_trade_no, show(me, { status: 200, body: o }, "")) }, o.out_trade_no));
  }
  return me;
}

// draw writes an answer of the agent into a card.
function draw(me, card, a, error) {
  const { el } = paysim;
  card.className = "answer" + (error || !a || a.status >= 300 ? " bad" : a.body.state === "paid" ? " paid" : "");
  if (error) { card.replaceChildren(el("p", {}, error)); return; }
  const o = a.body || {}, kids = [];
  if (o.state) {
    kids.push(el("p", {}, el("strong", {}, o.state), " ", o.out_trade_no || "", " ", o.amount_fen ? paysim.yuan(o.amount_fen) : "", a.replayed ? " (replayed)" : ""));
    const cash = o.safe_to_take_cash;
    if (cash) kids.push(el("p", {}, ["可以收现金吗？", "Safe to take cash? "], el("strong", {}, cash.answer + (cash.answer === "wait" ? " " + cash.wait_s + " s" : "")), " ", cash.say ? [cash.say.zh, cash.say.en] : (cash.reason || "")));
    const acts = el("p", {});
    for (const verb of o.actions_allowed || []) {
      if (["check", "cancel", "detach", "confirm"].includes(verb)) acts.append(el("button", { type: "button", onclick: () => act(me, o.out_trade_no, verb, {}) }, verb), " ");
      if (verb === "refund") {
        const sum = el("input", { size: "8", value: paysim.yuan(o.amount_fen), "aria-label": "退款金额 refund, yuan" });
        acts.append(sum, el("button", { type: "button", onclick: () => {
          const fen = paysim.fen(sum.value);
          if (fen === null) paysim.trouble("金额格式 12.34 · write an amount such as 12.34");
          else act(me, o.out_trade_no, "refunds", { amount_fen: fen });
        } }, ["退款", "refund"]));
      }
    }
    kids.push(acts);
  } else {
    kids.push(el("p", {}, el("strong", {}, String(a.status)), " ", o.code || "", " ", o.title || "", " ", o.detail || ""));
  }
  kids.push(el("details", {}, el("summary", {}, ["完整应答", "whole answer"]), el("pre", {}, JSON.stringify(o, null, 1))));
  card.replaceChildren(...kids);
}

function show(me, a, error) {
  const card = paysim.el("div", {});
  draw(me, card, a, error);
  me.answers.prepend(card);
  return card;
}

async function act(me, no, verb, body) {
  const a = await paysim.call("POST", "/his/orders/" + encodeURIComponent(no) + "/" + verb, { workstation: me.index, reason: "测试", ...body }).catch(() => null);
  if (a) show(me, a, "");
}

// follow keeps a card up to date until the order's end.
async function follow(me, no, card) {
  for (let rest = 500; card.isConnected; ) {
    const from = Date.now();
    const a = await paysim.call("GET", "/his/orders/" + encodeURIComponent(no) + "?wait=20s").catch(() => null);
    if (a && a.status < 300) {
      if (!card.contains(document.activeElement)) draw(me, card, a, "");
      if (["paid", "failed", "canceled"].includes(a.body.state)) { draw(me, card, a, ""); return; }
      rest = 500;
    } else {
      rest = Math.min(2 * rest, 5000);
    }
    if (Date.now() - from < 1000) await new Promise((done) => setTimeout(done, rest));
  }
}

async function loadBills() {
  bills = await paysim.call("GET", "/his/bills");
  for (const s of stations) {
    const was = s.bill.value;
    s.bill.replaceChildren(...bills.map((b) => paysim.el("option", { value: b.bill }, b.patient.name + " · " + paysim.yuan(b.amount_fen) + " · " + b.order_type + " · " + b.bill)));
    if (was) s.bill.value = was;
  }
}

document.addEventListener("world", async (ev) => {
  if (stations.length) return;
  for (const i of [0, 1]) stations.push(station(i, ev.detail.tills));
  document.getElementById("workstations").replaceChildren(...stations.map((s) => s.box));
  await loadBills().catch(() => {});
});

document.getElementById("add").addEventListener("submit", async (ev) => {
  ev.preventDefault();
  const f = new FormData(ev.target), fen = paysim.fen(f.get("amount"));
  if (fen === null) { paysim.trouble("金额格式 12.34 · write an amount such as 12.34"); return; }
  const b = await paysim.call("POST", "/his/bills", { amount_fen: fen, order_type: f.get("order_type") }).catch(() => null);
  if (!b) return;
  await loadBills().catch(() => {});
  for (const s of stations) s.bill.value = b.bill;
});
document.getElementById("forget").addEventListener("click", async () => {
  await paysim.call("POST", "/his/forget", {}).catch(() => {});
  for (const s of stations) s.answers.replaceChildren();
  await loadBills().catch(() => {});
});
