package fwcserve_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"payagent/platforms"
	"payagent/platforms/fwc/fwcserve"
	"payagent/platforms/internal/wiretest"
)

const (
	token   = "5f0c1e2d-3b4a-4958-8776-a5b4c3d2e1f0"
	opList  = "IF_Get_Hospital_Trade_List"
	opQuery = "HIS_IF_Query"
)

var zone = time.FixedZone("UTC+8", 8*60*60)

// books answers what a test says and keeps what it was asked.
type books struct {
	trades []platforms.Trade
	breaks int // after so many rows, if not 0; -1 before the first
	order  platforms.OrderBooks
	err    error

	asked platforms.TradeQuery
	no    string
}

var errBroken = errors.New("SECRET: the disk is gone")

func (b *books) Trades(_ context.Context, q platforms.TradeQuery, yield func(platforms.Trade) error) error {
	b.asked = q
	if b.breaks < 0 {
		return errBroken
	}
	for i, t := range b.trades {
		if b.breaks > 0 && i == b.breaks {
			return errBroken
		}
		if err := yield(t); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) Order(_ context.Context, no string) (platforms.OrderBooks, error) {
	b.no = no
	return b.order, b.err
}

func open(t testing.TB, b *books, change ...func(*fwcserve.Config)) http.Handler {
	t.Helper()
	cfg := fwcserve.Config{Token: func(_ context.Context, h platforms.Hidden) bool { return h.Reveal() == token }, MaxRange: 744 * time.Hour}
	for _, f := range change {
		f(&cfg)
	}
	h, err := fwcserve.New(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func at(hour, minute, second int) time.Time {
	return time.Date(2026, 1, 1, hour, minute, second, 0, zone)
}

// day is what the sample of the list holds, filled in.
func day() []platforms.Trade {
	one := platforms.Trade{CardNo: platforms.Hide("K-0099"), PatientName: platforms.Hide("欧阳<甲>"), CostType: "挂号费", TradeNo: "4200001234", Amount: 8890, OutTradeNo: "MZ1",
		At: at(13, 5, 9), Channel: platforms.WeChat}
	two := one
	two.Refunded, two.Amount, two.At = true, 890, at(23, 59, 59)
	return []platforms.Trade{one, two}
}

var leaf = regexp.MustCompile(`<(\w+)>([^<]*)</\w+>`)

// sample fills a sample of the seed; a name that stands in it several times
// takes its values in turn.
func sample(t testing.TB, name string, v map[string][]string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "seed", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return leaf.ReplaceAllStringFunc(string(b), func(e string) string {
		name := leaf.FindStringSubmatch(e)[1]
		list, known := v[name]
		if !known {
			return e
		}
		value := list[min(seen[name], len(list)-1)]
		seen[name]++
		return "<" + name + ">" + esc.Replace(value) + "</" + name + ">"
	})
}

func span(begin, end string) map[string][]string {
	return map[string][]string{"BeginDate": {begin}, "EndDate": {end}}
}

// elements lists the elements of a document in order; words that the seed does
// not tell are not compared.
func elements(t testing.TB, doc string) []string {
	t.Helper()
	return wiretest.Elements(t, doc, "Message", "SubCode", "SubMessage")
}

func ways() []string { return []string{"soap11", "soap12", "raw", "raw by itself", "form"} }

// ask sends a document as a client outside would, and gives the one answered.
func ask(t testing.TB, h http.Handler, way, op, doc string) string {
	t.Helper()
	r := request(way, op, doc)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("%s %s: HTTP %d %s", way, op, rec.Code, rec.Body.String())
	}
	if !strings.HasPrefix(way, "soap") {
		return rec.Body.String()
	}
	var env struct {
		Body struct {
			Op struct {
				XMLName xml.Name
				Result  struct {
					XMLName xml.Name
					Text    string `xml:",chardata"`
				} `xml:",any"`
			} `xml:",any"`
		} `xml:"Body"`
	}
	if err := xml.Unmarshal(rec.Body.Bytes(), &env); err != nil || env.Body.Op.Result.XMLName != (xml.Name{Space: "http://tempuri.org/", Local: op + "Result"}) {
		t.Fatalf("%s: %v %s", op, err, rec.Body.String())
	}
	return env.Body.Op.Result.Text
}

func request(way, op, doc string) *http.Request {
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	envelope := func(ns string) string {
		return `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + ns + `"><soap:Body><t:` + op + ` xmlns:t="http://tempuri.org/"><t:xml>` + esc.Replace(doc) + `</t:xml></t:` + op + `></soap:Body></soap:Envelope>`
	}
	var r *http.Request
	switch way {
	case "soap11":
		r = httptest.NewRequest("POST", "http://h/his.asmx", strings.NewReader(envelope("http://schemas.xmlsoap.org/soap/envelope/")))
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		r.Header.Set("SOAPAction", `"urn:any"`)
	case "soap12":
		r = httptest.NewRequest("POST", "http://h/his.asmx", strings.NewReader(envelope("http://www.w3.org/2003/05/soap-envelope")))
		r.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
	case "form":
		r = httptest.NewRequest("POST", "http://h/"+op, strings.NewReader(url.Values{"xml": {doc}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case "raw":
		r = httptest.NewRequest("POST", "http://h/"+op, strings.NewReader(doc))
	default: // the document alone tells what is asked
		r = httptest.NewRequest("POST", "http://h/", strings.NewReader(doc))
		r.Header.Set("Content-Type", "text/xml")
	}
	return r
}

// Both samples of the seed, filled in, over every transport.
func TestSamples(t *testing.T) {
	for _, way := range ways() {
		b := &books{trades: day()}
		got := elements(t, ask(t, open(t, b), way, opList, sample(t, opList+".req", span("2026-01-01 00:00:00", "2026-01-01 23:59:59"))))
		want := elements(t, sample(t, opList+".resp", map[string][]string{"IsSuccess": {"1"}, "CardNo": {"K-0099"}, "PatientName": {"欧阳<甲>"}, "CostType": {"挂号费"},
			"OutTradeStatus": {"2", "3"}, "TradeNo": {"4200001234"}, "Amount": {"88.90", "8.90"}, "OutTradeNo": {"MZ1"},
			"TradeOptDateTime": {"2026-01-01 13:05:09", "2026-01-01 23:59:59"}}))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-seed +ours):\n%s", way, diff)
		}
		if b.asked.From != at(0, 0, 0) && !b.asked.From.Equal(at(0, 0, 0)) || !b.asked.To.Equal(at(23, 59, 59).Add(time.Second-1)) || b.asked.Channel != "" || b.asked.IncludeUnbooked {
			t.Errorf("%s: asked for %+v", way, b.asked)
		}
		b.order = platforms.OrderBooks{TradeNo: "4200001234", OutTradeNo: "MZ1", MedicalCard: platforms.Hide("K-0099"), Entries: []platforms.Entry{
			{FlowID: "2022010101010100001", Amount: 10000, At: time.Date(2022, 1, 1, 1, 1, 1, 0, zone), Channel: platforms.Alipay},
			{FlowID: "T2022010101010100001", Amount: -5000, At: time.Date(2022, 3, 1, 12, 1, 1, 0, zone), Channel: platforms.Alipay}}}
		v := map[string][]string{"AccessToken": {token}, "OutTradeNo": {"MZ1"}, "IsSuccess": {"1"}, "TradeNo": {"4200001234"}, "MedicalCard": {"K-0099"}}
		got = elements(t, ask(t, open(t, b, func(c *fwcserve.Config) { c.PayTypes = fwcserve.Names }), way, opQuery, sample(t, opQuery+".req", v)))
		v["TotalAmount"] = []string{"100.00", "-50.00"} // the sample leaves the decimals out
		if diff := cmp.Diff(elements(t, sample(t, opQuery+".resp", v)), got); diff != "" || b.no != "MZ1" {
			t.Errorf("%s asked for %q (-seed +ours):\n%s", way, b.no, diff)
		}
	}
}

// The switches.
func TestSwitches(t *testing.T) {
	b := &books{trades: day(), order: platforms.OrderBooks{OutTradeNo: "MZ1", Entries: []platforms.Entry{{FlowID: "1", Amount: 1, Channel: platforms.ECNY}}}}
	req := sample(t, opList+".req", span("2026-01-01 00:00:00", "2026-01-01 23:59:59"))
	if got := ask(t, open(t, b, func(c *fwcserve.Config) { c.RefundSign = fwcserve.Negative }), "raw", opList, req); !strings.Contains(got, "<Amount>-8.90<") || !strings.Contains(got, "<Amount>88.90<") {
		t.Error(got)
	}
	ask(t, open(t, b, func(c *fwcserve.Config) { c.EndExclusive, c.IncludeUnbooked = true, true }), "raw", opList, req)
	if !b.asked.To.Equal(at(23, 59, 59).Add(-1)) || !b.asked.IncludeUnbooked {
		t.Errorf("%+v", b.asked)
	}
	strict := open(t, b, func(c *fwcserve.Config) { c.RequireToken = true })
	if got := ask(t, strict, "raw", opList, req); !strings.Contains(got, "<IsSuccess>3<") || strings.Contains(got, "K-0099") {
		t.Error(got)
	}
	if got := ask(t, strict, "raw", opList, strings.Replace(req, "<head>", "<head><AccessToken>"+token+"</AccessToken>", 1)); !strings.Contains(got, "K-0099") || strings.Contains(got, token) {
		t.Error(got)
	}
	q := sample(t, opQuery+".req", map[string][]string{"AccessToken": {token}, "OutTradeNo": {"MZ1"}})
	if got := ask(t, open(t, b, func(c *fwcserve.Config) { c.Root = fwcserve.BarcodeTradeStatus }), "raw", opQuery, q); !strings.Contains(got, "<BarcodeTradeStatus>") || strings.Contains(got, "HisTradeStatus") || !strings.Contains(got, "<PayType>dc<") {
		t.Error(got)
	}
	for word, want := range map[string]platforms.Channel{"": "", "Alipay": platforms.Alipay, "WEIXIN": platforms.WeChat, "wechat": platforms.WeChat, " unionpay ": platforms.UnionPay, "dc": platforms.ECNY, "ElecNY": platforms.ECNY} {
		b.asked = platforms.TradeQuery{}
		if ask(t, open(t, b), "form", opList, strings.Replace(req, "</EndDate>", "</EndDate><PayType>"+word+"</PayType>", 1)); b.asked.Channel != want || b.asked.From.IsZero() {
			t.Errorf("%q: %+v", word, b.asked)
		}
	}
	own := open(t, b, func(c *fwcserve.Config) { c.Namespace, c.ParamName = "urn:his", "request" })
	rec := httptest.NewRecorder()
	if own.ServeHTTP(rec, httptest.NewRequest("GET", "http://h/x?wsdl", nil)); !strings.Contains(rec.Body.String(), `targetNamespace="urn:his"`) || !strings.Contains(rec.Body.String(), `name="request"`) {
		t.Error(rec.Body.String())
	}
	for _, c := range []fwcserve.Config{{}, {Token: func(context.Context, platforms.Hidden) bool { return true }, RefundSign: "x"}, {Token: func(context.Context, platforms.Hidden) bool { return true }, PayTypes: "x"}, {Token: func(context.Context, platforms.Hidden) bool { return true }, Root: "x"}} {
		if _, err := fwcserve.New(b, c); err == nil {
			t.Errorf("taken: %+v", c)
		}
	}
}

// Times in every form, and what is refused with the field named.
func TestDates(t *testing.T) {
	for _, form := range []string{"2026-01-01 13:05:09", "2026/1/1 13:05:09", "20260101130509", " 2026-01-01 13:05:09 ", "2026-01-01T13:05:09"} {
		b := &books{}
		got := ask(t, open(t, b), "raw", opList, sample(t, opList+".req", span(form, form)))
		if !b.asked.From.Equal(at(13, 5, 9)) || !strings.Contains(got, "<IsSuccess>1<") || strings.Contains(got, "GetHospitalTradeList") {
			t.Errorf("%q: %+v %s", form, b.asked, got)
		}
	}
	for name, x := range map[string]struct {
		begin, end, more, want string
	}{
		"no begin":       {"", "2026-01-01 00:00:00", "", "BeginDate"},
		"words":          {"开始日期时间", "2026-01-01 00:00:00", "", "BeginDate"},
		"no such day":    {"2026-02-30 00:00:00", "2026-03-01 00:00:00", "", "BeginDate"},
		"no end":         {"2026-01-01 00:00:00", "tomorrow", "", "EndDate"},
		"backwards":      {"2026-01-02 00:00:00", "2026-01-01 00:00:00", "", "EndDate"},
		"too long":       {"2025-01-01 00:00:00", "2026-01-01 00:00:00", "", "EndDate"},
		"other PayType":  {"2026-01-01 00:00:00", "2026-01-01 00:00:00", "<PayType>cash</PayType>", "PayType"},
		"begin twice":    {"2026-01-01 00:00:00", "2026-01-01 00:00:00", "<BeginDate>x</BeginDate>", "报文"},
		"elements there": {"2026-01-01 00:00:00", "2026-01-01 00:00:00", "<PayType><a/></PayType>", "报文"},
	} {
		b := &books{trades: day()}
		got := ask(t, open(t, b), "soap11", opList, strings.Replace(sample(t, opList+".req", span(x.begin, x.end)), "</head>", x.more+"</head>", 1))
		if !strings.Contains(got, "<IsSuccess>0<") || !strings.Contains(got, x.want) || strings.Contains(got, "GetHospitalTradeList") || !b.asked.From.IsZero() {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestQuery(t *testing.T) {
	q := sample(t, opQuery+".req", map[string][]string{"AccessToken": {token}, "OutTradeNo": {"MZ1"}})
	for name, x := range map[string]struct {
		b    *books
		doc  string
		want string
	}{
		"no order":    {&books{err: fmt.Errorf("%w: MZ1", platforms.ErrNoOrder)}, q, "0"},
		"broken":      {&books{err: errBroken}, q, "2"},
		"wrong token": {&books{}, strings.Replace(q, token, "x", 1), "3"},
		"no token":    {&books{}, strings.Replace(q, token, "", 1), "3"},
		"no number":   {&books{}, strings.Replace(q, ">MZ1<", "><", 1), "0"},
	} {
		got := ask(t, open(t, x.b), "raw", opQuery, x.doc)
		if !strings.Contains(got, "<IsSuccess>"+x.want+"<") || strings.Contains(got, "HisTradeStatus") || strings.Contains(got, "SECRET") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// complete tells whether what a client got over a real connection is a list
// that it may take for complete: the transfer ended well, and the document is
// well-formed with IsSuccess 1.
func complete(t *testing.T, s *httptest.Server, way string) (bool, string) {
	t.Helper()
	r := request(way, opList, sample(t, opList+".req", span("2026-01-01 00:00:00", "2026-01-01 23:59:59")))
	r.RequestURI = ""
	r.URL.Scheme, r.URL.Host, r.Host = "http", strings.TrimPrefix(s.URL, "http://"), ""
	resp, err := s.Client().Do(r)
	if err != nil {
		return false, ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, string(body)
	}
	d := xml.NewDecoder(strings.NewReader(string(body)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return false, string(body)
		}
	}
	text := strings.NewReplacer("&lt;", "<", "&gt;", ">").Replace(string(body))
	return resp.StatusCode == 200 && strings.Contains(text, "<IsSuccess>1<") && strings.HasSuffix(strings.TrimSpace(strings.SplitAfter(text, "</xml>")[0]), "</xml>"), text
}

// A list that breaks, at whatever row, is never taken for a complete one; a
// long one that does not break arrives whole.
func TestBrokenList(t *testing.T) {
	long := make([]platforms.Trade, 5000)
	for i := range long {
		long[i] = day()[0]
		long[i].OutTradeNo = fmt.Sprintf("MZ%d", i)
	}
	b := &books{trades: long}
	s := httptest.NewServer(open(t, b))
	defer s.Close()
	for _, way := range ways() {
		for _, breaks := range []int{-1, 1, 100, 700, 2500, 4999} {
			b.breaks = breaks
			if ok, text := complete(t, s, way); ok {
				t.Errorf("%s: a list that broke after %d rows is taken for complete: %.300s", way, breaks, text)
			} else if breaks < 100 && (!strings.Contains(text, "<IsSuccess>2<") || strings.Contains(text, "SECRET")) {
				t.Errorf("%s: %.500s", way, text)
			}
		}
		b.breaks = 0
		if ok, text := complete(t, s, way); !ok || strings.Count(text, "<GetHospitalTradeList>") != len(long) || !strings.Contains(text, "<OutTradeNo>MZ4999<") {
			t.Errorf("%s: %d rows arrived of %d", way, strings.Count(text, "<GetHospitalTradeList>"), len(long))
		}
	}
	b.trades = nil
	if ok, text := complete(t, s, "raw"); !ok || strings.Contains(text, "GetHospitalTradeList") {
		t.Errorf("an empty list: %s", text)
	}
}

// Requests that are no calls.
func TestOddRequests(t *testing.T) {
	h := open(t, &books{trades: day()})
	for name, x := range map[string]struct {
		method, path, kind, body string
		status                   int
	}{
		"a browser":     {"GET", "/", "", "", 404},
		"PUT":           {"PUT", "/", "", "", 405},
		"nothing":       {"POST", "/", "text/xml", "", 400},
		"not XML":       {"POST", "/", "text/xml", "hello", 400},
		"another head":  {"POST", "/", "text/xml", "<xml><head><X>1</X></head></xml>", 400},
		"another call":  {"POST", "/", "text/xml", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><FWC_IF_Barcode_Pay xmlns="http://tempuri.org/"/></s:Body></s:Envelope>`, 500},
		"soap 12, junk": {"POST", "/", "application/soap+xml", "hello", 500},
	} {
		r := httptest.NewRequest(x.method, "http://h"+x.path, strings.NewReader(x.body))
		r.Header.Set("Content-Type", x.kind)
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code != x.status || strings.Contains(rec.Body.String(), "K-0099") {
			t.Errorf("%s: HTTP %d %s", name, rec.Code, rec.Body.String())
		}
	}
}

// FuzzServe: no bytes make it panic, and no order is told without the token.
func FuzzServe(f *testing.F) {
	f.Add("/"+opList, "text/xml", sample(f, opList+".req", span("2026-01-01 00:00:00", "2026-01-01 23:59:59")))
	f.Add("/", "application/x-www-form-urlencoded", url.Values{"xml": {sample(f, opQuery+".req", map[string][]string{"OutTradeNo": {"MZ1"}})}}.Encode())
	f.Add("/", "application/soap+xml", `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><HIS_IF_Query xmlns="http://tempuri.org/"><xml>&lt;xml/&gt;</xml></HIS_IF_Query></s:Body></s:Envelope>`)
	f.Fuzz(func(t *testing.T, path, kind, body string) {
		b := &books{trades: day(), order: platforms.OrderBooks{OutTradeNo: "MZ1"}}
		r := httptest.NewRequest(http.MethodPost, "http://h/", strings.NewReader(body))
		r.URL.Path = path
		r.Header.Set("Content-Type", kind)
		open(t, b).ServeHTTP(httptest.NewRecorder(), r)
		if b.no != "" && !strings.Contains(body, token[:8]) && !strings.Contains(body, "&#") && !strings.Contains(body, "%") && !strings.Contains(body, "CDATA") {
			t.Errorf("told without the token: %q", body)
		}
	})
}

// Every element of the seed's samples has a row, and every row but the token of
// the list, and PayType, which only the table has, an element.
func TestFields(t *testing.T) {
	rows := map[string]bool{}
	for _, r := range fwcserve.Fields() {
		key := r.Message + map[string]string{platforms.FieldRead: ".req ", platforms.FieldSent: ".resp "}[r.Direction] + r.Field
		if rows[key] {
			t.Errorf("%s stands there twice", key)
		}
		rows[key] = true
	}
	seen := map[string]bool{opList + ".req head/AccessToken": true, opList + ".req head/PayType": true}
	for _, name := range []string{opList + ".req", opList + ".resp", opQuery + ".req", opQuery + ".resp"} {
		all := elements(t, sample(t, name, nil))
		for i, e := range all {
			path, _, _ := strings.Cut(e, "=")
			inner := i > 0 && strings.HasPrefix(all[i-1], path+"/") // a section, whose fields have the rows
			if path = strings.TrimPrefix(path, "xml/"); path == "xml" || inner {
				continue
			}
			if seen[name+" "+path] = true; !rows[name+" "+path] {
				t.Errorf("%s %s has no row", name, path)
			}
		}
	}
	for key := range rows {
		if !seen[key] {
			t.Errorf("%s is in no sample", key)
		}
	}
}
