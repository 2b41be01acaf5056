#!/usr/bin/env python3
"""Sample for HIS written in Python 3: standard library alone. See README.md."""
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

BASE = "http://" + os.environ["PAYAGENT_ADDRESS"]
with open(os.environ["PAYAGENT_TOKEN_FILE"], encoding="utf-8-sig") as f:
    TOKEN = f.read().strip()
BILL = os.environ["PAYAGENT_BILL"]
CASHIER = {"id": "1001", "name": "王收费"}
# Requests to this machine never go through a proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):
    def __init__(self, problem):
        super().__init__("%s: %s" % (problem["code"], problem.get("title")))
        self.code = problem["code"]


def once(method, path, key, body):
    data = None if body is None else json.dumps(body).encode("utf-8")
    req = urllib.request.Request(BASE + path, data=data, method=method)
    req.add_header("Authorization", "Bearer " + TOKEN)
    req.add_header("Content-Type", "application/json")
    if key:
        req.add_header("Idempotency-Key", key)
    try:
        with OPENER.open(req, timeout=75) as resp:  # a long poll is answered within 60 s
            return json.loads(resp.read().decode("utf-8"))
    except urllib.error.HTTPError as e:
        problem = json.loads(e.read().decode("utf-8"))  # ValueError: no answer of the agent
        raise Refused(problem)


def ask(method, path, key=None, body=None):
    """Repeats with the same key while no answer comes: what was sent may have
    been carried out, so an error is "unknown", never "failed"."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return once(method, path, key, body)
        except Refused as e:
            if e.code not in ("shutting_down", "too_many_requests") or time.monotonic() > deadline:
                raise
        except (OSError, http.client.HTTPException, ValueError) as e:
            if time.monotonic() > deadline:
                raise RuntimeError("unknown, take no cash and ask again later: %s" % e)
        time.sleep(0.5)


def follow(order, seconds, done=lambda o: o["final"]):
    deadline = time.monotonic() + seconds
    while not done(order) and time.monotonic() < deadline:
        left = min(deadline - time.monotonic(), 30)
        order = ask("GET", "/v1/orders/%s?rev=%d&wait=%dms" % (order["out_trade_no"], order["rev"], int(left * 1000) + 1))
    return order


def check(ok, why):
    if not ok:
        raise RuntimeError(why)


def main():
    request = {"bill": BILL + "-1", "amount_fen": 1230, "mode": "charge", "order_type": "TREATMENT", "till": os.environ["PAYAGENT_TILL"],
               "subject": "门诊缴费", "operator": CASHIER, "patient": {"name": "张三", "card_no": "C0001"}}
    if os.environ.get("PAYAGENT_CODE_1"):  # HIS scanned it; else the till's scanner does
        request["auth_code"] = os.environ["PAYAGENT_CODE_1"]
    # 1. Take the payment. HIS keeps the key with the bill before it asks.
    key = uuid.uuid4().hex
    order = follow(ask("POST", "/v1/orders", key, request), 120)
    check(order["state"] == "paid", "not paid but " + order["state"])
    print("PAID", order["out_trade_no"])
    again = ask("POST", "/v1/orders", key, request)
    check(again["out_trade_no"] == order["out_trade_no"], "the key gave another order")
    # 2. HIS books it and says so. "failed" would give the money back at once.
    path = "/v1/orders/" + order["out_trade_no"]
    ask("POST", path + "/booking", None, {"result": "booked", "his_flow_id": BILL + "-F1", "cost_type": "自费"})
    print("BOOKED", order["out_trade_no"])
    # 3. Give a part back.
    number = "R" + uuid.uuid4().hex[:16]
    back = ask("POST", path + "/refunds", uuid.uuid4().hex, {"amount_fen": 230, "operator": CASHIER, "reason": "退部分项目", "refund_no": number})

    def state(o):
        return next((r["state"] for r in o["refunds"] if r["refund_no"] == number), "")

    order = follow(back["order"], 60, lambda o: state(o) in ("done", "refused"))
    check(state(order) == "done", "the refund is " + state(order))
    print("REFUNDED", number)
    # 4. A payer who does not pay: look at the verdict, cancel, and take cash
    # only when the agent says yes.
    request.update(bill=BILL + "-2", amount_fen=501)
    if os.environ.get("PAYAGENT_CODE_2"):
        request["auth_code"] = os.environ["PAYAGENT_CODE_2"]
    order = follow(ask("POST", "/v1/orders", uuid.uuid4().hex, request), 0.3)
    check(order["safe_to_take_cash"]["answer"] != "yes", "cash while the payer may still pay?")
    print("NO CASH", order["state"])
    order = ask("POST", "/v1/orders/%s/cancel" % order["out_trade_no"], None, {"operator": CASHIER, "reason": "患者改付现金"})
    order = follow(order, 120)
    check(order["state"] != "paid", "paid in the last moment: book it, take no cash")
    print("CANCELED", order["out_trade_no"])
    check(order["safe_to_take_cash"]["answer"] == "yes", "take no cash yet")
    print("CASH OK")
    # 5. After a crash: the bill tells what became of it.
    found = ask("GET", "/v1/orders?" + urllib.parse.urlencode({"bill": BILL + "-1"}))["orders"]
    check(len(found) == 1, "%d orders of the bill" % len(found))
    print("FOUND", found[0]["state"])


if __name__ == "__main__":
    try:
        main()
    except Exception as e:  # noqa: BLE001: a sample says what went wrong and ends
        print("ERROR", e)
        sys.exit(1)
