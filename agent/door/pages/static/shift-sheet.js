"use strict";
// The sheet: what a shift or a day came to, on the screen and on paper. All
// sums come from the agent; nothing is added up here.
(function () {
  const pay = window.pay;
  const word = pay.word;
  const h = pay.h;

  // clock writes a time of the agent for people: it is in UTC+8 as it stands.
  function clock(s) { return s ? String(s).slice(0, 19).replace("T", " ") : ""; }

  function cells(tag, list) {
    return list.map(function (c) { return h(tag, {}, String(c)); });
  }

  function row(name, s) {
    return h.apply(null, ["tr", {}].concat(cells("td", [name, s.payments.count, pay.yuan(s.payments.sum_fen), s.refunds.count, pay.yuan(s.refunds.sum_fen), pay.yuan(s.reversals.sum_fen), pay.yuan(s.net_fen)])));
  }

  // table shows groups, and the whole below them.
  function table(title, id, groups, total) {
    const head = h.apply(null, ["tr", {}].concat(cells("th", [word("hItem"), word("hCount"), word("hPaid"), word("hBackCount"), word("hBack"), word("hReversed"), word("hNet")])));
    const body = h.apply(null, ["tbody", {}].concat(groups.map(function (g) { return row(pay.say(g.text) || g.code, g); })));
    return h("div", { id: id }, h("h3", {}, title), h("table", {}, h("thead", {}, head), body, h("tfoot", {}, row(word("hSum"), total))));
  }

  function head(pairs) {
    const dl = h("dl", { class: "head" });
    pairs.forEach(function (p) { if (p[1]) { dl.append(h("dt", {}, p[0]), h("dd", {}, p[1])); } });
    return dl;
  }

  // open lists what is not settled.
  function open(report, warnings) {
    if (!report.open.length) { return null; }
    const box = h("div", { id: "unsettled" }, h("h3", {}, word("hUnsettled")));
    const names = {};
    warnings.forEach(function (w) { names[w.code] = pay.say(w.say); });
    const body = h.apply(null, ["tbody", {}].concat(report.open.map(function (o) {
      return h.apply(null, ["tr", {}].concat(cells("td", [o.out_trade_no, pay.say(o.state_text), pay.yuan(o.amount_fen), names[o.why] || o.why])));
    })));
    const top = h.apply(null, ["tr", {}].concat(cells("th", [word("hOrder"), word("hState"), word("hAmount"), word("hWhy")])));
    box.append(h("table", { class: "left" }, h("thead", {}, top), body));
    if (report.open_more) { box.append(h("p", {}, word("hMore", { n: report.open_more }))); }
    return box;
  }

  // warn says it in short, where it is seen before the shift is closed.
  function warn(warnings) {
    if (!warnings.length) { return null; }
    const box = h("div", { class: "warn", id: "warnings" });
    warnings.forEach(function (w) { box.append(h("p", {}, word("hWarn", { t: pay.say(w.say), n: w.count }))); });
    box.append(h("p", {}, word("hWarnSay")));
    return box;
  }

  function person(o) { return o ? [o.id, o.name].filter(Boolean).join(" ") : ""; }

  function now() {
    const t = new Date(Date.now() + 8 * 3600000).toISOString();
    return clock(t);
  }

  // sheet fills the article. about: {title, head, report, warnings, groups}.
  function sheet(about) {
    const r = about.report;
    const parts = [h("h2", {}, about.title), head(about.head.concat([[word("hFrom"), clock(r.from)], [word("hTo"), clock(r.to)], [word("hPrinted"), now()]])),
      h("p", { class: "net" }, h("small", {}, word("hNet") + " "), pay.yuan(r.total.net_fen)),
      warn(about.warnings), table(word("hByChannel"), "byChannel", r.channels, r.total)];
    if (r.businesses.length) { parts.push(table(word("hByBusiness"), "byBusiness", r.businesses, r.total)); }
    if (about.tills && r.tills.length > 1) { parts.push(table(word("hByTill"), "byTill", r.tills, r.total)); }
    if (about.operators && r.operators.length > 1) { parts.push(table(word("hByOperator"), "byOperator", r.operators, r.total)); }
    parts.push(open(r, about.warnings));
    parts.push(h("div", { class: "sign" }, h("span", {}, word("hSignCashier")), h("span", {}, word("hSignCheck"))));
    const e = pay.el("sheet");
    e.replaceChildren.apply(e, parts.filter(Boolean));
    e.hidden = false;
  }

  window.paySheet = { sheet: sheet, clock: clock, person: person };
})();
