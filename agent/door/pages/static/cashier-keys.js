"use strict";
// The cashier's keys. Each stands for a button that is on the screen and says
// so: a key whose button is not there does nothing.
window.payKeys = function (page) {
  let typed = 0;       // when the last character was typed
  let burst = 0;       // how many came in quick succession
  let swallow = false; // the Enter that is down has done its work and presses nothing more
  document.addEventListener("keypress", function (e) { if (e.key === "Enter" && swallow) { e.preventDefault(); } });

  // press stands for clicking a button, if it is there.
  function press(selector) {
    const b = document.querySelector(selector);
    if (!b || b.disabled || b.hidden || b.closest("[hidden]")) { return false; }
    b.click();
    return true;
  }

  function enter(e) {
    const t = e.target;
    if (t.tagName === "BUTTON") { return e.repeat; } // the browser presses it, once
    if (page.screen() === "form") {
      const all = Array.from(document.querySelectorAll("#form label:not([hidden]) input, #form label:not([hidden]) select, #payButtons button"));
      const next = all[all.indexOf(t) + 1] || all[0];
      next.focus();
      return true;
    }
    if (page.screen() === "search") { page.search(); return true; }
    if (page.refunding()) {
      const all = Array.from(document.querySelectorAll("#o_refund input"));
      const next = all[all.indexOf(t) + 1];
      if (next) { next.focus(); } else { page.sendRefund(); }
      return true;
    }
    return press("#order button.main");
  }

  function escape() {
    if (page.screen() === "search") { page.closeSearch(); return true; }
    if (page.refunding()) { page.closeRefund(); return true; }
    if (page.screen() === "order") { return press('#order [data-act="close"]'); }
    return press("#clear");
  }

  const keys = {
    F2: function () { return page.screen() === "order" ? press('#order [data-act="refund"]') : press('[data-channel="wechat"]'); },
    F3: function () { return press('[data-channel="alipay"]'); },
    F4: function () { return page.screen() === "order" ? press('#order [data-act="detach"]') : press('[data-channel="unionpay"]'); },
    F6: function () { return press("#goqueue"); },
    F7: function () { return press("#gounbooked"); },
    F8: function () { return press('#order [data-act="check"]'); },
    F9: function () { return page.screen() === "order" ? press('#order [data-act="cancel"]') : press("#queueIt"); },
    F10: function () { page.openSearch(); return true; },
    Escape: escape
  };

  document.addEventListener("keydown", function (e) {
    if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing) { return; }
    // A scanner that types like a keyboard ends its code with Enter: after a
    // burst no hand can type, Enter presses no button.
    if (e.key.length === 1) { burst = e.timeStamp - typed < 80 ? burst + 1 : 1; typed = e.timeStamp; }
    if (e.key === "Enter" && burst >= 10 && e.timeStamp - typed < 80 && ["INPUT", "SELECT"].indexOf(e.target.tagName) < 0) { swallow = true; e.preventDefault(); return; }
    if (e.key === "Enter") { swallow = enter(e); if (swallow) { e.preventDefault(); } return; }
    if ((e.key === "ArrowDown" || e.key === "ArrowUp") && page.screen() === "search" && e.target.tagName === "BUTTON") {
      const next = e.key === "ArrowDown" ? e.target.nextElementSibling : e.target.previousElementSibling;
      if (next) { next.focus(); e.preventDefault(); }
      return;
    }
    if ((e.key === "ArrowDown" || e.key === "ArrowUp") && e.target.hasAttribute("data-queue")) {
      page.stepQueue(e.target, e.key === "ArrowDown" ? 1 : -1);
      e.preventDefault();
      return;
    }
    if (!keys[e.key]) { return; }
    e.preventDefault();
    if (!e.repeat) { keys[e.key](); }
  });
};
