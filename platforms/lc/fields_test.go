package lc_test

import (
	"os"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/internal/strictjson"
	"payagent/platforms/internal/wiretest"
	"payagent/platforms/lc"
)

type key struct{ message, direction, field string }

func rows(t testing.TB) map[key]platforms.FieldRow {
	t.Helper()
	return wiretest.Rows(t, lc.Fields(), func(message, direction, field string) key { return key{message, direction, field} })
}

// Every field of the document's tables and samples has a row.
func TestEveryFieldOfTheSeedHasARow(t *testing.T) {
	all, n := rows(t), 0
	look := func(message, direction, field string) {
		n++
		_, outside := all[key{message, direction, field}]
		_, inside := all[key{message, direction, "biz_content/" + field}]
		if !outside && !inside {
			t.Errorf("%s %s %s has no row", message, direction, field)
		}
	}
	tables, err := os.ReadFile("testdata/seed/tables.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(tables)), "\n") {
		f := strings.Fields(line)
		look(f[0], f[1], f[2])
	}
	for _, method := range []string{opH5, opCancel, opToken, opSSC} {
		params, err := parseSample(sample(t, method+".req.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for name := range params {
			look(method, platforms.FieldSent, name)
		}
		for _, name := range bizNames(t, params.Get("biz_content")) {
			look(method, platforms.FieldSent, name)
		}
		doc, err := strictjson.Parse([]byte(sample(t, method+".resp.json")))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range doc.Members() {
			look(method, platforms.FieldRead, m.Name)
			for _, in := range m.Value.Members() {
				look(method, platforms.FieldRead, in.Name)
			}
		}
	}
	for file, message := range map[string]string{"lc.trade.notify.txt": "lc.trade.notify", "return_url.txt": "return_url"} {
		_, query, _ := strings.Cut(sample(t, file), "?")
		params, err := parseSample(query)
		if err != nil {
			t.Fatal(err)
		}
		for name := range params {
			look(message, platforms.FieldRead, name)
		}
		for _, name := range bizNames(t, params.Get("biz_content")) {
			look(message, platforms.FieldRead, name)
		}
	}
	if n < 240 {
		t.Errorf("only %d fields looked at", n)
	}
}

// Every field that is sent has a row, and every row of a sent field is sent.
func TestEveryFieldSentHasARow(t *testing.T) {
	k := keys(t, 1024)
	all, sent := rows(t), map[key]bool{}
	for _, method := range allMethods() {
		e := &exchange{}
		p := open(t, k, e, func(c *lc.Config) { c.CancelShown, c.DisableChannels = lc.CancelClose, "credit_group" })
		_, _ = do(t, p, method)
		if e.method != method {
			t.Fatalf("%s was sent as %s", method, e.method)
		}
		for name := range e.form {
			sent[key{method, platforms.FieldSent, name}] = true
		}
		for _, name := range bizNames(t, e.form.Get("biz_content")) {
			sent[key{method, platforms.FieldSent, "biz_content/" + name}] = true
		}
	}
	// What one call cannot have at once: serial number and prescription.
	sent[key{opSSC, platforms.FieldSent, "biz_content/request_content"}] = true
	for k := range sent {
		if r, ok := all[k]; !ok || r.Source == "ignored" {
			t.Errorf("%v is sent and has row %+v", k, r)
		}
	}
	for k := range all {
		if strings.HasPrefix(k.message, "lc.") && k.direction == platforms.FieldSent && !sent[k] {
			t.Errorf("%v has a row and is never sent", k)
		}
	}
}

// TestRowsTellTheTruth changes each member of a reply's biz_content: what the
// row calls ignored must change nothing, and all else must change what is read.
func TestRowsTellTheTruth(t *testing.T) {
	k := keys(t, 1024)
	values := map[string][2]string{ // good, other
		"sub_code": {`""`, `"X"`}, "sub_msg": {`""`, `"words"`}, "trade_no": {`"2016082221001004590259242589"`, `"T2"`},
		"out_trade_no": {`"MZ20220101010101001"`, `"MZ2"`}, "trade_status": {`"WAIT_BUYER_PAY"`, `"TRADE_CLOSED"`}, "total_amount": {`"88.88"`, `"1.00"`},
		"payment_type": {`"weixin"`, `"alipay"`}, "pay_date": {`"2026-01-01 01:01:01"`, `"2026-02-02 02:02:02"`}, "gmt_payment": {`"2026-01-01 01:01:02"`, `"2026-02-02 02:02:02"`},
		"user_id": {`"2088"`, `"2089"`}, "logon_id": {`"a***"`, `"b***"`}, "refund_fee": {`"8.88"`, `"0.01"`}, "qr_code": {`"weixin://1"`, `"weixin://2"`},
		"code_url": {`"weixin://3"`, `"weixin://4"`}, "two_dimension_code": {`"weixin://5"`, `"weixin://6"`}, "goto_url": {`"https://x.invalid/1"`, `"https://x.invalid/2"`},
		"paystr": {`"{}"`, `"[]"`}, "retry_flag": {`"N"`, `"Y"`}, "action": {`"close"`, `"refund"`}, "out_request_no": {`"R1"`, `"R2"`}, "refund_amount": {`"8.88"`, `"8.87"`},
		"city_code": {`"310100"`, `"330100"`}, "card_info": {`"C1"`, `"C2"`}, "pay_auth_no": {`"P1"`, `"P2"`},
	}
	// Members that stand in for one another.
	alone := map[string][]string{"pay_date": {"gmt_payment"}, "user_id": {"logon_id"}, "code_url": {"qr_code"}, "two_dimension_code": {"qr_code", "code_url"}}
	for _, method := range allMethods() {
		var names []string
		for k := range rows(t) {
			if name, in := strings.CutPrefix(k.field, "biz_content/"); in && k.message == method && k.direction == platforms.FieldRead {
				names = append(names, name)
			}
		}
		read := func(change string, without []string) string {
			var parts []string
			for _, name := range names {
				if has(without, name) {
					continue
				}
				v, known := values[name]
				if !known {
					t.Fatalf("%s: no value for %s", method, name)
				}
				if name == change {
					v[0] = v[1]
				}
				parts = append(parts, `"`+name+`":`+v[0])
			}
			p := open(t, k, answers(t, k, "10000", "Success", "{"+strings.Join(parts, ",")+"}"), func(c *lc.Config) { c.CancelShown, c.DisableChannels = lc.CancelClose, "credit_group" })
			got, err := do(t, p, method)
			text := describe(got)
			if err != nil {
				text += err.Error()
			}
			return text
		}
		for _, name := range names {
			r := rows(t)[key{method, platforms.FieldRead, "biz_content/" + name}]
			if changed := read(name, alone[name]) != read("", alone[name]); changed == (r.Source == "ignored") {
				t.Errorf("%s %s: source %q, but changing it matters: %v", method, name, r.Source, changed)
			}
		}
	}
}
