"use strict";
// Shifts: one person opens, takes payments elsewhere, sees here what they came
// to, and closes; and the report of a day. Worked by keyboard alone; every key
// is written on its button.
(function () {
  const pay = window.pay;
  const word = pay.word;
  const el = pay.el;
  const h = pay.h;
  const sheets = window.paySheet;

  pay.takeFragment();
  let caps = null;
  let fault = "";
  let screen = "shift";
  let running = null;  // this operator's open shift, with its report
  let list = [];       // the day's shifts
  let looked = "";     // number of the closed shift that is looked at
  let notice = "";
  let busy = false;
  let armed = 0;       // when closing was asked for the first time
  let dayReport = null;

  function problem(a) { return a.status === 0 ? word("noService") : pay.problem(a, "cashier"); }
  function allows(scope) { return Boolean(caps && caps.token && caps.token.scopes.indexOf(scope) >= 0); }
  function me() { return el("operator").value.trim(); }
  function today() { return new Date(Date.now() + 8 * 3600000).toISOString().slice(0, 10); }

  function operator() {
    const o = { id: me() };
    if (o.id === pay.setting("operator_id") && pay.setting("operator_name")) { o.name = pay.setting("operator_name"); }
    return o;
  }

  // ---- asking the agent ----

  async function ask() {
    if (!pay.setting("t")) { fault = "badToken"; render(); return; }
    if (!caps) {
      const c = await pay.call("GET", "/v1/capabilities");
      if (c.status === 401) { fault = "badToken"; render(); return; }
      if (!c.ok) { render(); return; }
      caps = c.data;
      fault = allows("collect") || allows("admin") ? "" : "hNeeds";
      tills();
      if (!fault) { show(screen); }
    }
    if (fault) { render(); return; }
    const id = me();
    if (screen === "shift" && id) {
      const a = await pay.call("GET", "/v1/shifts?operator=" + encodeURIComponent(id));
      const b = await pay.call("GET", "/v1/shifts?day=" + today() + "&operator=" + encodeURIComponent(id));
      if (a.status === 401) { fault = "badToken"; }
      if (a.ok && b.ok && id === me()) {
        list = b.data.shifts.filter(function (s) { return s.state === "closed"; }).reverse();
        const open = a.data.shifts[0];
        running = null;
        if (open) {
          const c = await pay.call("GET", "/v1/shifts/" + encodeURIComponent(open.id));
          if (c.ok && id === me()) { running = c.data; }
        }
      }
    }
    render();
  }

  const wake = pay.loop(ask, function () { return 10000; });

  async function act(path, body, then) {
    if (busy) { return; }
    busy = true;
    notice = "";
    const a = await pay.call("POST", path, body);
    busy = false;
    if (a.ok) { then(a.data); } else { notice = problem(a); }
    render();
    wake();
  }

  function open() {
    if (!me()) { notice = word("hNoMe"); el("operator").focus(); render(); return; }
    const body = { operator: operator() };
    if (pay.setting("till")) { body.till = pay.setting("till"); }
    act("/v1/shifts", body, function (s) { running = s; looked = ""; });
  }

  // close asks twice: what is closed cannot be opened again. The second press
  // counts only when it is no double click.
  function close() {
    if (!running) { return; }
    const now = performance.now();
    if (!armed || now - armed > 6000) { armed = now; render(); return; }
    if (now - armed < 600) { return; }
    armed = 0;
    act("/v1/shifts/" + encodeURIComponent(running.id) + "/close", { operator: operator() }, function (s) {
      running = null;
      looked = s.id;
      list = [s].concat(list.filter(function (x) { return x.id !== s.id; }));
      notice = word("hJustClosed");
    });
  }

  async function showDay() {
    const day = el("y_day").value;
    if (!day) { notice = word("hBadDay"); render(); return; }
    const till = el("y_till").value;
    notice = "";
    const a = await pay.call("GET", "/v1/report?day=" + encodeURIComponent(day) + (till ? "&till=" + encodeURIComponent(till) : ""));
    if (a.ok) { dayReport = { day: day, till: till, report: a.data }; } else { dayReport = null; notice = problem(a); }
    render();
  }

  // ---- what is on the screen ----

  function tills() {
    const e = el("y_till");
    const names = caps.tills.map(function (t) { return h("option", { value: t.name }, t.title || t.name); });
    if (!caps.token.till) { names.unshift(h("option", { value: "" }, word("hAll"))); }
    const was = e.value;
    e.replaceChildren.apply(e, names);
    e.value = was || caps.token.till || "";
  }

  function show(name) {
    screen = name;
    notice = "";
    armed = 0;
    el("shift").hidden = name !== "shift";
    el("day").hidden = name !== "day";
    if (name === "day") {
      if (!el("y_day").value) { el("y_day").value = today(); }
      el("y_day").focus();
    } else if (!me()) {
      el("operator").focus();
    }
    render();
  }

  function title(name) {
    const t = caps && caps.tills.find(function (x) { return x.name === name; });
    return t ? t.title || t.name : name || "";
  }

  function shiftSheet(s) {
    sheets.sheet({ title: word(s.state === "closed" ? "hSheetShift" : "hSheetNow"), report: s.report, warnings: s.warnings,
      head: [[word("hOperator"), sheets.person(s.operator)], [word("hWhere"), title(s.till) || word("hAll")], [word("hNumber"), s.id],
        [word("hClosedBy"), sheets.person(s.closed_by)]] });
  }

  function warningsOf(report) {
    const list = [];
    report.open.forEach(function (o) {
      const one = list.find(function (w) { return w.code === o.why; });
      if (one) { one.count++; } else { list.push({ code: o.why, count: 1, say: { zh: window.payWords["w_" + o.why][0], en: window.payWords["w_" + o.why][1] } }); }
    });
    return list;
  }

  function render() {
    pay.translate();
    pay.watermark(caps && caps.test);
    el("testbadge").hidden = !(caps && caps.test);
    document.title = word("hTitle");
    const offline = !caps && !fault;
    el("stop").hidden = !(fault || offline);
    if (fault || offline) {
      pay.text("stopTitle", word(fault || "noService"));
      pay.text("stopNext", word(fault ? "badTokenNext" : "noServiceNext"));
      ["shift", "day", "sheet"].forEach(function (id) { el(id).hidden = true; });
      return;
    }
    pay.text("till", title(pay.setting("till")));
    document.querySelectorAll("[data-tab]").forEach(function (b) { b.classList.toggle("on", b.getAttribute("data-tab") === screen); });
    const where = el(screen === "shift" ? "h_notice" : "y_notice");
    where.textContent = notice;
    where.hidden = !notice;
    if (screen === "day") { renderDay(); } else { renderShift(); }
  }

  function renderShift() {
    const seen = running || list.find(function (s) { return s.id === looked; }) || null;
    const id = me();
    pay.text("h_state", !id ? word("hNoMe") : running ? word("hRunning", { n: id, t: sheets.clock(running.opened_at).slice(11, 16) }) : seen ? word("hWasClosed", { n: id }) : word("hNone", { n: id }));
    el("operator").classList.toggle("bad", !id);
    el("h_open").hidden = Boolean(running) || !id;
    el("h_close").hidden = !running;
    el("h_print").hidden = !seen;
    const sure = armed > 0;
    el("h_close").classList.toggle("sure", sure);
    el("h_close").firstElementChild.textContent = word(sure ? "hSure" : "hClose");
    const box = el("h_list");
    box.replaceChildren.apply(box, list.map(function (s) {
      return h("button", { type: "button", class: s.id === looked && !running ? "on" : "", "data-shift": s.id, onclick: function () { looked = s.id; notice = ""; render(); } },
        h("span", {}, sheets.clock(s.opened_at).slice(11, 16) + " – " + sheets.clock(s.closed_at).slice(11, 16)), h("b", {}, pay.yuan(s.report.total.net_fen)));
    }));
    if (seen && seen.report) { shiftSheet(seen); } else { el("sheet").hidden = true; }
  }

  function renderDay() {
    el("y_print").hidden = !dayReport;
    if (!dayReport) { el("sheet").hidden = true; return; }
    sheets.sheet({ title: word("hSheetDay"), report: dayReport.report, warnings: warningsOf(dayReport.report), tills: true, operators: true,
      head: [[word("hDay"), dayReport.day], [word("hWhere"), dayReport.till ? title(dayReport.till) : word("hAll")]] });
  }

  function print() {
    if (!el("sheet").hidden) { window.print(); }
  }

  // ---- keys ----

  document.addEventListener("keydown", function (e) {
    if (e.isComposing || e.ctrlKey || e.altKey || e.metaKey) { return; }
    const keys = { F2: function () { if (!el("h_open").hidden && screen === "shift" || !me()) { open(); } }, F3: function () { show("shift"); }, F4: function () { show("day"); },
      F8: print, F9: function () { if (screen === "shift") { close(); } } };
    if (keys[e.key]) { e.preventDefault(); if (!e.repeat) { keys[e.key](); } return; }
    if (e.key === "Escape" && armed) { armed = 0; render(); }
    if (e.key === "Enter" && e.target === el("operator")) { el("operator").dispatchEvent(new Event("change")); }
    if (e.key === "Enter" && el("day").contains(e.target) && e.target.tagName !== "BUTTON") { showDay(); }
  });
  el("operator").addEventListener("change", function () {
    if (me() !== pay.setting("operator_id")) { pay.remember("operator_id", me()); pay.remember("operator_name", ""); }
    running = null; list = []; looked = ""; notice = ""; armed = 0;
    render();
    wake();
  });
  document.querySelectorAll("[data-tab]").forEach(function (b) { b.addEventListener("click", function () { show(b.getAttribute("data-tab")); }); });
  el("h_open").addEventListener("click", open);
  el("h_close").addEventListener("click", close);
  el("h_print").addEventListener("click", print);
  el("y_print").addEventListener("click", print);
  el("y_go").addEventListener("click", showDay);
  el("larger").addEventListener("click", function () { pay.size(true); });
  el("language").addEventListener("click", function () { pay.setLang(pay.getLang() === "en" ? "zh" : "en"); if (caps) { tills(); } render(); });
  pay.size(false);
  el("operator").value = pay.setting("operator_id");
  render();
  wake();
})();
