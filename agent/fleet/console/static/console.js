"use strict";
// The frame: token, language, which view is open.
function note(text, bad) {
  const n = el("div", { class: "card", role: "status" }, el("p", { class: bad ? "bad-text" : "" }, text));
  document.querySelector("main").prepend(n);
  setTimeout(() => n.remove(), 8000);
}

function speak() {
  document.documentElement.lang = app.lang === "en" ? "en" : "zh-CN";
  document.title = word("title");
  for (const e of document.querySelectorAll("[data-word]")) e.textContent = word(e.dataset.word);
  drawList();
  drawBox();
  live();
}

function route() {
  if (!app.about) return;
  const m = location.hash.match(/^#\/box\/([^/]+)\/([^/]+)$/);
  window.scrollTo(0, 0);
  if (m) openBox(decodeURIComponent(m[1]), decodeURIComponent(m[2]));
  else openList();
}

async function begin() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get("t")) {
    sessionStorage.setItem("fleet-token", given.get("t"));
    history.replaceState(null, "", location.pathname + "#/");
  }
  app.token = sessionStorage.getItem("fleet-token") || "";
  app.lang = sessionStorage.getItem("fleet-lang") || (given.get("lang") === "en" ? "en" : "zh");
  if (!app.token) { speak(); return noToken(); }
  try {
    app.about = await call("GET", "/v1/about");
  } catch (e) {
    speak();
    if ($("stop").hidden) { say(word("failed", { why: e.message }), true); setTimeout(begin, 5000); }
    return;
  }
  $("root").textContent = app.about.root;
  $("readonly").hidden = app.about.may_act;
  speak();
  route();
}

window.addEventListener("hashchange", () => { if (new URLSearchParams(location.hash.slice(1)).get("t")) begin(); else route(); });
$("language").addEventListener("click", () => { app.lang = app.lang === "en" ? "zh" : "en"; sessionStorage.setItem("fleet-lang", app.lang); speak(); });
for (const id of ["f_site", "f_state", "f_version", "f_alarm"]) $(id).addEventListener("change", () => chosen(true));
let typing = 0;
$("f_text").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => chosen(true), 250); });
$("filter").addEventListener("submit", (e) => { e.preventDefault(); chosen(true); });
$("filter").addEventListener("reset", () => setTimeout(() => chosen(true), 0));
$("prev").addEventListener("click", () => { list.offset = Math.max(0, list.offset - list.limit); chosen(false); });
$("next").addEventListener("click", () => { list.offset += list.limit; chosen(false); });
$("rollouts").addEventListener("click", (e) => { const b = e.target.closest("[data-act]"); if (b) actRollout(b); });
$("boxPage").addEventListener("click", (e) => { const b = e.target.closest("[data-verb]"); if (b) actBox(b.dataset.verb); });
// Ages grow by themselves, and what nobody repeats becomes unknown.
setInterval(() => { live(); drawRows(); drawBox(); }, 5000);
begin();
