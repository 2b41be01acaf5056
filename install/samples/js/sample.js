// Sample for HIS written in JavaScript (Node.js 16 or later, no packages). See
// README.md.
'use strict';
const http = require('http');
const fs = require('fs');
const crypto = require('crypto');

const [host, port] = process.env.PAYAGENT_ADDRESS.split(':');
const token = fs.readFileSync(process.env.PAYAGENT_TOKEN_FILE, 'utf8').trim();
const bill = process.env.PAYAGENT_BILL;
const cashier = { id: '1001', name: '王收费' };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const check = (ok, why) => { if (!ok) throw new Error(why); };

class Refused extends Error {
  constructor(problem) {
    super(`${problem.code}: ${problem.title}`);
    this.code = problem.code;
  }
}

function once(method, path, key, body) {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'Content-Length': data.length };
    if (key) headers['Idempotency-Key'] = key;
    // A long poll is answered within 60 s.
    const req = http.request({ host, port, method, path, headers, agent: false, timeout: 75000 }, (res) => {
      const parts = [];
      res.on('data', (part) => parts.push(part));
      res.on('error', reject);
      res.on('aborted', () => reject(new Error('the answer broke off')));
      res.on('end', () => {
        try {
          const answer = JSON.parse(Buffer.concat(parts).toString('utf8'));
          if (res.statusCode < 300) resolve(answer);
          else reject(answer.code ? new Refused(answer) : new Error('this is no answer of the agent'));
        } catch (e) {
          reject(e);
        }
      });
    });
    req.on('timeout', () => req.destroy(new Error('no answer in time')));
    req.on('error', reject);
    req.end(data);
  });
}

// ask repeats with the same key while no answer comes: what was sent may have
// been carried out, so an error is "unknown", never "failed".
async function ask(method, path, key, body) {
  for (const deadline = Date.now() + 30000; ; await sleep(500)) {
    try {
      return await once(method, path, key, body);
    } catch (e) {
      if (e instanceof Refused && !['shutting_down', 'too_many_requests'].includes(e.code)) throw e;
      if (Date.now() > deadline) throw new Error(`unknown, take no cash and ask again later: ${e.message}`);
    }
  }
}

async function follow(order, ms, done = (o) => o.final) {
  for (const deadline = Date.now() + ms; !done(order) && Date.now() < deadline;) {
    const left = Math.min(deadline - Date.now(), 30000) + 1;
    order = await ask('GET', `/v1/orders/${order.out_trade_no}?rev=${order.rev}&wait=${left}ms`);
  }
  return order;
}

async function main() {
  const request = {
    bill: `${bill}-1`, amount_fen: 1230, mode: 'charge', order_type: 'TREATMENT', till: process.env.PAYAGENT_TILL,
    subject: '门诊缴费', operator: cashier, patient: { name: '张三', card_no: 'C0001' },
  };
  if (process.env.PAYAGENT_CODE_1) request.auth_code = process.env.PAYAGENT_CODE_1; // HIS scanned it; else the till's scanner does
  // 1. Take the payment. HIS keeps the key with the bill before it asks.
  const key = crypto.randomUUID();
  let order = await follow(await ask('POST', '/v1/orders', key, request), 120000);
  check(order.state === 'paid', `not paid but ${order.state}`);
  console.log('PAID', order.out_trade_no);
  const again = await ask('POST', '/v1/orders', key, request);
  check(again.out_trade_no === order.out_trade_no, 'the key gave another order');
  // 2. HIS books it and says so. "failed" would give the money back at once.
  await ask('POST', `/v1/orders/${order.out_trade_no}/booking`, '', { result: 'booked', his_flow_id: `${bill}-F1`, cost_type: '自费' });
  console.log('BOOKED', order.out_trade_no);
  // 3. Give a part back.
  const number = `R${crypto.randomBytes(8).toString('hex')}`;
  const back = await ask('POST', `/v1/orders/${order.out_trade_no}/refunds`, crypto.randomUUID(),
    { amount_fen: 230, operator: cashier, reason: '退部分项目', refund_no: number });
  const state = (o) => (o.refunds.find((r) => r.refund_no === number) || {}).state;
  order = await follow(back.order, 60000, (o) => ['done', 'refused'].includes(state(o)));
  check(state(order) === 'done', `the refund is ${state(order)}`);
  console.log('REFUNDED', number);
  // 4. A payer who does not pay: look at the verdict, cancel, and take cash
  // only when the agent says yes.
  Object.assign(request, { bill: `${bill}-2`, amount_fen: 501 });
  if (process.env.PAYAGENT_CODE_2) request.auth_code = process.env.PAYAGENT_CODE_2;
  order = await follow(await ask('POST', '/v1/orders', crypto.randomUUID(), request), 300);
  check(order.safe_to_take_cash.answer !== 'yes', 'cash while the payer may still pay?');
  console.log('NO CASH', order.state);
  order = await ask('POST', `/v1/orders/${order.out_trade_no}/cancel`, '', { operator: cashier, reason: '患者改付现金' });
  order = await follow(order, 120000);
  check(order.state !== 'paid', 'paid in the last moment: book it, take no cash');
  console.log('CANCELED', order.out_trade_no);
  check(order.safe_to_take_cash.answer === 'yes', 'take no cash yet');
  console.log('CASH OK');
  // 5. After a crash: the bill tells what became of it.
  const found = (await ask('GET', `/v1/orders?bill=${encodeURIComponent(`${bill}-1`)}`)).orders;
  check(found.length === 1, `${found.length} orders of the bill`);
  console.log('FOUND', found[0].state);
}

main().catch((e) => {
  console.log('ERROR', e.message);
  process.exit(1);
});
