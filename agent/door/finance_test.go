package door_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/agent/agenttest"
	"payagent/agent/audit"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/finance"
	"payagent/platforms"
)

// books lets the site expect HIS's word.
func books(o *agenttest.Options, _ *door.Options) {
	o.Config = func(c *config.Config) { c.Booking.Expect = true }
}

func TestShift(t *testing.T) {
	inBubbleWith(t, books, func(t *testing.T, r *rig) {
		open := object{"operator": object{"id": "1001", "name": "王收费"}}
		r.call("POST", "/v1/shifts", cashier1, object{}).want(422, "field_invalid").is("field", "operator.id")
		r.call("POST", "/v1/shifts", cashier1, object{"operator": object{"id": "1001"}, "till": "w2"}).want(404, "not_found")
		r.call("POST", "/v1/shifts", his, object{"operator": object{"id": "1001"}, "till": "w9"}).want(404, "not_found")
		r.call("POST", "/v1/shifts", screen1, open).want(403, "forbidden")
		got := r.call("POST", "/v1/shifts", cashier1, open).want(201, "")
		id := got.id()
		got.is("state", "open").is("till", "w1").is("report.total.payments.count", 0)
		if got.head.Get("Location") != "/v1/shifts/"+id {
			t.Errorf("location %s", got.head.Get("Location"))
		}
		r.call("POST", "/v1/shifts", cashier1, open).want(200, "").is("id", id)
		r.call("POST", "/v1/shifts", refunder1, open).want(403, "forbidden")

		time.Sleep(time.Minute)
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001"})
		r.w.Book(t, "MZ1", "F1", "")
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "ZY2", Fen: 100, Channel: platforms.Alipay, Type: "HOSPITALIZATION", By: "1001"})
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ3", Fen: 7, By: "2002"}) // another operator's
		time.Sleep(2 * time.Minute)
		r.w.GiveBack(t, "MZ1", "R1", 50, "1001")

		got = r.call("GET", "/v1/shifts/"+id, cashier1, nil).want(200, "")
		got.is("report.total.payments.count", 2).is("report.total.payments.sum_fen", 12950).is("report.total.refunds.sum_fen", 50).is("report.total.net_fen", 12900)
		channels := got.get("report.channels").([]any)
		if a, b := channels[0].(object), channels[1].(object); a["text"].(object)["zh"] != "当面付-微信" || a["net_fen"] != 12800.0 || b["text"].(object)["zh"] != "当面付-支付宝" || b["net_fen"] != 100.0 {
			t.Errorf("channels %v", channels)
		}
		other := r.call("POST", "/v1/shifts", his, object{"operator": object{"id": "2002"}}).want(201, "").id()
		r.call("GET", "/v1/shifts/"+other, cashier1, nil).want(404, "not_found")
		r.call("GET", "/v1/shifts/shf_none", cashier1, nil).want(404, "not_found")
		r.call("GET", "/v1/shifts/note:x", cashier1, nil).want(404, "not_found")
		r.call("POST", "/v1/shifts", cashier1, object{"operator": object{"id": "2002"}}).want(409, "shift_elsewhere")
		count := func(token, query string, want int) {
			t.Helper()
			if list := r.call("GET", "/v1/shifts"+query, token, nil).want(200, "").get("shifts").([]any); len(list) != want {
				t.Errorf("%s sees %d shifts, not %d", token, len(list), want)
			}
		}
		count(cashier1, "", 1)
		count(his, "", 2)
		count(admin, "?operator=2002", 1)
		count(his, "?day=2000-01-01", 2)
		count(his, "?day=2000-01-02", 0)
		r.call("GET", "/v1/shifts?day=x", his, nil).want(422, "field_invalid")

		time.Sleep(time.Second)
		// ZY2 is not booked: that is told, and does not keep the shift open.
		got = r.call("POST", "/v1/shifts/"+id+"/close", cashier1, object{}).want(200, "")
		got.is("state", "closed").is("closed_by.id", "1001").is("report.total.unbooked.count", 1)
		if w := got.get("warnings").([]any); len(w) != 1 || w[0].(object)["code"] != "unbooked" {
			t.Errorf("warnings %v", w)
		}
		if o := got.get("report.open").([]any); len(o) != 1 || o[0].(object)["out_trade_no"] != "ZY2" {
			t.Errorf("open %v", o)
		}
		// What was closed stays as it was, whatever comes later.
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ4", Fen: 1, By: "1001"})
		r.call("POST", "/v1/shifts/"+id+"/close", cashier1, object{"operator": object{"id": "9"}}).want(200, "").is("closed_by.id", "1001").is("report.total.net_fen", 12900)
		r.call("GET", "/v1/shifts/"+id, cashier1, nil).want(200, "").is("report.total.net_fen", 12900)
		time.Sleep(time.Second)
		next := r.call("POST", "/v1/shifts", cashier1, open).want(201, "")
		if next.id() == id {
			t.Error("a closed shift was opened again")
		}
		next.is("report.total.payments.count", 0) // MZ4 came between the shifts
		r.call("POST", "/v1/shifts/"+id+"/close", cashier1, object{"x": 1}).want(422, "field_invalid")
		r.call("POST", "/v1/shifts/"+other+"/close", cashier1, object{}).want(404, "not_found")
		r.call("POST", "/v1/shifts/"+other+"/close", his, "{").want(400, "malformed")
	})
}

func TestReport(t *testing.T) {
	inBubbleWith(t, books, func(t *testing.T, r *rig) {
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001"})
		r.w.Take(t, agenttest.Payment{Till: agenttest.W2, No: "ZY2", Fen: 100, Channel: platforms.Alipay, By: "=cmd"})
		r.w.Take(t, agenttest.Payment{Till: agenttest.K1, No: "ZJMZ3", Fen: 5, Channel: platforms.Alipay})
		r.call("GET", "/v1/report", his, nil).want(200, "").is("total.net_fen", 12955)
		r.call("GET", "/v1/report?day=2000-01-01", admin, nil).want(200, "").is("total.payments.count", 3)
		r.call("GET", "/v1/report?day=19991231", admin, nil).want(200, "").is("total.payments.count", 0)
		r.call("GET", "/v1/report", cashier1, nil).want(200, "").is("total.net_fen", 12850)
		r.call("GET", "/v1/report?till=w2", cashier1, nil).want(404, "not_found")
		r.call("GET", "/v1/report?operator=1001", his, nil).want(200, "").is("total.net_fen", 12850)
		r.call("GET", "/v1/report?from=2000-01-01T08:00:00%2B08:00&to=2000-01-01T09:00:00%2B08:00", his, nil).want(200, "").is("total.payments.count", 3)
		for _, bad := range []string{"?day=x", "?from=x&to=y", "?from=2000-01-01T08:00:00Z", "?from=2000-01-01T08:00:00Z&to=2001-01-01T08:00:00Z", "?day=2000-01-01&to=2000-01-01T08:00:00Z", "?format=xls", "?x=1"} {
			r.call("GET", "/v1/report"+bad, his, nil).want(422, "field_invalid")
		}
		r.call("GET", "/v1/report", screen1, nil).want(403, "forbidden")
		for format, kind := range map[string]string{"csv": "text/csv; charset=utf-8", "gbk": "text/csv; charset=gbk"} {
			got := r.call("GET", "/v1/report?format="+format, his, nil).want(200, "")
			text := got.raw
			if format == "gbk" {
				var err error
				if text, err = simplifiedchinese.GBK.NewDecoder().Bytes(text); err != nil {
					t.Fatal(err)
				}
			} else if text, _ = bytes.CutPrefix(text, []byte("\xef\xbb\xbf")); len(text) == len(got.raw) {
				t.Error("spreadsheets need a byte order mark")
			}
			rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
			if err != nil || got.head.Get("Content-Type") != kind || !strings.Contains(got.head.Get("Content-Disposition"), "report-20000101.csv") {
				t.Fatalf("%s: %v %v", format, got.head, err)
			}
			// Three lines, two channels, three businesses, the whole, a head.
			if len(rows) != 3+2+3+2 || rows[1][0] != "当面付-微信" || rows[1][1] != "门诊" || rows[1][6] != "128.50" {
				t.Fatalf("%s: %q", format, rows)
			}
			if !slices.ContainsFunc(rows, func(x []string) bool { return x[1] == "自助机门诊" && x[0] == "当面付-支付宝" }) {
				t.Errorf("%s: no kiosk: %q", format, rows)
			}
			if slices.ContainsFunc(rows, func(x []string) bool { return x[3] == "=cmd" }) || !slices.ContainsFunc(rows, func(x []string) bool { return x[3] == "'=cmd" }) {
				t.Errorf("%s: a formula is not disarmed: %q", format, rows)
			}
		}
	})
}

func TestReconciliation(t *testing.T) {
	inBubbleWith(t, books, func(t *testing.T, r *rig) {
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001"})
		r.w.Book(t, "MZ1", "F1", "")
		day := object{"day": "2000-01-01"}
		r.call("POST", "/v1/reconciliations", his, day).want(403, "forbidden")
		got := r.call("POST", "/v1/reconciliations", admin, day).want(200, "")
		got.is("totals.orders", 1).is("totals.classes.equal.count", 1).is("totals.platform_net_fen", 12850)
		if list := r.call("GET", "/v1/alarms", admin, nil).get("alarms").([]any); len(list) != 0 {
			t.Errorf("alarms %v", list)
		}
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ2", Fen: 100, By: "1001"}) // HIS never books it
		got = r.call("POST", "/v1/reconciliations", admin, day).want(200, "")
		got.is("totals.classes.long.count", 1).is("totals.classes.long.diff_fen", 100)
		row := got.get("rows").([]any)[1].(object)
		if row["out_trade_no"] != "MZ2" || row["class"] != "long" || row["journal"].(object)["paid_fen"] != 100.0 || row["his"].(object)["state"] != "pending" {
			t.Errorf("%v", row)
		}
		list := r.call("GET", "/v1/alarms", admin, nil).get("alarms").([]any)
		if len(list) != 1 || list[0].(object)["code"] != "reconcile_differs" {
			t.Errorf("one alarm for one run: %v", list)
		}
		// Files of the platform and of HIS.
		files := object{"day": "2000-01-01", "statement": "商户订单号,金额\nMZ1,128.50\nMZ2,1.00\nMZ9,5.00\n", "his": "out_trade_no,amount_fen\nMZ1,12850\nMZ2,100\n", "operator": object{"id": "F1"}}
		r.call("POST", "/v1/reconciliations", admin, files).want(200, "").is("totals.classes.equal.count", 2).is("totals.classes.long.count", 1).is("totals.orders", 3)
		for _, format := range []string{"csv", "gbk"} {
			files["format"] = format
			text := r.call("POST", "/v1/reconciliations", admin, files).want(200, "").raw
			if format == "gbk" {
				text, _ = simplifiedchinese.GBK.NewDecoder().Bytes(text)
			}
			if !strings.Contains(string(text), "MZ9,,long,长款,5.00,500") || !strings.Contains(string(text), "合计 total,,long,长款,5.00,500,1") {
				t.Errorf("%s:\n%s", format, text)
			}
		}
		for field, bad := range map[string]object{"day": {"day": "x"}, "statement": {"day": "2000-01-01", "statement": "a,b"}, "his": {"day": "2000-01-01", "his": 1}, "format": {"day": "2000-01-01", "format": "x"}} {
			r.call("POST", "/v1/reconciliations", admin, bad).want(422, "field_invalid").is("field", field)
		}
		r.call("POST", "/v1/reconciliations", admin, object{"day": "2000-01-01", "his": strings.Repeat("x", 25<<20)}).want(413, "too_large")
		r.call("POST", "/v1/orders", his, object{"memo": strings.Repeat("x", 70<<10)}, set("Idempotency-Key", "k")).want(413, "too_large")
	})
}

// A comparison that breaks off shows it: the totals are missing and the
// connection is broken.
func TestReconciliationBrokenOff(t *testing.T) {
	inBubbleWith(t, books, func(t *testing.T, r *rig) {
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850})
		ctx, stop := context.WithCancel(context.Background())
		stop()
		defer func() {
			if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
				t.Errorf("got %v", v)
			}
		}()
		r.callContext(ctx, "POST", "/v1/reconciliations", admin, object{"day": "2000-01-01"})
		t.Error("the answer looks whole")
	})
}

// record is an audit that says what it is told to.
type record struct{ sick error }

func (a record) Verify(_ context.Context, anchor string) (audit.Result, error) {
	r := audit.Result{Files: 1, Lines: 2, N: 2, Head: "ab", Findings: []audit.Finding{}}
	if anchor != "" {
		r.Findings = append(r.Findings, audit.Finding{Code: audit.AnchorNotFound, Detail: anchor})
	}
	return r, a.sick
}

func (a record) Show(day string, w io.Writer) error {
	_, err := io.WriteString(w, `{"day":"`+day+`"}`+"\n")
	return errors.Join(err, a.sick)
}

func TestAudit(t *testing.T) {
	with := func(a door.Audit) func(*agenttest.Options, *door.Options) {
		return func(_ *agenttest.Options, o *door.Options) { o.Audit = a }
	}
	inBubbleWith(t, with(record{}), func(t *testing.T, r *rig) {
		r.call("GET", "/v1/audit/verify", admin, nil).want(200, "").is("good", true).is("n", 2)
		r.call("GET", "/v1/audit/verify?anchor=00", admin, nil).want(200, "").is("good", false)
		r.call("GET", "/v1/audit/verify?x=1", admin, nil).want(422, "field_invalid")
		r.call("GET", "/v1/audit/verify", his, nil).want(403, "forbidden")
		r.call("GET", "/v1/audit", admin, nil).want(422, "field_invalid")
		if got := r.call("GET", "/v1/audit?day=2026-11-22", admin, nil).want(200, ""); string(got.raw) != `{"day":"20261122"}`+"\n" {
			t.Errorf("%s", got.raw)
		}
		r.call("GET", "/v1/audit?day=2026-11-22", his, nil).want(403, "forbidden")
	})
	inBubbleWith(t, with(record{errors.New("sick")}), func(t *testing.T, r *rig) {
		r.call("GET", "/v1/audit/verify", admin, nil).want(500, "internal")
		defer func() {
			if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
				t.Errorf("got %v", v)
			}
		}()
		r.call("GET", "/v1/audit?day=2026-11-22", admin, nil)
		t.Error("the answer looks whole")
	})
	inBubble(t, func(t *testing.T, r *rig) {
		r.call("GET", "/v1/audit?day=2026-11-22", admin, nil).want(404, "not_found")
		r.call("GET", "/v1/audit/verify", admin, nil).want(404, "not_found")
	})
}

// TestSignsForFinance: what may be about the person at the till is for admins
// only, as a list and as alarms; no answer for the till names it.
func TestSignsForFinance(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		watch := finance.NewWatch(r.w.Agent, slog.New(slog.DiscardHandler))
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001"})
		time.Sleep(time.Hour)
		r.w.GiveBack(t, "MZ1", "R1", 50, "1001")
		if err := watch.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := r.call("GET", "/v1/signals", admin, nil).want(200, "")
		one := got.get("signals").([]any)[0].(object)
		if one["rule"] != "refund_absent" || one["till"] != "w1" || one["operator"] != "1001" || one["refund_no"] != "R1" || len(got.get("signals").([]any)) != 1 {
			t.Errorf("%v", one)
		}
		if list := r.call("GET", "/v1/alarms", admin, nil).want(200, "").get("alarms").([]any); len(list) != 1 || list[0].(object)["code"] != "check_refund_absent" {
			t.Errorf("%v", list)
		}
		if table := string(r.call("GET", "/v1/signals?format=csv", admin, nil).want(200, "").raw); !strings.Contains(table, "refund_absent") {
			t.Error(table)
		}
		r.call("GET", "/v1/signals?day=yesterday", admin, nil).want(422, "field_invalid").is("field", "day")
		for _, token := range []string{cashier1, refunder1, screen1, his} {
			r.call("GET", "/v1/signals", token, nil).want(403, "forbidden")
			r.call("GET", "/v1/alarms", token, nil).want(403, "forbidden")
		}
		for _, path := range []string{"/v1/orders/MZ1", "/v1/orders/MZ1/timeline", "/v1/tills/w1", "/readyz", "/v1/capabilities"} {
			if text := string(r.call("GET", path, his, nil).raw); strings.Contains(text, "refund_absent") || strings.Contains(text, "请核对") {
				t.Errorf("%s tells the till of it", path)
			}
		}
	})
}
