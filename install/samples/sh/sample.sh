#!/bin/sh
# Sample for the shell: curl, and sed in place of a JSON library. See README.md.
set -eu
base=http://$PAYAGENT_ADDRESS
bill=$PAYAGENT_BILL
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The token goes in by a file: a command line can be read by all users.
printf 'header = "Authorization: Bearer %s"\n' "$(tr -d '\r\n ' <"$PAYAGENT_TOKEN_FILE")" >"$dir/auth"
chmod 600 "$dir/auth"

fail() { echo "ERROR $*"; exit 1; }
new_key() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# field NAME prints the first member of that name. The members of the
# order itself come before those of what it contains.
field() { grep -o "\"$1\":\(\"[^\"]*\"\|[^,}]*\)" "$dir/answer" | head -n 1 | sed 's/^"[^"]*"://; s/^"//; s/"$//'; }

# ask METHOD PATH KEY BODY repeats with the same key while no answer comes: what
# was sent may have been carried out, so no answer is "unknown", never "failed".
ask() {
  tries=0
  printf '%s' "$4" >"$dir/body" # a payment code must not stand on a command line either
  while :; do
    data=
    [ "$1" = GET ] || data="--data-binary @$dir/body"
    # shellcheck disable=SC2086 # two words, or none
    status=$(curl --noproxy '*' --silent --max-time 75 --config "$dir/auth" --request "$1" --header 'Content-Type: application/json' \
      ${3:+--header "Idempotency-Key: $3"} $data --output "$dir/answer" --write-out '%{http_code}' "$base$2") || status=000
    code=
    case $status in
    2??) return 0 ;;
    000) ;;
    *) code=$(field code) ;;
    esac
    case $code in
    '' | shutting_down | too_many_requests) ;;
    *) fail "$code: $(field title)" ;;
    esac
    tries=$((tries + 1))
    [ $tries -lt 20 ] || fail "unknown, take no cash and ask again later"
    sleep 1
  done
}

# follow SECONDS waits for the end of the order in the last answer.
follow() {
  end=$(($(date +%s) + $1))
  while [ "$(field final)" != true ] && [ "$(date +%s)" -lt $end ]; do
    ask GET "/v1/orders/$(field out_trade_no)?rev=$(field rev)&wait=10s" '' ''
  done
}

code() { [ -z "$1" ] || printf ',"auth_code":"%s"' "$1"; }
request() { printf '{"bill":"%s","amount_fen":%s,"mode":"charge","order_type":"TREATMENT","till":"%s","subject":"门诊缴费","operator":{"id":"1001","name":"王收费"},"patient":{"name":"张三","card_no":"C0001"}%s}' "$1" "$2" "$PAYAGENT_TILL" "$(code "$3")"; }
cash() { grep -o '"safe_to_take_cash":{"answer":"[a-z]*"' "$dir/answer" | sed 's/.*:"//; s/"//'; }

# 1. Take the payment. HIS keeps the key with the bill before it asks.
key=$(new_key)
body=$(request "$bill-1" 1230 "${PAYAGENT_CODE_1:-}")
ask POST /v1/orders "$key" "$body"
follow 120
[ "$(field state)" = paid ] || fail "not paid but $(field state)"
no=$(field out_trade_no)
echo "PAID $no"
ask POST /v1/orders "$key" "$body"
[ "$(field out_trade_no)" = "$no" ] || fail "the key gave another order"
# 2. HIS books it and says so. "failed" would give the money back at once.
ask POST "/v1/orders/$no/booking" '' "{\"result\":\"booked\",\"his_flow_id\":\"$bill-F1\",\"cost_type\":\"自费\"}"
echo "BOOKED $no"
# 3. Give a part back.
refund=R$(new_key | cut -c1-16)
ask POST "/v1/orders/$no/refunds" "$(new_key)" "{\"amount_fen\":230,\"operator\":{\"id\":\"1001\"},\"reason\":\"退部分项目\",\"refund_no\":\"$refund\"}"
tries=0
until [ "$(field state)" = done ]; do # the newest answer about refunds begins with the refund
  case $(field state) in refused) fail "the refund is refused" ;; esac
  tries=$((tries + 1))
  [ $tries -lt 60 ] || fail "the refund is $(field state)"
  sleep 1
  ask GET "/v1/orders/$no/refunds" '' ''
done
echo "REFUNDED $refund"
# 4. A payer who does not pay: look at the verdict, cancel, and take cash only
# when the agent says yes.
ask POST /v1/orders "$(new_key)" "$(request "$bill-2" 501 "${PAYAGENT_CODE_2:-}")"
no=$(field out_trade_no)
[ "$(cash)" != yes ] || fail "cash while the payer may still pay?"
echo "NO CASH $(field state)"
ask POST "/v1/orders/$no/cancel" '' '{"operator":{"id":"1001"},"reason":"患者改付现金"}'
follow 120
[ "$(field state)" != paid ] || fail "paid in the last moment: book it, take no cash"
echo "CANCELED $no"
[ "$(cash)" = yes ] || fail "take no cash yet"
echo "CASH OK"
# 5. After a crash: the bill tells what became of it.
ask GET "/v1/orders?bill=$bill-1" '' ''
echo "FOUND $(field state)"
