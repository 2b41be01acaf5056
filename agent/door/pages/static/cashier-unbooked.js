"use strict";
// What was paid at this till and is not in HIS's books: looked for now and then,
// because such an order may have been closed long ago.
(function () {
  const pay = window.pay;
  const word = pay.word;
  const every = 20000;

  let orders = [];
  let readAt = -Infinity;

  // late are those that somebody has to see to. One that was paid a moment ago
  // is only waited for.
  function late(o) { return o.booking && o.booking.stage !== "pending"; }

  async function read(view, caps) {
    pay.el("godesk").hidden = !(caps && caps.token && (caps.token.scopes || []).indexOf("refund") >= 0);
    if (!caps || !caps.booking || !caps.booking.expect || performance.now() - readAt < every) { return; }
    readAt = performance.now();
    const a = await pay.call("GET", "/v1/orders?state=unbooked");
    if (a.ok && a.data) { orders = (a.data.orders || []).filter(function (o) { return late(o) && o.till === view.till; }); }
  }

  // draw shows the line; the order on the screen speaks for itself.
  function draw(order) {
    const rest = orders.filter(function (o) { return !order || o.out_trade_no !== order.out_trade_no; });
    pay.text("unbookedSay", rest.length > 0 ? word("unbooked", { n: rest.length }) : "");
    pay.el("unbooked").hidden = rest.length === 0;
  }

  window.payUnbooked = { read: read, draw: draw, list: function () { return orders.slice().reverse(); } };
})();
