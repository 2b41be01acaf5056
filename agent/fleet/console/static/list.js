"use strict";
// The list of boxes: alarms first, filters, pages, roll-outs.
const list = { data: null, offset: 0, limit: 100 };
const STATES = ["lost", "unknown", "alert", "init", "ready", "disconnected"];

function filters() {
  return { site: $("f_site").value, state: $("f_state").value, version: $("f_version").value, alarm: $("f_alarm").value, text: $("f_text").value.trim() };
}

function openList() {
  $("listPage").hidden = false;
  $("boxPage").hidden = true;
  const q = new URLSearchParams({ stream: "1", offset: list.offset, limit: list.limit });
  for (const [k, v] of Object.entries(filters())) if (v) q.set(k, v);
  stream("/v1/boxes?" + q, (data) => { list.data = data; list.offset = data.offset; app.link = data.link; drawList(); });
  if (list.data) drawList();
}

function chosen(changed) {
  if (changed) list.offset = 0;
  openList();
}

// options keeps a choice that is not among the values any more: it is what the
// list is filtered by.
function options(select, values, first, label) {
  const now = select.value;
  const all = [...new Set(now ? [...values, now] : values)];
  const made = [el("option", { value: "" }, first), ...all.map((v) => el("option", { value: v }, label ? label(v) : v))];
  if (select.options.length === made.length && made.every((o, i) => o.value === select.options[i].value && o.textContent === select.options[i].textContent)) return;
  select.replaceChildren(...made);
  select.value = now;
}

function drawList() {
  const d = list.data;
  if (!d) return;
  const f = filters();
  const pick = (change) => () => { change(); chosen(true); };
  const chip = (name, n, on, change, cls) => el("li", {}, el("button", { type: "button", "aria-pressed": String(on), onclick: pick(change) }, cls ? el("span", { class: "pill " + cls }, name) : name, el("b", {}, String(n))));
  $("sums").replaceChildren(
    chip(word("total"), d.total, !f.state && !f.alarm, () => { $("f_state").value = ""; $("f_alarm").value = ""; }),
    ...(d.alarming ? [chip("▲ " + word("alarming"), d.alarming, f.alarm === "any", () => { $("f_alarm").value = f.alarm === "any" ? "" : "any"; })] : []),
    ...STATES.filter((s) => d.states[s]).map((s) => chip(term("state", s), d.states[s], f.state === s, () => { $("f_state").value = f.state === s ? "" : s; }, s)));
  options($("f_site"), Object.keys(d.sites).sort(), word("all"));
  options($("f_state"), STATES, word("all"), (s) => term("state", s));
  options($("f_version"), Object.keys(d.versions).sort(), word("all"), (v) => v + (d.versions[v] ? " (" + d.versions[v] + ")" : ""));
  options($("f_alarm"), ["any", ...Object.keys(d.alarms).sort()], word("all"), (a) => a === "any" ? word("any") : alarmText(a) + (d.alarms[a] ? " (" + d.alarms[a] + ")" : ""));
  drawRollouts(d.rollouts);
  drawRows();
  const to = d.offset + d.rows.length;
  $("count").textContent = d.chosen ? word("count", { from: d.offset + 1, to, chosen: d.chosen, total: d.total }) : word(d.total ? "none" : "empty");
  $("prev").disabled = d.offset === 0;
  $("next").disabled = to >= d.chosen;
}

// stateNow is the state with the time that has passed since it was sent.
function stateNow(r) {
  if ((r.state === "ready" || r.state === "alert" || r.state === "init") && r.age_s + grown() > r.stale_s) return "unknown";
  return r.state;
}

function drawRows() {
  const d = list.data;
  if (!d || $("listPage").hidden) return;
  const more = grown();
  replace($("rows"), d.rows.map((r) => {
    const state = stateNow(r);
    const reasons = (r.reasons || []).filter((c) => !(r.alarms || []).includes(c));
    const cell = (cls, label, ...c) => el("span", { role: "cell", class: cls }, label ? el("span", { class: "label" }, word(label)) : null, ...c);
    return el("a", { class: "row", role: "row", href: "#/box/" + encodeURIComponent(r.site) + "/" + encodeURIComponent(r.box) },
      cell("pillcell", "", el("span", { class: "pill " + state }, term("state", state)), state === "unknown" ? el("small", {}, r.said ? word("was", { state: term("state", r.said) }) : word("neverSaid")) : null),
      cell("where", "", r.box, el("small", {}, r.site + ((r.generation || 1) > 1 ? " · " + word("machine", { n: r.generation }) : ""))),
      cell("", "age", r.age_s < 0 ? word("notKnown") : word("ago", { age: span(r.age_s + more) })),
      cell("", "since", r.since_s < 0 ? el("span", { class: "none" }, word("notKnown")) : span(r.since_s + more)),
      cell("", "version", r.version || "—"),
      cell("", "openShort", String(r.open_orders)),
      cell("", "waitingShort", String(r.events_waiting)),
      cell("alarms", "", (r.alarms || []).map((a) => el("div", { class: "alarm" }, alarmText(a))), reasons.map((a) => el("div", {}, alarmText(a))), r.left_open ? el("div", {}, word("leftOpen", { n: r.left_open })) : null));
  }));
}

function drawRollouts(all) {
  const show = all.filter((r) => (r.phase !== "done" && r.phase !== "aborted") || r.age_s < 86400);
  replace($("rollouts"), show.map((r) => {
    const over = r.phase === "done" || r.phase === "aborted";
    const act = (name, cls) => el("button", { type: "button", class: cls, "data-act": name, "data-id": r.id, "data-site": r.site }, word(name));
    return el("section", { class: "card rollout " + r.phase },
      el("div", { class: "top" }, el("b", {}, word("rollout") + " " + r.id), el("span", { class: "pill " + r.phase }, term("phase", r.phase)), el("span", {}, r.site + " · " + term("verb", r.verb)),
        r.why ? el("span", { class: "bad-text" }, term("why", r.why)) : null, r.by ? el("span", {}, word("by", { by: r.by })) : null),
      r.note ? el("p", {}, r.note) : null,
      el("ol", { class: "stages" }, r.stages.map((s, i) => el("li", { class: i === r.stage && !over ? "now" : "" }, el("span", {}, word("stageOf", s)), bar(s), el("span", { class: "age" }, word("sums", s))))),
      r.away_count ? el("p", {}, word("away", { n: r.away_count, list: (r.away || []).slice(0, 8).join(", ") + (r.away_count > 8 ? "…" : "") })) : null,
      Object.entries(r.reasons || {}).slice(0, 8).map(([box, why]) => el("p", { class: "bad-text" }, box + ": " + why)),
      app.about.may_act && !over ? el("div", { class: "buttons" }, r.phase === "running" ? act("pause") : act("resume"), act("abort", "danger")) : null);
  }));
}

function bar(s) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 1000 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", word("sums", s));
  let x = 0;
  for (const kind of ["good", "soaking", "sent", "bad"]) {
    const wide = s.boxes ? s[kind] / s.boxes * 1000 : 0;
    if (!wide) continue;
    const r = document.createElementNS(ns, "rect");
    for (const [k, v] of Object.entries({ x, y: 0, width: wide, height: 10, class: kind })) r.setAttribute(k, String(v));
    svg.append(r);
    x += wide;
  }
  return svg;
}

async function actRollout(button) {
  const { act, id, site } = button.dataset;
  const says = { pause: word("askPause"), resume: word("askResume"), abort: word("askAbort") };
  if (!await confirmed(word("askRollout", { act: word(act), id }), says[act], word(act))) return;
  try {
    await call("POST", "/v1/rollouts", { site, id, act, confirm: id });
    note(word("asked", { act: word(act), id }));
  } catch (e) {
    note(word("failed", { why: e.message }), true);
  }
}
