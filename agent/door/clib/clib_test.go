package clib

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/agent/agenttest"
	"payagent/agent/door/livetest"
)

type view struct {
	Code  string
	No    string `json:"out_trade_no"`
	State string
	Bill  string
	Order struct {
		Refunded int64 `json:"refunded_fen"`
	}
	Refund struct {
		No    string `json:"refund_no"`
		State string
	}
	Operator struct{ Name string }
	Cash     struct{ Answer string } `json:"safe_to_take_cash"`
}

func read(t *testing.T, a answer) view {
	t.Helper()
	var v view
	if err := json.Unmarshal([]byte(a.text(t)), &v); err != nil {
		t.Fatalf("%v %q", err, a.text(t))
	}
	return v
}

func (a answer) is(t *testing.T, code int) view {
	t.Helper()
	if a.code != code {
		t.Fatalf("code %d, want %d: %.2000s", a.code, code, a.out)
	}
	return read(t, a)
}

// TestTheRealDoor: pay, query, cancel, refund over a running agent.
func TestTheRealDoor(t *testing.T) {
	r := newRig(t)
	charges := func() int { return len(r.live.Banks[agenttest.Full].Calls("charge")) }
	paid := r.pay("B1", 1230, 60).is(t, ok)
	if paid.State != "paid" || paid.Operator.Name != "王收费" || paid.Cash.Answer != "no" {
		t.Errorf("%+v", paid)
	}
	if v := r.call(call{name: "pay", settings: r.settings, a: "other", in: r.order("B1", 1230), len: -3, cap: 32768}).is(t, refused); v.Code != "bill_paid" || charges() != 1 {
		t.Errorf("%+v, %d charges", v, charges())
	}
	if v := r.call(call{name: "cancel", settings: r.settings, a: paid.No, in: null, cap: 32768}).is(t, no); v.State != "paid" {
		t.Errorf("%+v", v)
	}
	for range 2 {
		r.call(call{name: "book", settings: r.settings, a: paid.No, in: `{"result":"booked","his_flow_id":"F1"}`, len: -1, cap: 32768}).is(t, ok)
	}
	if v := r.call(call{name: "book", settings: r.settings, a: paid.No, in: `{"result":"failed"}`, len: -1, cap: 32768}).is(t, refused); v.Code != "booking_differs" {
		t.Errorf("%+v", v)
	}
	for range 2 {
		v := r.call(call{name: "refund", settings: r.settings, a: paid.No, b: "refund-1", in: `{"amount_fen":230,"operator":{"id":"1001"},"refund_no":"RF1"}`, len: -1, wait: 60, cap: 32768}).is(t, ok)
		if v.Refund.No != "RF1" || v.Refund.State != "done" || v.Order.Refunded != 230 {
			t.Errorf("%+v", v)
		}
	}
	if v := r.call(call{name: "refund", settings: r.settings, a: paid.No, b: "refund-2", in: `{"amount_fen":9999,"operator":{"id":"1001"}}`, len: -1, cap: 32768}).is(t, refused); v.Code != "refund_over" {
		t.Errorf("%+v", v)
	}
	if v := r.pay("B2", 502, 60).is(t, no); v.State != "failed" || v.Cash.Answer != "yes" {
		t.Errorf("%+v", v)
	}
	waits := r.call(call{name: "pay", settings: r.settings, a: "key-B3", in: r.order("收费 B3%&?", 501), len: -3, cap: 32768}).is(t, open)
	if v := r.call(call{name: "query_bill", settings: r.settings, a: "收费 B3%&?", cap: 32768}).is(t, open); v.No != waits.No || v.Bill != "收费 B3%&?" {
		t.Errorf("%+v", v)
	}
	if v := r.call(call{name: "cancel", settings: r.settings, a: waits.No, in: `{"operator":{"id":"1001"},"reason":"不缴了"}`, len: -1, wait: 60, cap: 32768}).is(t, ok); v.State != "canceled" {
		t.Errorf("%+v", v)
	}
	r.call(call{name: "query", settings: r.settings, a: waits.No, wait: 60, cap: 32768}).is(t, no)
	if v := r.call(call{name: "query_bill", settings: r.settings, a: "none", cap: 32768}).is(t, refused); v.Code != "not_found" {
		t.Errorf("%+v", v)
	}
	r.live.LoseAnswers(1)
	r.pay("B4", 700, 60).is(t, ok)
	if n := charges(); n != 4 {
		t.Errorf("%d charges", n)
	}
	if a := r.call(call{name: "call", settings: r.settings, a: "GET", b: "/v1/capabilities", in: null, cap: 1 << 20}); a.code != ok || a.status != 200 || !strings.Contains(a.text(t), `"api":"v1"`) {
		t.Errorf("%d %d %.300s", a.code, a.status, a.out)
	}
	if a := r.call(call{name: "call", settings: r.settings, a: "POST", b: "/v1/orders", in: "{}", len: -1, cap: 32768}); a.code != refused || a.status != 400 {
		t.Errorf("%d %d", a.code, a.status)
	}
	if a := r.call(call{name: "call", settings: r.settings + ";token=wrong", a: "GET", b: "/v1/capabilities", in: null, cap: 32768}); a.code != refused || a.status != 401 {
		t.Errorf("%d %d", a.code, a.status)
	}
	r.live.Shut()
	if v := r.call(call{name: "pay", settings: r.settings + ";timeout_ms=400", a: "k", in: r.order("B5", 700), len: -3, wait: 60, cap: 32768}).is(t, unreachable); v.Code != "agent_unreachable" || v.Cash.Answer != "no" {
		t.Errorf("%+v", v)
	}
}

// TestInDoubt: what the agent does not know, the library does not know.
func TestInDoubt(t *testing.T) {
	r := newRig(t)
	r.live.Banks[agenttest.Plain].Deafen(true)
	body := strings.Replace(r.order("D1", 500), `"w1"`, `"w3"`, 1)
	v := r.call(call{name: "pay", settings: r.settings, a: "d1", in: body, len: -3, cap: 32768}).is(t, open)
	a := r.call(call{name: "cancel", settings: r.settings, a: v.No, in: null, cap: 32768})
	for guard := time.Now().Add(2 * time.Minute); a.code != inDoubt && time.Now().Before(guard); {
		a = r.call(call{name: "query", settings: r.settings, a: v.No, wait: 1, cap: 32768})
	}
	if v := a.is(t, inDoubt); v.Cash.Answer != "no" {
		t.Errorf("%+v", v)
	}
}

// TestSmallBuffers calls every function with every small buffer, one byte
// above all: nothing is written beyond it, what is needed is told, and the
// request counts once.
func TestSmallBuffers(t *testing.T) {
	r := newRig(t)
	paid := r.pay("S1", 1000, 60).is(t, ok)
	r.call(call{name: "refund", settings: r.settings, a: paid.No, b: "sr", in: `{"amount_fen":100,"operator":{"id":"1"},"refund_no":"SR"}`, len: -1, wait: 60, cap: 32768}).is(t, ok)
	for _, encoding := range []string{"", ";encoding=gbk"} {
		for _, c := range []call{
			{name: "call", a: "GET", b: "/v1/orders/" + paid.No, in: null},
			{name: "pay", a: "key-S2", in: r.order("S2", 600), len: -3, wait: 60},
			{name: "query", a: paid.No},
			{name: "query_bill", a: "S1"},
			{name: "cancel", a: paid.No, in: null},
			{name: "refund", a: paid.No, b: "sr", in: `{"amount_fen":100,"operator":{"id":"1"},"refund_no":"SR"}`, len: -1},
			{name: "book", a: "NONE", in: `{"result":"failed","reason":"x"}`, len: -1},
			{name: "call", a: "PUT", b: "/v1/orders", in: null},
			{name: "query", a: "not a number"},
		} {
			c.settings = r.settings + encoding
			if encoding != "" && c.name == "pay" {
				gbk, err := simplifiedchinese.GBK.NewEncoder().String(c.in)
				if err != nil {
					t.Fatal(err)
				}
				c.in = strings.Replace(gbk, `"S2"`, `"S3"`, 1)
				c.in, c.a = strings.Replace(c.in, livetest.Code(r.codes), livetest.Code(r.codes+1), 1), "key-S3"
			}
			c.cap = 65536
			whole := r.call(c)
			text := whole.text(t)
			if whole.need != len(text)+1 || whole.code == tooSmall {
				t.Fatalf("%s: needs %d, has %d, code %d", c.name, whole.need, len(text)+1, whole.code)
			}
			for _, size := range []int{0, 1, 2, 7, whole.need - 200} {
				c.cap = size
				a := r.call(c)
				near := a.need > len(text)-60 && a.need < len(text)+60 // ages are counted in it
				if a.code != tooSmall || !near || a.text(t) != "" {
					t.Errorf("%s in %d bytes: code %d, needs %d of %d, %q", c.name, size, a.code, a.need, len(text)+1, a.out)
				}
			}
			for _, wrong := range []int{-1, -2} { // a negative size, NULL with a size
				c.cap = wrong
				if a := r.call(c); a.code != tooSmall && a.code != usage {
					t.Errorf("%s with a buffer of %d: %d", c.name, wrong, a.code)
				}
			}
		}
	}
	if n := len(r.live.Banks[agenttest.Full].Calls("charge")); n != 3 {
		t.Errorf("%d charges", n)
	}
	if n := len(r.live.Banks[agenttest.Full].Calls("refund")); n != 1 {
		t.Errorf("%d refunds", n)
	}
}

func TestGBK(t *testing.T) {
	r := newRig(t)
	enc, dec := simplifiedchinese.GBK.NewEncoder(), simplifiedchinese.GBK.NewDecoder()
	// 丂 and its like have a second byte that is \ or another ASCII character.
	body := strings.Replace(r.order("账单 乗丂誠琝甛", 600), "王收费", "傊乗琝", 1)
	gbk, err := enc.String(body)
	if err != nil {
		t.Fatal(err)
	}
	a := r.call(call{name: "pay", settings: r.settings + ";encoding=GBK", a: "g1", in: gbk, len: -3, wait: 60, cap: 32768})
	text, err := dec.String(a.text(t))
	if err != nil || strings.ContainsRune(text, '\uFFFD') || a.code != ok {
		t.Fatalf("%d %v %s", a.code, err, text)
	}
	for _, want := range []string{`"bill":"账单 乗丂誠琝甛"`, `"name":"傊乗琝"`} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s: %s", want, text)
		}
	}
	// What GBK lacks comes as \uXXXX and means the same.
	body = strings.Replace(r.order("B😀ö", 600), "王收费", "𠮷", 1)
	r.call(call{name: "pay", settings: r.settings, a: "g2", in: body, len: -3, wait: 60, cap: 32768}).is(t, ok)
	a = r.call(call{name: "query_bill", settings: r.settings, a: "B😀ö", cap: 32768})
	utf := read(t, a)
	a = r.call(call{name: "query", settings: r.settings + ";encoding=gbk", a: utf.No, cap: 32768})
	text, err = dec.String(a.text(t))
	var v view
	if err != nil || json.Unmarshal([]byte(text), &v) != nil || v.Bill != "B😀ö" || v.Operator.Name != "𠮷" {
		t.Errorf("%v %s", err, text)
	}
	for _, bad := range []string{"\xff\xff", "\x81", "a\x81\x20"} {
		if a := r.call(call{name: "pay", settings: r.settings + ";encoding=gbk", a: "g3", in: bad, len: -3, cap: 512}); a.code != usage {
			t.Errorf("%q: %d", bad, a.code)
		}
	}
	for _, bad := range []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xb8"} {
		if a := r.call(call{name: "pay", settings: r.settings, a: "g3", in: bad, len: -3, cap: 512}); a.code != usage {
			t.Errorf("%q: %d", bad, a.code)
		}
	}
}

// TestEveryCharacter takes every Chinese character of GBK there and back. The
// rows of symbols (A1–A9) and of parts of characters (FE) differ between makers.
func TestEveryCharacter(t *testing.T) {
	d := newDrive(t)
	var gbk, utf []byte
	for hi := 0x81; hi <= 0xFD; hi++ {
		if hi >= 0xA1 && hi <= 0xA9 {
			continue
		}
		for lo := 0x40; lo <= 0xFE; lo++ {
			pair := []byte{byte(hi), byte(lo)}
			s, err := simplifiedchinese.GBK.NewDecoder().Bytes(pair)
			back, err2 := simplifiedchinese.GBK.NewEncoder().Bytes(s)
			if r, _ := utf8.DecodeRune(s); err != nil || err2 != nil || !unicode.Is(unicode.Han, r) || string(back) != string(pair) {
				continue
			}
			gbk = append(gbk, pair...)
			utf = append(utf, s...)
		}
	}
	if len(gbk) < 2*20900 {
		t.Fatalf("only %d characters", len(gbk)/2)
	}
	if a := d.do("utf8", string(gbk)); string(a.out) != string(utf) {
		t.Error("GBK becomes another text")
	}
	if a := d.do("gbk", string(utf)); string(a.out) != string(gbk) {
		t.Error("UTF-8 becomes another text")
	}
}

func TestWrongParameters(t *testing.T) {
	r := newRig(t)
	good := r.settings
	for name, c := range map[string]call{
		"no settings":       {settings: null},
		"empty settings":    {settings: ""},
		"no address":        {settings: "token=x"},
		"no token":          {settings: "address=127.0.0.1:1"},
		"no port":           {settings: good + ";address=127.0.0.1"},
		"odd port":          {settings: good + ";address=127.0.0.1:80x"},
		"long host":         {settings: good + ";address=" + strings.Repeat("1", 100) + ":80"},
		"https":             {settings: good + ";address=https://127.0.0.1:80"},
		"token with a line": {settings: good + ";token=a\r\nX: y"},
		"long token":        {settings: good + ";token=" + strings.Repeat("t", 600)},
		"no token file":     {settings: good + ";token_file=/nowhere/at/all"},
		"encoding":          {settings: good + ";encoding=big5"},
		"timeout":           {settings: good + ";timeout_ms=50"},
		"timeout of words":  {settings: good + ";timeout_ms=soon"},
		"unknown member":    {settings: good + ";tls=yes"},
		"no equals":         {settings: good + ";gbk"},
		"key with a line":   {a: "a\r\nX: y"},
		"no key":            {a: null},
		"empty key":         {a: "\x01"},
		"long key":          {a: strings.Repeat("k", 256)},
		"negative wait":     {wait: -1},
		"too long":          {in: strings.Repeat(" ", 64<<10+1), len: -3},
		"negative length":   {in: "{}", len: -2},
	} {
		c.name, c.cap = "pay", 512
		if c.settings == "" && name != "empty settings" {
			c.settings = good
		}
		if c.a == "" {
			c.a = "key"
		}
		if a := r.call(c); a.code != usage || read(t, a).Code != "usage" {
			t.Errorf("%s: %d %q", name, a.code, a.out)
		}
	}
	for _, path := range []string{"", "v1/orders", "/v1/orders HTTP/1.1", "/v1\r\nX: y", "/中"} {
		if a := r.call(call{name: "call", settings: good, a: "GET", b: path, in: null, cap: 512}); a.code != usage {
			t.Errorf("path %q: %d", path, a.code)
		}
	}
	for _, number := range []string{null, "a/b", "a?b=c", "..", "a b", "A:1", strings.Repeat("1", 33)} {
		if a := r.call(call{name: "query", settings: good, a: number, cap: 512}); a.code != usage {
			t.Errorf("number %q: %d", number, a.code)
		}
	}
	file := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]int{"\xef\xbb\xbf " + r.live.Token + "\r\n": ok, "two words": usage, "": usage, strings.Repeat("x", 5000): usage} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := r.call(call{name: "call", settings: "address=" + r.live.Address + ";token_file=" + file, a: "GET", b: "/v1/capabilities", in: null, cap: 1 << 20}); a.code != want {
			t.Errorf("token file %.20q: %d", text, a.code)
		}
	}
}

// TestTwoPointers: the same in the local style, never beyond 8192 bytes.
func TestTwoPointers(t *testing.T) {
	r := newRig(t)
	trade := func(m map[string]any) answer {
		t.Helper()
		if m["settings"] == nil {
			m["settings"] = r.settings
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return r.call(call{name: "trade", settings: null, in: string(text), len: -1})
	}
	paid := trade(map[string]any{"action": "pay", "key": "t1", "wait_s": 60, "request": json.RawMessage(r.order("T1", 900))}).is(t, ok)
	trade(map[string]any{"action": "query", "bill": "T1"}).is(t, ok)
	trade(map[string]any{"action": "query", "order_no": paid.No}).is(t, ok)
	trade(map[string]any{"action": "cancel", "bill": "T1"}).is(t, no)
	trade(map[string]any{"action": "book", "bill": "T1", "request": map[string]any{"result": "booked", "his_flow_id": "TF1"}}).is(t, ok)
	v := trade(map[string]any{"action": "refund", "bill": "T1", "key": "t2", "wait_s": 60, "request": map[string]any{"amount_fen": 900, "operator": map[string]any{"id": "1"}}}).is(t, ok)
	if v.Order.Refunded != 900 {
		t.Errorf("%+v", v)
	}
	for name, m := range map[string]map[string]any{
		"no action": {}, "odd action": {"action": "steal", "order_no": "1"}, "no key": {"action": "pay", "request": map[string]any{}},
		"no number": {"action": "cancel"}, "odd wait": {"action": "query", "order_no": "1", "wait_s": "x"}, "odd settings": {"settings": "x", "action": "query"},
	} {
		if a := trade(m); a.code != usage {
			t.Errorf("%s: %d %s", name, a.code, a.text(t))
		}
	}
	// GBK by its settings; the second byte of 乗 is \.
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(fmt.Sprintf(`{"settings":"%s;encoding=gbk","action":"pay","key":"t3","wait_s":60,"request":%s}`, r.settings, strings.Replace(r.order("账乗", 600), "王收费", "乗", 1)))
	if err != nil {
		t.Fatal(err)
	}
	a := r.call(call{name: "trade", settings: null, in: gbk, len: -1})
	text, err := simplifiedchinese.GBK.NewDecoder().String(a.text(t))
	if err != nil || a.code != ok || !strings.Contains(text, `"bill":"账乗"`) {
		t.Errorf("%d %v %s", a.code, err, text)
	}
	for _, in := range []string{null, "", "{", "\xff", `{"settings":1}`, strings.Repeat("[", 5000)} {
		if a := r.call(call{name: "trade", settings: null, in: in, len: -1}); a.code != usage {
			t.Errorf("%.20q: %d", in, a.code)
		}
	}
}

func TestVersion(t *testing.T) {
	if a := newDrive(t).do("version"); string(a.out) != "1.0" {
		t.Errorf("%q", a.out)
	}
}
