"use strict";
// What both pages need: the settings of the address, calls to the agent with
// the token, the event stream, words.
(function () {
  const keep = window.sessionStorage;
  const prefs = window.localStorage;
  const kept = ["t", "till", "hold", "idle", "close", "operator_id", "operator_name", "voice"];
  let lang = "zh";

  // takeFragment reads what stands after # and takes it off the address bar.
  // What is not personal is kept for a reload; the rest is returned and lives
  // in memory only.
  function takeFragment() {
    const personal = {};
    const raw = window.location.hash.slice(1);
    if (raw !== "") {
      new URLSearchParams(raw).forEach(function (v, k) {
        if (k === "lang") { setLang(v); } else if (kept.indexOf(k) >= 0) { keep.setItem("pay." + k, v); } else { personal[k] = v; }
      });
      window.history.replaceState(null, "", window.location.pathname);
    }
    return personal;
  }

  function setting(k) { return keep.getItem("pay." + k) || ""; }
  function remember(k, v) { if (v) { keep.setItem("pay." + k, v); } else { keep.removeItem("pay." + k); } }
  function number(k, fallback, low, high) {
    const n = parseInt(setting(k), 10);
    return n >= low && n <= high ? n : fallback;
  }

  function setLang(l) {
    lang = l === "en" ? "en" : "zh";
    prefs.setItem("pay.lang", lang);
    document.documentElement.lang = lang === "en" ? "en" : "zh-CN";
  }
  function getLang() { return lang; }

  // word is one of the page's own words; {x} is filled from values.
  function word(key, values) {
    const w = window.payWords[key];
    if (!w) { return key; }
    return w[lang === "en" ? 1 : 0].replace(/\{(\w+)\}/g, function (m, k) { return values && k in values ? String(values[k]) : m; });
  }

  // say picks the language of a text that the agent gave.
  function say(x) {
    if (!x) { return ""; }
    if (typeof x === "string") { return x; }
    return String(x[lang] || x.zh || x.en || "");
  }

  // sentences joins what is not empty.
  function sentences(a, b) { return [a, b].filter(Boolean).join(lang === "en" ? ". " : "。"); }

  // yuan writes fen with two decimals. Whole numbers only: no rounding anywhere.
  function yuan(fen) {
    if (!Number.isSafeInteger(fen)) { return "—"; }
    const a = Math.abs(fen);
    const rest = a % 100;
    const whole = String((a - rest) / 100).replace(/\B(?=(\d{3})+$)/g, ",");
    return (fen < 0 ? "-" : "") + whole + "." + (rest < 10 ? "0" : "") + rest;
  }

  // fen reads yuan as people type it; null if it is not an amount above zero.
  function fen(text) {
    const s = String(text).replace(/[０-９．]/g, function (c) { return String.fromCharCode(c.charCodeAt(0) - 0xfee0); })
      .replace(/。/g, ".").replace(/[,，\s￥¥]/g, "");
    const m = /^(\d{1,8})(?:\.(\d{1,2}))?$/.exec(s);
    if (!m) { return null; }
    const n = parseInt(m[1], 10) * 100 + parseInt(((m[2] || "") + "00").slice(0, 2), 10);
    return n > 0 ? n : null;
  }

  // freshKey makes an Idempotency-Key.
  function freshKey() {
    const b = new Uint8Array(16);
    window.crypto.getRandomValues(b);
    return Array.from(b, function (x) { return (x < 16 ? "0" : "") + x.toString(16); }).join("");
  }

  function request(method, path, body, more, timeout) {
    const headers = Object.assign({ Authorization: "Bearer " + setting("t") }, more || {});
    if (body !== undefined) { headers["Content-Type"] = "application/json"; }
    const stop = new AbortController();
    const timer = setTimeout(function () { stop.abort(); }, timeout || 8000);
    const done = function () { clearTimeout(timer); };
    return {
      done: done,
      answer: window.fetch(path, {
        method: method, headers: headers, body: body === undefined ? undefined : JSON.stringify(body),
        signal: stop.signal, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer"
      })
    };
  }

  // call asks the agent. It never throws: status 0 stands for no answer.
  async function call(method, path, body, more) {
    const r = request(method, path, body, more);
    try {
      const a = await r.answer;
      let data = null;
      try { data = await a.json(); } catch (e) { data = null; }
      if (a.ok && data === null && a.status !== 204) { return { ok: false, status: 0, data: null }; }
      return { ok: a.ok, status: a.status, data: data };
    } catch (e) {
      return { ok: false, status: 0, data: null };
    } finally {
      r.done();
    }
  }

  // picture fetches the QR code with the token and gives an address for <img>,
  // or an empty text.
  async function picture(path) {
    const r = request("GET", path);
    try {
      const a = await r.answer;
      if (!a.ok || (a.headers.get("Content-Type") || "").indexOf("image/svg+xml") !== 0) { return ""; }
      return URL.createObjectURL(await a.blob());
    } catch (e) {
      return "";
    } finally {
      r.done();
    }
  }

  // events reads the agent's stream for ever. An event only wakes the page,
  // which then asks for the whole state: an event that is lost costs time, not
  // truth. After a break it goes on behind the last event it saw.
  function events(wake) {
    let last = "";
    let wait = 500;
    async function once() {
      const stop = new AbortController();
      let quiet = 0;
      const guard = function () { clearTimeout(quiet); quiet = setTimeout(function () { stop.abort(); }, 60000); };
      try {
        const headers = { Authorization: "Bearer " + setting("t"), Accept: "text/event-stream" };
        if (last) { headers["Last-Event-ID"] = last; }
        guard();
        const a = await window.fetch("/v1/events?till=" + encodeURIComponent(setting("till")), { headers: headers, signal: stop.signal, cache: "no-store", credentials: "omit", redirect: "error" });
        if (!a.ok || !a.body) { return; }
        const reader = a.body.getReader();
        const text = new TextDecoder();
        let rest = "";
        for (;;) {
          const part = await reader.read();
          if (part.done) { return; }
          guard();
          wait = 500;
          rest += text.decode(part.value, { stream: true });
          const lines = rest.split(/\r\n|\n|\r/);
          rest = lines.pop();
          if (rest.length > 1048576) { return; }
          let woken = false;
          lines.forEach(function (line) {
            if (line.indexOf("id:") === 0) { last = line.slice(3).trim(); }
            if (line.indexOf("data:") === 0) { woken = true; }
          });
          if (woken) { wake(); }
        }
      } catch (e) {
        return;
      } finally {
        clearTimeout(quiet);
        stop.abort();
      }
    }
    (async function () {
      for (;;) {
        await once();
        wake();
        await new Promise(function (go) { setTimeout(go, wait); });
        wait = Math.min(wait * 2, 5000);
      }
    })();
  }

  // h makes an element: attributes, then children (nodes or texts).
  function h(tag, attrs) {
    const e = document.createElement(tag);
    Object.keys(attrs || {}).forEach(function (k) {
      if (k === "onclick") { e.addEventListener("click", attrs[k]); } else if (attrs[k] === true) { e.setAttribute(k, ""); } else if (attrs[k] !== false && attrs[k] !== null) { e.setAttribute(k, attrs[k]); }
    });
    for (let i = 2; i < arguments.length; i++) {
      const c = arguments[i];
      if (c !== null && c !== undefined && c !== false && c !== "") { e.append(c); }
    }
    return e;
  }
  function el(id) { return document.getElementById(id); }
  function text(id, s) { const e = el(id); if (e && e.textContent !== s) { e.textContent = s; } }

  // translate fills everything that carries data-word.
  function translate() {
    document.querySelectorAll("[data-word]").forEach(function (e) { e.textContent = word(e.getAttribute("data-word")); });
  }

  // watermark covers the page as long as the agent says that it is a test.
  function watermark(on) {
    document.documentElement.classList.toggle("is-test", on === true);
    const mark = el("watermark");
    if (!mark) { return; }
    if (on !== true) { mark.replaceChildren(); mark.removeAttribute("data-lang"); return; }
    if (mark.getAttribute("data-lang") === lang) { return; }
    mark.setAttribute("data-lang", lang);
    const list = [];
    for (let i = 0; i < 40; i++) { list.push(h("span", {}, word("test"))); }
    mark.replaceChildren.apply(mark, list);
  }

  // loop asks again and again: at once when woken, else after pause(). One
  // question at a time.
  function loop(ask, pause) {
    let running = false;
    let again = false;
    let timer = 0;
    async function run() {
      if (running) { again = true; return; }
      running = true;
      clearTimeout(timer);
      do {
        again = false;
        await ask();
      } while (again);
      running = false;
      timer = setTimeout(run, pause());
    }
    document.addEventListener("visibilitychange", function () { if (!document.hidden) { run(); } });
    return run;
  }

  // problem is what the agent said about a request that it refused: who is
  // "cashier" or "patient".
  function problem(a, who) {
    const p = a.data || {};
    if (who === "patient") { return say(p.patient_message); }
    return sentences(say(p.detail) || say(p.title) || word("noService"), say(p.next_action));
  }

  // tillOf finds this page's till in the capabilities.
  function tillOf(caps) {
    const list = caps && Array.isArray(caps.tills) ? caps.tills : [];
    return list.find(function (t) { return t.name === setting("till"); }) || null;
  }

  // size sets the size of the text, or takes the next one.
  function size(step) {
    let n = parseInt(prefs.getItem("pay.size") || "2", 10);
    n = step ? n % 3 + 1 : Math.min(3, Math.max(1, n || 2));
    prefs.setItem("pay.size", String(n));
    document.documentElement.className = document.documentElement.className.replace(/size-\d/, "size-" + n);
  }

  setLang(prefs.getItem("pay.lang") || "zh");
  window.pay = {
    takeFragment: takeFragment, setting: setting, remember: remember, number: number, setLang: setLang, getLang: getLang,
    word: word, say: say, sentences: sentences, yuan: yuan, fen: fen, freshKey: freshKey, call: call, picture: picture, events: events,
    h: h, el: el, text: text, translate: translate, watermark: watermark, loop: loop, problem: problem, tillOf: tillOf, size: size
  };
})();
