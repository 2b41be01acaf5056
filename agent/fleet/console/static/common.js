"use strict";
// What both views need: language, elements, the token, the stream.
const $ = (id) => document.getElementById(id);
const app = { about: null, lang: "zh", token: "" };

function word(key, values) {
  const pair = WORDS[key];
  let text = pair ? pair[app.lang === "en" ? 1 : 0] : key;
  for (const [name, value] of Object.entries(values || {})) text = text.split("{" + name + "}").join(String(value));
  return text;
}

function term(group, code) {
  const t = app.about && app.about.terms[group] && app.about.terms[group][code];
  return t ? t[app.lang] : code;
}

// valueText says a value that is a code in its field; what stands behind a
// colon is what it is about.
function valueText(field, value) {
  const cut = value.indexOf(":");
  const code = cut < 0 ? value : value.slice(0, cut);
  const text = term("value." + field, code);
  return text === code ? value : text + (cut < 0 ? "" : " (" + value.slice(cut + 1) + ")");
}

// alarmText says a code; what stands behind a colon is what it is about.
function alarmText(whole, own) {
  const cut = whole.indexOf(":");
  const code = cut < 0 ? whole : whole.slice(0, cut);
  if (code === "alarm") return alarmText(whole.slice(cut + 1));
  const t = own && own.zh ? own : app.about && app.about.alarms[code];
  return (t && t[app.lang] ? t[app.lang] : code) + (cut < 0 ? "" : " (" + whole.slice(cut + 1) + ")");
}

// el makes an element; whatever comes from a box is text, never markup.
function el(tag, attrs, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) {
    if (v === undefined || v === false || v === null) continue;
    if (k === "class") e.className = v;
    else if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v === true ? "" : v);
  }
  for (const c of children.flat()) if (c !== null && c !== undefined && c !== "") e.append(c);
  return e;
}

function span(seconds) {
  if (seconds < 0) return word("notKnown");
  const n = Math.floor(seconds);
  if (n < 120) return word("s", { n });
  if (n < 7200) return word("m", { n: Math.floor(n / 60) });
  if (n < 172800) return word("h", { n: Math.floor(n / 3600) });
  return word("d", { n: Math.floor(n / 86400) });
}

function clock(text) {
  const t = new Date(text);
  if (isNaN(t)) return text;
  const two = (n) => String(n).padStart(2, "0");
  return t.getFullYear() + "-" + two(t.getMonth() + 1) + "-" + two(t.getDate()) + " " + two(t.getHours()) + ":" + two(t.getMinutes()) + ":" + two(t.getSeconds());
}

function say(text, bad) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
  $("banner").className = bad ? "" : "good";
}

async function call(method, path, body) {
  const resp = await fetch(path, {
    method, cache: "no-store", headers: { Authorization: "Bearer " + app.token, ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  const data = await resp.json().catch(() => ({}));
  if (resp.status === 401) noToken();
  if (!resp.ok) throw new Error(data.detail || String(resp.status));
  return data;
}

function noToken() {
  sessionStorage.removeItem("fleet-token");
  stopStream();
  $("stop").hidden = false;
  $("listPage").hidden = $("boxPage").hidden = true;
}

// The stream: one at a time; begun anew when it breaks or says nothing for a
// quarter of a minute. What was shown grows old visibly meanwhile.
let current = null;

function stopStream() {
  if (current) current.abort();
  current = null;
}

function stream(path, take) {
  stopStream();
  const mine = new AbortController();
  current = mine;
  (async () => {
    while (current === mine) {
      let watchdog = 0;
      const one = new AbortController();
      const stop = () => one.abort();
      mine.signal.addEventListener("abort", stop);
      const feed = () => { clearTimeout(watchdog); watchdog = setTimeout(stop, 15000); };
      try {
        feed();
        const resp = await fetch(path, { headers: { Authorization: "Bearer " + app.token }, signal: one.signal, cache: "no-store" });
        if (resp.status === 401) return noToken();
        if (!resp.ok) throw new Error(String(resp.status));
        const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          feed();
          const parts = (rest + value).split("\n\n");
          rest = parts.pop();
          // Only the newest picture is of interest.
          const last = parts.filter((p) => p.startsWith("data: ")).pop();
          if (last && current === mine) { app.heard = performance.now(); take(JSON.parse(last.slice(6))); live(); }
        }
      } catch (e) {
        // Begun anew below; the page shows since when it hears nothing.
      } finally {
        clearTimeout(watchdog);
        mine.signal.removeEventListener("abort", stop);
      }
      if (current === mine) await new Promise((r) => setTimeout(r, 2000));
    }
  })();
}

// grown is how much older everything is than when it was sent, in seconds.
function grown() { return app.heard === undefined ? 0 : (performance.now() - app.heard) / 1000; }

function live() {
  const off = app.heard === undefined || grown() > 12;
  $("live").className = off ? "off" : "";
  $("live").textContent = off ? "…" : word("live");
  if (off && app.heard !== undefined) say(word("notLive", { age: span(grown()) }), true);
  else if (app.link && !app.link.up) say(word("brokerDown", { cause: app.link.cause || "…" }), true);
  else say("");
}

// confirmed asks, naming what it is about.
function confirmed(title, text, yes) {
  return new Promise((done) => {
    const d = $("ask"), form = d.querySelector("form");
    $("askTitle").textContent = title;
    $("askText").textContent = text;
    $("askYes").textContent = yes;
    // By the press itself: that the dialog was closed is told later, when it may
    // be open for the next question already, and would answer both.
    const answered = (yes) => { form.onsubmit = d.oncancel = null; done(yes); };
    form.onsubmit = (e) => answered(e.submitter !== null && e.submitter.value === "yes");
    d.oncancel = () => answered(false);
    d.showModal();
    $("askNo").focus();
  });
}

// replace puts new children in place without touching what has not changed, so
// that focus and selection stay where they are.
function replace(parent, children) {
  const old = [...parent.children];
  children.forEach((c, i) => {
    if (!old[i]) parent.append(c);
    else if (!old[i].isEqualNode(c)) old[i].replaceWith(c);
  });
  for (const rest of old.slice(children.length)) rest.remove();
}
