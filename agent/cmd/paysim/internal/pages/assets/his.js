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
  const [modeL, mode] = choice(["方式", "mode"], [["charge", "扫付款码 charge"], ["present", "展示二维码 present"], ["h5", "网页支付 h5"]]);
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
    if (o.booking) kids.push(el("p", {}, ["HIS 入账：", "Booked by HIS: "], el("strong", {}, o.booking.state + (o.booking.his_flow_id ? " " + o.booking.his_flow_id : ""))));
    if (o.goto_url) kids.push(el("p", {}, el("a", { href: o.goto_url, target: "_blank", rel: "noreferrer" }, ["打开付款页（患者的手机）", "open the payment page (the patient's phone)"])));
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
    if (o.state === "paid" && (!o.booking || o.booking.state !== "booked")) {
      acts.append(el("button", { type: "button", onclick: () => book(o.out_trade_no, false) }, ["HIS 入账", "book"]), " ",
        el("button", { type: "button", onclick: () => book(o.out_trade_no, true) }, ["HIS 说处理失败", "say that it failed"]));
    }
    kids.push(acts);
  } else {
    kids.push(el("p", {}, el("strong", {}, String(a.status)), " ", o.code || "", " ", o.detail ? [o.detail.zh, o.detail.en] : o.title || ""));
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

async function book(no, failed) {
  const b = await paysim.call("POST", "/his/orders/" + encodeURIComponent(no) + "/booking", { failed }).catch(() => null);
  if (b) drawBooks(b);
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

// HIS's own books, how its clerk behaves, and the three-way comparison.
const manners = { book: ["立即入账", "at once"], late: ["迟到入账", "late"], silent: ["一直不说", "says nothing"], fail: ["说处理失败", "says that it failed"], twice: ["重复入账", "twice"] };
const classes = { equal: ["一致", "equal"], long: ["长款", "long"], short: ["短款", "short"], differs: ["代理不同", "agent differs"] };

function line(...cells) {
  return paysim.el("tr", {}, ...cells.map(([text, number]) => paysim.el("td", number ? { class: "n" } : {}, text)));
}

function drawBooks(b) {
  const form = document.getElementById("conduct"), choice = form.elements.manner;
  if (!choice.options.length) choice.replaceChildren(...b.manners.map((m) => paysim.option(m, (manners[m] || [m, m]).join(" "))));
  if (!form.contains(document.activeElement)) { choice.value = b.conduct.manner; form.elements.late_s.value = b.conduct.late_s; }
  document.querySelector("#books tbody").replaceChildren(...b.entries.slice(-100).reverse().map((e) => line(
    [e.his_flow_id], [e.order_no], [e.refund_no || ""], [e.report_channel], [paysim.yuan(e.amount_fen), true], [(e.told || "…") + (e.struck ? " ✗" : "")])));
}

async function loadBooks() { drawBooks(await paysim.call("GET", "/his/books")); }

document.addEventListener("world", () => loadBooks().catch(() => {}));
document.getElementById("conduct").addEventListener("submit", async (ev) => {
  ev.preventDefault();
  const f = new FormData(ev.target);
  const b = await paysim.call("POST", "/his/conduct", { manner: f.get("manner"), late_s: Number(f.get("late_s")) }).catch(() => null);
  document.activeElement.blur();
  if (b) drawBooks(b);
});
document.getElementById("compare-now").addEventListener("click", async () => {
  const c = await paysim.call("GET", "/compare").catch(() => null);
  if (!c) return;
  document.getElementById("compare-sum").replaceChildren(...Object.entries(c.counts).flatMap(([k, n]) => [...paysim.both(classes[k] || [k, k]), " " + n + " "]));
  document.querySelector("#compare tbody").replaceChildren(...c.rows.slice(-200).map((r) => line(
    [r.order_no], [paysim.yuan(r.platform_fen), true], [paysim.yuan(r.agent_fen), true], [paysim.yuan(r.his_fen), true], [r.agent_state || "—"], [r.booking || "—"], [classes[r.class] || r.class])));
});
