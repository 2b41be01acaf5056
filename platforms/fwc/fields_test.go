package fwc_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/internal/wiretest"
)

type key struct{ message, direction, field string }

func rows(t testing.TB) map[key]platforms.FieldRow {
	t.Helper()
	return wiretest.Rows(t, fwc.Fields(), func(message, direction, field string) key { return key{message, direction, field} })
}

// paths gives the elements of a document below the root.
func paths(t testing.TB, doc string) []string {
	t.Helper()
	var out []string
	for _, e := range wiretest.Elements(t, doc) {
		name, _, _ := strings.Cut(e, "=")
		if name != "xml" {
			out = append(out, strings.TrimPrefix(name, "xml/"))
		}
	}
	return out
}

func TestEveryFieldOfTheSeedHasARow(t *testing.T) {
	all := rows(t)
	n := 0
	for _, op := range allOps() {
		for direction, file := range map[string]string{platforms.FieldSent: ".req", platforms.FieldRead: ".resp"} {
			for _, path := range paths(t, sample(t, op+file)) {
				n++
				if _, ok := all[key{op, direction, path}]; !ok {
					t.Errorf("%s %s %s of the sample has no row", op, direction, path)
				}
			}
		}
	}
	tables, err := os.ReadFile("testdata/seed/tables.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(tables)), "\n") {
		f := strings.Fields(line)
		n++
		found := false
		for k := range all {
			in := strings.HasPrefix(k.field, "body/") == (f[1] == platforms.FieldRead)
			found = found || k.message == f[0] && k.direction == f[1] && in && strings.HasSuffix(k.field, "/"+f[2])
		}
		if !found {
			t.Errorf("%s of the seed's table has no row", line)
		}
	}
	if n < 230 {
		t.Errorf("only %d fields looked at", n)
	}
}

func TestEveryElementSentHasARow(t *testing.T) {
	all := rows(t)
	sent := map[key]bool{}
	for _, op := range allOps() {
		e := &exchange{reply: "x"}
		_, _ = do(t.Context(), open(t, e, func(c *fwc.Config) { c.Cnt = "3" }), op)
		for _, path := range paths(t, e.document(t, fwc.RawXMLPost)) {
			k := key{op, platforms.FieldSent, path}
			sent[k] = true
			if r, ok := all[k]; !ok || r.Source == "ignored" {
				t.Errorf("%v is sent and has row %+v", k, r)
			}
		}
	}
	for k := range all {
		if strings.HasPrefix(k.message, "FWC_") && k.direction == platforms.FieldSent && !sent[k] {
			t.Errorf("%v has a row and is never sent", k)
		}
	}
}

// TestRowsTellTheTruth changes each field of a reply: what the row calls
// ignored must change nothing, and all else must change what is read.
func TestRowsTellTheTruth(t *testing.T) {
	other := map[string]string{
		"IsSuccess": "2", "TotalAmount": "1.00", "PaymentDateTime": "2027-02-02 02:02:02", "TradeStatus": "TRADE_CLOSED",
		"RetryFlag": "Y", "CancelAction": "refund", "RefundFee": "9.99", "PayType": "alipay",
	}
	for _, op := range allOps() {
		doc := filled(sample(t, op+".resp"), values())
		if op == opPay || op == opQuery { // in the tables, not in the samples
			doc = regexp.MustCompile(`(</BarcodeTrade(Result|Status)>)`).ReplaceAllString(doc, "<PayType>weixin</PayType>$1")
		}
		bases := []string{doc, // fields that stand in for one another
			regexp.MustCompile(`<BuyerLogonId>[^<]*</BuyerLogonId>`).ReplaceAllString(doc, ""),
			regexp.MustCompile(`<(BuyerLogonId|Buyer_user_id)>[^<]*</(BuyerLogonId|Buyer_user_id)>`).ReplaceAllString(doc, ""),
		}
		read := func(reply string) string {
			got, err := do(t.Context(), open(t, &exchange{reply: reply, kind: "text/xml"}), op)
			text := fmt.Sprintf("%+v %v", got, err)
			if a, ok := got.(platforms.Answer); ok {
				text += a.Buyer.Reveal()
			}
			return text
		}
		for k, r := range rows(t) {
			if k.message != op || k.direction != platforms.FieldRead {
				continue
			}
			changed := false
			for _, base := range bases {
				spoilt, ok := change(base, k.field, other)
				changed = changed || ok && read(spoilt) != read(base)
			}
			if container := k.field == "head" || k.field == "body" || strings.Count(k.field, "/") == 1 && strings.HasPrefix(k.field, "body/"); container {
				continue
			}
			if changed == (r.Source == "ignored") {
				t.Errorf("%v: source %q, but changing it matters: %v", k, r.Source, changed)
			}
		}
	}
}

// change replaces the value of one element, found by its path.
func change(doc, path string, other map[string]string) (string, bool) {
	parts := strings.Split(path, "/")
	name := parts[len(parts)-1]
	from := 0
	for _, p := range parts[:len(parts)-1] {
		i := strings.Index(doc[from:], "<"+p+">")
		if i < 0 {
			return doc, false
		}
		from += i
	}
	m := regexp.MustCompile(`<` + name + `>([^<]*)</` + name + `>`).FindStringSubmatchIndex(doc[from:])
	if m == nil {
		return doc, false
	}
	v := other[name]
	if v == "" {
		v = "XYZ1"
	}
	return doc[:from+m[2]] + v + doc[from+m[3]:], true
}
