package door

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"payagent/agent/access"
	"payagent/agent/audit"
	"payagent/agent/finance"
	"payagent/agent/reconcile"
	"payagent/agent/words"
	"payagent/platforms"
)

// TotalsTrailer is the trailer of a comparison: its totals as JSON, also where
// the rows come as a table. An answer without it was broken off.
const TotalsTrailer = "X-Payagent-Totals"

// maxStatements bounds the body of a reconciliation, which may carry two files.
const maxStatements = 24 << 20

// Audit is the chained record as the door shows it.
type Audit interface {
	// Verify compares the record with itself and with the log.
	Verify(ctx context.Context, anchor string) (audit.Result, error)
	// Show writes the lines of one day, 20060102.
	Show(day string, w io.Writer) error
}

// financeRoutes are those of closing a shift and a day.
func (d *door) financeRoutes() []route {
	till := anyOf(access.Collect, access.Admin)
	admin := func(t access.Token) bool { return t.Allows(access.Admin, "") }
	return []route{
		{"POST", "/v1/shifts", till, false, d.openShift},
		{"GET", "/v1/shifts", till, false, d.listShifts},
		{"GET", "/v1/shifts/{id}", till, false, d.getShift},
		{"POST", "/v1/shifts/{id}/close", till, false, d.closeShift},
		{"GET", "/v1/report", till, true, d.report},
		{"GET", "/v1/signals", admin, false, d.signals},
		{"POST", "/v1/reconciliations", admin, true, d.reconcile},
		{"GET", "/v1/audit", admin, true, d.showAudit},
		{"GET", "/v1/audit/verify", admin, true, d.verifyAudit},
	}
}

// bodyLimit bounds the body of a route, in bytes.
func bodyLimit(path string) int64 {
	if path == "/v1/reconciliations" {
		return maxStatements
	}
	return maxBody
}

// works tells whether the caller may close shifts and see reports of a till; an
// empty till is all of them.
func (c caller) works(till string) bool {
	return c.collects(till) || c.token.Allows(access.Admin, till)
}

type shiftView struct {
	ID       string          `json:"id"`
	State    string          `json:"state"` // open or closed
	Till     string          `json:"till,omitempty"`
	Operator operatorView    `json:"operator"`
	OpenedAt string          `json:"opened_at"`
	ClosedAt string          `json:"closed_at,omitempty"`
	ClosedBy *operatorView   `json:"closed_by,omitempty"`
	Warnings []shiftWarning  `json:"warnings"`
	Report   *finance.Report `json:"report,omitempty"`
}

// shiftWarning is something that should be settled before the money is handed
// in; it does not keep the shift open.
type shiftWarning struct {
	_     [0]func()  // never compared: no code is made for it
	Code  string     `json:"code"`
	Count int        `json:"count"`
	Say   words.Text `json:"say"`
}

type shiftsView struct {
	Shifts []shiftView `json:"shifts"`
}

func viewShift(s finance.Shift, withReport bool) shiftView {
	v := shiftView{ID: s.ID, State: "open", Till: s.Till, Operator: operatorView{ID: s.Operator.ID, Name: s.Operator.Name},
		OpenedAt: stamp(s.Opened.UnixMilli()), Warnings: []shiftWarning{}}
	if !s.Open() {
		v.State, v.ClosedAt = "closed", stamp(s.Closed.UnixMilli())
		v.ClosedBy = &operatorView{ID: s.ClosedBy.ID, Name: s.ClosedBy.Name}
	}
	if !withReport {
		return v
	}
	v.Report = &s.Report
	for _, why := range []string{"open", "unknown", "refund_unknown", "unbooked"} {
		n := 0
		for _, o := range s.Report.Open {
			if o.Why == why {
				n++
			}
		}
		if n > 0 {
			v.Warnings = append(v.Warnings, shiftWarning{Code: why, Count: n, Say: finance.WhyText(why)})
		}
	}
	return v
}

// openShift is POST /v1/shifts. An operator who has an open shift gets that
// one.
func (d *door) openShift(w http.ResponseWriter, r *http.Request, c caller) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	op, till := operator(f), cmp.Or(f.text("till", 64), c.token.Till)
	f.rest()
	if *f.fault != nil {
		d.wrong(w, c, *f.fault, fault{})
		return
	}
	if _, ok := d.agent.Config().TillNamed(till); !ok && till != "" || !c.works(till) {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	s, fresh, err := d.shifts.Open(r.Context(), till, op, c.token.Name)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	if !c.works(s.Till) { // opened at a till that is not the caller's
		d.problem(w, c, fault{code: "shift_elsewhere"})
		return
	}
	status := http.StatusOK
	if fresh {
		status = http.StatusCreated
		w.Header().Set("Location", "/v1/shifts/"+s.ID)
	}
	answer(w, status, viewShift(s, true))
}

// listShifts is GET /v1/shifts: the open ones, or those of a day.
func (d *door) listShifts(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "day", "operator")
	var list []finance.Shift
	switch {
	case err != nil:
	case q["day"] == "":
		list, err = d.shifts.Running()
	default:
		var from time.Time
		if from, _, err = finance.Day(q["day"]); err == nil {
			list, err = d.shifts.On(from)
		}
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	v := shiftsView{Shifts: []shiftView{}}
	for _, s := range list {
		if c.works(s.Till) && (q["operator"] == "" || q["operator"] == s.Operator.ID) {
			v.Shifts = append(v.Shifts, viewShift(s, !s.Open()))
		}
	}
	answer(w, http.StatusOK, v)
}

// shiftOf finds the shift of a path for a caller who may see it.
func (d *door) shiftOf(w http.ResponseWriter, r *http.Request, c caller) (finance.Shift, bool) {
	s, err := d.shifts.Get(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, finance.ErrNoShift), err == nil && !c.works(s.Till):
		d.problem(w, c, fault{code: "not_found"})
		return s, false
	case err != nil:
		d.wrong(w, c, err, fault{})
		return s, false
	}
	return s, true
}

// getShift is GET /v1/shifts/{id}.
func (d *door) getShift(w http.ResponseWriter, r *http.Request, c caller) {
	if s, ok := d.shiftOf(w, r, c); ok {
		answer(w, http.StatusOK, viewShift(s, true))
	}
}

// closeShift is POST /v1/shifts/{id}/close. Closing twice gives the shift as it
// was closed.
func (d *door) closeShift(w http.ResponseWriter, r *http.Request, c caller) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	op := operator(f)
	f.rest()
	if *f.fault != nil {
		d.wrong(w, c, *f.fault, fault{})
		return
	}
	s, ok := d.shiftOf(w, r, c)
	if !ok {
		return
	}
	if s, err = d.shifts.Close(r.Context(), s.ID, op, c.token.Name); err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	answer(w, http.StatusOK, viewShift(s, true))
}

// report is GET /v1/report.
func (d *door) report(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "day", "from", "to", "operator", "till", "format")
	var ask finance.Query
	var format finance.Format
	if err == nil {
		ask, err = spanOf(q, d.agent.Now().Wall)
	}
	if err == nil {
		format, err = finance.ParseFormat(q["format"])
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	ask.Operator, ask.Till = q["operator"], cmp.Or(q["till"], c.token.Till)
	if !c.works(ask.Till) {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	rep, err := finance.Make(r.Context(), d.agent, ask)
	if errors.Is(err, finance.ErrSpan) {
		err = &platforms.FieldError{Field: "to", Reason: "must be after from, and at most 31 days after it"}
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	if format == finance.JSON {
		answer(w, http.StatusOK, rep)
		return
	}
	attachment(w, format, "report-"+rep.From.Format("20060102")+".csv")
	if err := rep.WriteSheet(w, format); err != nil {
		d.log.Info("a report was not taken whole", "error", err, "trace", c.trace)
	}
}

type signsView struct {
	Signals []finance.Sign `json:"signals"`
}

// signals is GET /v1/signals: what finance should look at, of a day. Only the
// scope admin sees it: it may be about whoever stands at the till.
func (d *door) signals(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "day", "format")
	var ask finance.Query
	var format finance.Format
	var list []finance.Sign
	if err == nil {
		ask, err = spanOf(q, d.agent.Now().Wall)
	}
	if err == nil {
		format, err = finance.ParseFormat(q["format"])
	}
	if err == nil {
		list, err = finance.Signs(d.agent, ask.From)
	}
	switch {
	case err != nil:
		d.wrong(w, c, err, fault{})
	case format == finance.JSON:
		answer(w, http.StatusOK, signsView{Signals: list})
	default:
		attachment(w, format, "signals-"+ask.From.Format("20060102")+".csv")
		if err := finance.WriteSigns(w, format, list); err != nil {
			d.log.Info("a list was not taken whole", "error", err, "trace", c.trace)
		}
	}
}

// attachment says that a table follows.
func attachment(w http.ResponseWriter, f finance.Format, name string) {
	w.Header().Set("Content-Type", f.Type())
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.WriteHeader(http.StatusOK)
}

// spanOf reads day, or from and to; the present day if there is none.
func spanOf(q map[string]string, wall int64) (finance.Query, error) {
	var ask finance.Query
	var err error
	switch {
	case q["day"] != "" && (q["from"] != "" || q["to"] != ""):
		return ask, &platforms.FieldError{Field: "day", Reason: "is given together with from or to"}
	case q["from"] != "" || q["to"] != "":
		if ask.From, err = time.Parse(time.RFC3339, q["from"]); err != nil {
			return ask, &platforms.FieldError{Field: "from", Reason: "must be a time such as 2026-11-22T08:00:00+08:00"}
		}
		if ask.To, err = time.Parse(time.RFC3339, q["to"]); err != nil {
			return ask, &platforms.FieldError{Field: "to", Reason: "must be a time such as 2026-11-22T18:00:00+08:00"}
		}
		return ask, nil
	}
	day := cmp.Or(q["day"], time.UnixMilli(wall).In(zone()).Format("2006-01-02"))
	ask.From, ask.To, err = finance.Day(day)
	return ask, err
}

// reconcile is POST /v1/reconciliations: the rows come as they are compared.
func (d *door) reconcile(w http.ResponseWriter, r *http.Request, c caller) {
	o, format, err := reconcileRequest(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	o.Token = c.token.Name
	select {
	case d.comparing <- struct{}{}:
		defer func() { <-d.comparing }()
	default: // one at a time: it asks the platforms for every order of a day
		d.problem(w, c, fault{code: "too_many_requests"})
		return
	}
	w.Header().Set("Trailer", TotalsTrailer)
	attachmentOrJSON(w, format, "reconciliation-"+o.Day.In(zone()).Format("20060102")+".csv")
	s := &slow{w: w, rc: http.NewResponseController(w)}
	out := finance.NewDayWriter(s, format, o.Day)
	totals, err := finance.Reconcile(r.Context(), d.agent, o, out.Row)
	if err == nil {
		err = out.End(totals)
	}
	if err == nil {
		var data []byte
		data, err = json.Marshal(totals)
		w.Header().Set(TotalsTrailer, string(data))
	}
	if err != nil {
		// What was sent lacks its totals; the broken connection says so, too.
		d.log.Error("a comparison was broken off", "error", err, "trace", c.trace)
		panic(http.ErrAbortHandler)
	}
}

func attachmentOrJSON(w http.ResponseWriter, f finance.Format, name string) {
	if f != finance.JSON {
		attachment(w, f, name)
		return
	}
	w.Header().Set("Content-Type", f.Type())
	w.WriteHeader(http.StatusOK)
}

// slow is a writer to a client that may take its time, but not for ever.
type slow struct {
	w  io.Writer
	rc *http.ResponseController
}

// Write gives the client a while for each piece.
func (s *slow) Write(p []byte) (int, error) {
	_ = s.rc.SetWriteDeadline(time.Now().Add(30 * time.Second)) // only tests have a writer without deadlines
	return s.w.Write(p)
}

// reconcileRequest reads the body of POST /v1/reconciliations. Files come as
// texts; a file in GBK comes as it was read, in UTF-8.
func reconcileRequest(r *http.Request) (finance.DayOptions, finance.Format, error) {
	var o finance.DayOptions
	m, err := readBody(r)
	if err != nil {
		return o, "", err
	}
	f := newFields(m)
	day, format := f.text("day", 16), f.text("format", 8)
	o.Operator = operator(f)
	files := map[string]*reconcile.File{}
	for _, name := range []string{"statement", "his"} {
		v, ok := f.take(name)
		if !ok {
			continue
		}
		s, isText := v.(string)
		if !isText {
			f.wrong(name, "must be a text: the lines of a CSV file")
			continue
		}
		if files[name], err = reconcile.Parse(strings.NewReader(s)); err != nil {
			f.wrong(name, "%s", err)
		}
	}
	f.rest()
	if *f.fault != nil {
		return o, "", *f.fault
	}
	o.Statement, o.HIS = files["statement"], files["his"]
	if o.Day, _, err = finance.Day(day); err != nil {
		return o, "", err
	}
	as, err := finance.ParseFormat(format)
	return o, as, err
}

// showAudit is GET /v1/audit: the lines of a day, as they stand in the file.
func (d *door) showAudit(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "day")
	var day time.Time
	if err == nil {
		day, _, err = finance.Day(q["day"])
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	if d.opts.Audit == nil {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := &slow{w: w, rc: http.NewResponseController(w)}
	if err := d.opts.Audit.Show(day.Format("20060102"), s); err != nil {
		d.log.Error("the audit could not be shown", "error", err, "trace", c.trace)
		panic(http.ErrAbortHandler)
	}
}

// verifyAudit is GET /v1/audit/verify.
func (d *door) verifyAudit(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "anchor")
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	if d.opts.Audit == nil {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	result, err := d.opts.Audit.Verify(r.Context(), q["anchor"])
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	answer(w, http.StatusOK, auditView{Good: result.Good(), Result: result})
}

type auditView struct {
	Good bool `json:"good"`
	audit.Result
}
