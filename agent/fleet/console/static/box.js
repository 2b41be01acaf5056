"use strict";
// One box: everything it says, with the age of it.
const one = { data: null, site: "", box: "" };

function openBox(site, box) {
  if (one.site !== site || one.box !== box) one.data = null;
  one.site = site;
  one.box = box;
  $("listPage").hidden = true;
  $("boxPage").hidden = false;
  if (!one.data) $("boxPage").replaceChildren();
  stream("/v1/box?" + new URLSearchParams({ stream: "1", site, box }), (data) => { one.data = data; app.link = data.link; drawBox(); });
  if (one.data) drawBox();
}

function drawBox() {
  const d = one.data;
  if (!d || $("boxPage").hidden) return;
  const parts = [el("p", {}, el("a", { href: "#/" }, word("back")))];
  if (!d.known) {
    replace($("boxPage"), [...parts, el("div", { class: "card" }, el("h2", {}, one.site + " / " + one.box), el("p", {}, word("gone")))]);
    return;
  }
  const state = stateNow(d);
  const fresh = d.fresh && state !== "unknown";
  const more = grown();
  const old = fresh ? "" : " old";
  parts.push(el("div", { class: "card" },
    el("div", { class: "boxhead" }, el("h2", {}, d.box), el("span", {}, d.site), el("span", { class: "pill " + state }, term("state", state)),
      state === "unknown" && d.said ? el("span", {}, word("was", { state: term("state", d.said) })) : null,
      el("span", {}, word("age") + " " + (d.age_s < 0 ? word("notKnown") : word("ago", { age: span(d.age_s + more) }))),
      d.since_s >= 0 ? el("span", {}, word("since") + " " + span(d.since_s + more)) : null,
      d.version ? el("span", {}, word("version") + " " + d.version) : null,
      (d.generation || 1) > 1 ? el("span", {}, word("machine", { n: d.generation })) : null,
      d.left_open ? el("span", { class: "bad-text" }, word("leftOpen", { n: d.left_open })) : null,
      el("span", {}, word("open") + " " + d.open_orders), el("span", {}, word("waiting") + " " + d.events_waiting),
      Math.abs(d.skew_s || 0) >= 5 ? el("span", { class: "bad-text" }, word("skew", { by: word(d.skew_s > 0 ? "fast" : "slow", { age: span(Math.abs(d.skew_s)) }) })) : null),
    (d.reasons || []).map((c) => el("p", {}, alarmText(c))),
    app.about.verbs.length ? el("div", { class: "buttons" }, app.about.verbs.map((v) => el("button", { type: "button", "data-verb": v }, term("verb", v)))) : null));
  if (!fresh) parts.push(el("div", { class: "card stale" }, word("stale")));
  const alarms = Object.entries(d.active_alarms).sort();
  parts.push(el("div", { class: "card" + old }, el("h2", {}, word("active")), alarms.length === 0 ? el("p", {}, word("noAlarms")) : alarms.map(([code, v]) =>
    el("div", {}, el("div", { class: "alarm" }, alarmText(code, v.data && v.data.text), " ", ageOf(v)), facts(v.data, ["text", "code"])))));
  parts.push(el("div", { class: "two" + old },
    el("div", {}, group("devices", d.devices), group("reported", d.reported), commands(d)),
    el("div", {}, group("twin", d.twin))));
  parts.push(timeline(d));
  replace($("boxPage"), parts);
}

function ageOf(v) { return el("span", { class: "age" }, v.age_s < 0 ? word("notKnown") : word("ago", { age: span(v.age_s + grown()) })); }

function group(name, of) {
  const entries = Object.entries(of).sort();
  if (!entries.length) return null;
  return el("div", { class: "card" }, el("h2", {}, word(name)), entries.map(([k, v]) => el("section", {}, el("h3", {}, term("part", k), " ", ageOf(v)), facts(v.data, []))));
}

// fieldName says the name of a value, level by level, in the page's language.
function fieldName(name) { return name.split(".").map((part) => term("field", part)).join(" · ") || "—"; }

// facts shows a value of any shape as name and text.
function facts(data, without) {
  const lines = [];
  const say = (v, name) => typeof v === "string" ? valueText(name.slice(name.lastIndexOf(".") + 1), v) : typeof v === "boolean" ? word(v ? "yes" : "isNot") : String(v);
  const walk = (v, name) => {
    if (lines.length >= 60) return;
    if (v === null || typeof v !== "object") {
      const text = typeof v === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(v) ? clock(v) : say(v, name);
      lines.push(el("dt", {}, fieldName(name)), el("dd", {}, text));
    } else if (Array.isArray(v) && v.every((x) => x === null || typeof x !== "object")) {
      lines.push(el("dt", {}, fieldName(name)), el("dd", {}, v.map((x) => say(x, name)).join(", ") || "—"));
    } else if (v.zh !== undefined && v.en !== undefined) {
      lines.push(el("dt", {}, fieldName(name)), el("dd", {}, app.lang === "en" ? v.en : v.zh));
    } else {
      for (const [k, x] of Object.entries(v)) if (!without.includes(k)) walk(x, name ? name + "." + k : k);
    }
  };
  walk(data, "");
  return el("dl", {}, lines);
}

function commands(d) {
  return el("div", { class: "card" }, el("h2", {}, word("commands")), d.commands.length === 0 ? el("p", {}, word("noCommands")) :
    el("ul", { class: "lines commands" }, d.commands.map((c) => el("li", {},
      el("span", {}, term("verb", c.verb), " ", ageOf(c)), el("span", {}, el("span", { class: "pill " + c.state }, term("command", c.state)), c.state === "running" && c.progress ? " " + c.progress + "%" : null),
      el("span", { class: "line" }, [c.reason && !(c.text || "").includes(alarmText(c.reason)) ? alarmText(c.reason) : "", c.text].filter(Boolean).join(" · "))))));
}

function timeline(d) {
  const text = (e) => {
    switch (e.kind) {
      case "state": return [term("state", e.code), (e.text || "").split(" ").filter(Boolean).map((c) => alarmText(c)).join(", "), e.note === "restarted" ? word("restarted") : ""];
      case "reported": return [term("part", e.code), valueText("state", e.text || "")];
      case "alarm": case "cleared": return [alarmText(e.code), e.text];
      case "command": { const [s, ...why] = (e.text || "").split(" "); return [term("verb", e.code), term("command", s), why.length ? alarmText(why.join(" ")) : ""]; }
      case "version": return [(e.text || "?") + " → " + e.code];
    }
    return [e.code, e.text];
  };
  return el("div", { class: "card" }, el("h2", {}, word("timeline")), d.timeline.length === 0 ? el("p", {}, word("noTimeline")) :
    el("ul", { class: "lines" }, d.timeline.map((e) => el("li", { class: e.kind + "line" }, el("span", { class: "age" }, clock(e.at)), el("span", {}, term("kind", e.kind)),
      el("span", {}, text(e).filter(Boolean).join(" · "), e.late ? el("em", {}, " (" + word("late") + ")") : null)))), d.dropped ? el("p", { class: "age" }, word("dropped", { n: d.dropped })) : null);
}

async function actBox(verb) {
  const { site, box } = one;
  if (!await confirmed(word("askTitle", { verb: term("verb", verb), box }), word("askText", { site, box }), word("send"))) return;
  try {
    await call("POST", "/v1/commands", { site, box, verb, confirm: box });
    note(word("sent", { verb: term("verb", verb), box }));
  } catch (e) {
    note(word("failed", { why: e.message }), true);
  }
}
