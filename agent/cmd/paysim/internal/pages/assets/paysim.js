// What all pages share: language, calls, the network switch.
"use strict";

const paysim = {
  state: null,

  // el makes an element; texts in two languages are given as [zh, en].
  el(tag, attrs, ...kids) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs || {})) {
      if (k === "onclick") e.addEventListener("click", v);
      else if (v === true) e.setAttribute(k, "");
      else if (v !== false && v != null) e.setAttribute(k, v);
    }
    for (const kid of kids) e.append(...(Array.isArray(kid) ? paysim.both(kid) : [kid]));
    return e;
  },
  both([zh, en]) {
    const a = document.createElement("span"), b = document.createElement("span");
    a.className = "zh"; a.textContent = zh;
    b.className = "en"; b.textContent = en;
    return [a, b];
  },
  yuan(fen) {
    const sign = fen < 0 ? "-" : "", n = String(Math.abs(fen)).padStart(3, "0");
    return sign + n.slice(0, -2) + "." + n.slice(-2);
  },
  // fen reads an amount in yuan without ever making it a fraction.
  fen(text) {
    const m = /^(\d{1,7})(?:\.(\d{1,2}))?$/.exec(text.trim());
    return m ? Number(m[1] + (m[2] || "").padEnd(2, "0")) : null;
  },
  trouble(text) {
    const p = document.getElementById("trouble");
    p.hidden = !text;
    p.textContent = text || "";
  },
  async call(method, path, body) {
    try {
      const r = await fetch(path, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body ? JSON.stringify(body) : undefined });
      const got = await r.json();
      if (!r.ok) throw new Error(got.error || String(r.status));
      paysim.trouble("");
      return got;
    } catch (err) {
      paysim.trouble(err.message);
      throw err;
    }
  },
  wallets: { wechat: ["微信", "WeChat"], alipay: ["支付宝", "Alipay"], unionpay: ["云闪付", "UnionPay"], ecny: ["数字人民币", "e-CNY"] },
  wallet(c) { return paysim.wallets[c] || [c || "—", c || "—"]; },
  option(value, label) { return paysim.el("option", { value }, label); },

  async refresh() {
    const s = await paysim.call("GET", "/state");
    paysim.state = s;
    const out = document.getElementById("net-state");
    out.className = s.net.down ? "down" : "up";
    out.replaceChildren(...paysim.both(s.net.down ? ["网络已断 " + s.net.mode, "network down: " + s.net.mode] : ["网络正常", "network up"]));
    document.dispatchEvent(new CustomEvent("world", { detail: s }));
  },
};

document.getElementById("lang").addEventListener("click", () => {
  const root = document.documentElement;
  root.lang = root.lang === "zh" ? "en" : "zh";
  localStorage.setItem("paysim.lang", root.lang);
});
document.documentElement.lang = localStorage.getItem("paysim.lang") === "en" ? "en" : "zh";

document.getElementById("net-switch").addEventListener("click", async () => {
  const down = !(paysim.state && paysim.state.net.down);
  await paysim.call("POST", "/net", { down, mode: down ? document.getElementById("net-mode").value : "" });
  await paysim.refresh();
});

// Deferred scripts run in order, so the page's own listeners are there by then.
document.addEventListener("DOMContentLoaded", () => {
  const again = () => paysim.refresh().catch(() => {}).finally(() => setTimeout(again, 2000));
  again();
});
