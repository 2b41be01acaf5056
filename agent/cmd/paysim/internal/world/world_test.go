package world

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// clock is a wall clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t *testing.T, dir string, c *clock, change func(*Options)) *World {
	t.Helper()
	o := Options{Dir: dir, Now: c.Now, Rand: rand.Reader}
	if change != nil {
		change(&o)
	}
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func order(t *testing.T, w *World, no string) Order {
	t.Helper()
	truth, err := w.Truth()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range truth.Orders {
		if o.OrderNo == no {
			return o
		}
	}
	t.Fatalf("no order %s in %+v", no, truth)
	return Order{}
}

func TestTheWorldGoesOnWhereItStopped(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	w := open(t, dir, c, nil)
	b := w.Bank()
	b.Charge(w.Now(), bank.Request{OrderNo: "AT-ONCE", Amount: 500}, bank.Payer{Channel: platforms.WeChat})
	b.Refund(w.Now(), "AT-ONCE", "R1", 200)
	b.Charge(w.Now(), bank.Request{OrderNo: "PASSWORD", Amount: 190}, bank.Payer{PayAfter: 20 * time.Second})
	c.add(5 * time.Second)
	if got := order(t, w, "PASSWORD"); got.State != bank.Unpaid || got.PayRequests != 1 {
		t.Fatalf("%+v", got)
	}
	before, err := w.Truth()
	if err != nil {
		t.Fatal(err)
	}
	epoch := w.Epoch()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, c, nil)
	after, err := w.Truth()
	if err != nil || !reflect.DeepEqual(after, before) || !w.Epoch().Equal(epoch) {
		t.Fatalf("%v\n%+v\n%+v", err, before, after)
	}
	if got := order(t, w, "AT-ONCE"); got.NetFen != 300 || got.Captures != 1 {
		t.Fatalf("%+v", got)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c.add(15 * time.Second) // dead meanwhile; the payer is not
	w = open(t, dir, c, nil)
	if got := order(t, w, "PASSWORD"); got.State != bank.Paid || got.NetFen != 190 || got.PaidMS != 20_000 {
		t.Fatalf("%+v", got)
	}
	read, err := ReadTruth(dir, c.Now())
	now, err2 := w.Truth()
	if err != nil || err2 != nil || !reflect.DeepEqual(read, now) {
		t.Fatalf("%v %v\n%+v\n%+v", err, err2, read, now)
	}
}

func TestADamagedTailCostsOnlyItself(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	w := open(t, dir, c, nil)
	w.Bank().Charge(w.Now(), bank.Request{OrderNo: "A", Amount: 500}, bank.Payer{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, LedgerName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"sum":"0000`)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, c, nil)
	if got := order(t, w, "A"); w.Cut() != 12 || got.NetFen != 500 {
		t.Fatalf("cut %d, %+v", w.Cut(), got)
	}
}

func TestTimeMayRunFasterAndNeverBack(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	w := open(t, dir, c, func(o *Options) { o.Scale = 10 })
	c.add(2 * time.Second)
	if w.Now() != 20*time.Second {
		t.Fatal(w.Now())
	}
	w.Bank().Charge(w.Now(), bank.Request{OrderNo: "A", Amount: 500}, bank.Payer{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c.add(-time.Hour) // the wall clock was set back
	w = open(t, dir, c, nil)
	if w.Now() != 20*time.Second {
		t.Fatal(w.Now())
	}
	c.add(time.Second)
	if w.Now() != 21*time.Second {
		t.Fatal(w.Now())
	}
	for _, bad := range []float64{-1, math.Inf(1), math.NaN()} {
		if _, err := Open(Options{Dir: t.TempDir(), Now: c.Now, Rand: rand.Reader, Scale: bad}); err == nil {
			t.Errorf("scale %v accepted", bad)
		}
	}
}

func TestTheTableIsTheBanks(t *testing.T) {
	seen := map[int]Scenario{}
	for _, s := range Scenarios() {
		if _, twice := seen[s.N]; twice || s.Zh == "" || s.En == "" {
			t.Errorf("%+v", s)
		}
		seen[s.N] = s
	}
	plain := bank.ScriptFor(0, "")
	for n := range 100 {
		got := bank.ScriptFor(platforms.Fen(n), "")
		s, listed := seen[n]
		if n > 0 && listed == reflect.DeepEqual(got, plain) {
			t.Errorf("%d: listed %v, behaves %+v", n, listed, got)
		}
		if listed && s.Payer != (got.Faults == nil) {
			t.Errorf("%d: payer %v, faults %v", n, s.Payer, got.Faults)
		}
	}
}

func TestAPhonesCodeIsGoodOnceAndNotForLong(t *testing.T) {
	c := newClock()
	w := open(t, t.TempDir(), c, nil)
	for _, wallet := range Wallets() {
		for _, s := range Scenarios() {
			code, err := w.NewCode(wallet, s.N)
			if err != nil {
				t.Fatal(err)
			}
			if sc := platforms.DefaultRules().Recognise(code.Text, ""); !sc.Payable || sc.Channel != wallet {
				t.Fatalf("%s: %+v", wallet, sc)
			}
			want := bank.ScriptFor(platforms.Fen(s.N), "")
			want.Payer.Channel = wallet
			if got := w.Script(1293, code.Text); !reflect.DeepEqual(got, want) {
				t.Fatalf("%d: %+v, want %+v", s.N, got, want)
			}
			if got := w.Script(1200, code.Text); !got.Payer.BadCode {
				t.Fatalf("used twice: %+v", got)
			}
		}
	}
	code, err := w.NewCode(platforms.Alipay, ByAmount)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Script(1293, code.Text).Payer; got.PayAfter != -1 || got.Channel != platforms.Alipay {
		t.Errorf("by amount: %+v", got)
	}
	if code, err = w.NewCode(platforms.WeChat, 0); err != nil {
		t.Fatal(err)
	}
	c.add(CodeLife + time.Second)
	if got := w.Script(1200, code.Text).Payer; !got.BadCode {
		t.Errorf("expired: %+v", got)
	}
	if got := w.Script(1294, "134567890123456789"); !reflect.DeepEqual(got, bank.ScriptFor(1294, "134567890123456789")) {
		t.Errorf("a code of no phone: %+v", got)
	}
	if _, err := w.NewCode("cash", 0); !errors.Is(err, ErrWallet) {
		t.Error(err)
	}
	if _, err := w.NewCode(platforms.WeChat, 42); !errors.Is(err, ErrBehave) {
		t.Error(err)
	}
}

func TestNoCodeIsEverOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, newClock(), nil)
	code, err := w.NewCode(platforms.WeChat, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := w.Script(1200, code.Text)
	w.Bank().Charge(w.Now(), bank.Request{OrderNo: "A", Amount: 1200}, s.Payer)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, LedgerName))
	if err != nil || len(text) == 0 || bytes.Contains(text, []byte(code.Text)) {
		t.Fatalf("%v %s", err, text)
	}
}

func TestAPoorSourceOfChanceIsAnError(t *testing.T) {
	// Bytes of 99 give nines: 62 with nines is a good code once, then known.
	w := open(t, t.TempDir(), newClock(), func(o *Options) { o.Rand = nines{} })
	if _, err := w.NewCode(platforms.UnionPay, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.NewCode(platforms.UnionPay, 0); err == nil {
		t.Fatal("the same code twice")
	}
	w = open(t, t.TempDir(), newClock(), func(o *Options) { o.Rand = strings.NewReader("") })
	if _, err := w.NewCode(platforms.WeChat, 0); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

type nines struct{}

func (nines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 99
	}
	return len(p), nil
}

func TestAPhonePaysQRCodes(t *testing.T) {
	c := newClock()
	w := open(t, t.TempDir(), c, nil)
	b := w.Bank()
	b.Present(w.Now(), bank.Request{OrderNo: "Q1", Amount: 100})
	c.add(time.Second)
	b.Present(w.Now(), bank.Request{OrderNo: "Q2", Amount: 293, Channel: platforms.Alipay})
	b.Charge(w.Now(), bank.Request{OrderNo: "C1", Amount: 100}, bank.Payer{PayAfter: -1})
	list, err := w.OpenQRs()
	if err != nil || len(list) != 2 || list[0].OrderNo != "Q2" || list[1] != (QR{QRText("Q1"), "Q1", 100, ""}) {
		t.Fatalf("%v %+v", err, list)
	}
	if o, err := w.Pay(QRText("Q1"), platforms.UnionPay, ByAmount); err != nil || o.State != bank.Paid || o.Channel != platforms.UnionPay {
		t.Errorf("%v %+v", err, o)
	}
	if _, err := w.Pay("Q2", platforms.WeChat, 0); !errors.Is(err, ErrWrongWallet) {
		t.Error(err)
	}
	if o, err := w.Pay("Q2", platforms.Alipay, 90); err != nil || o.State != bank.Unpaid {
		t.Errorf("%v %+v", err, o)
	}
	c.add(20 * time.Second)
	if o := order(t, w, "Q2"); o.NetFen != 293 {
		t.Errorf("%+v", o)
	}
	for _, nobody := range []string{"C1", "Q3", "https://elsewhere.invalid/?o=Q1", ""} {
		if _, err := w.Pay(nobody, platforms.WeChat, 0); !errors.Is(err, ErrNoQR) {
			t.Errorf("%q: %v", nobody, err)
		}
	}
	p, err := w.Purse()
	if err != nil || p.TotalFen != 393 || p.ByWallet[platforms.UnionPay] != 100 || p.ByWallet[platforms.Alipay] != 293 || p.ByWallet[platforms.WeChat] != 0 {
		t.Errorf("%v %+v", err, p)
	}
	if list, err := w.OpenQRs(); err != nil || len(list) != 0 {
		t.Errorf("%v %+v", err, list)
	}
}

func TestNothingIsToldBeforeItIsOnTheDisk(t *testing.T) {
	w := open(t, t.TempDir(), newClock(), nil)
	var steps []string
	g := &guarded{ResponseWriter: httptest.NewRecorder(), sync: func() error { steps = append(steps, "sync"); return nil }}
	g.ResponseWriter = stepper{g.ResponseWriter, &steps}
	g.WriteHeader(200)
	_, _ = g.Write([]byte("x"))
	if !slices.Equal(steps, []string{"sync", "header", "body"}) {
		t.Fatal(steps)
	}
	// A world whose disk is gone breaks the connection.
	srv := httptest.NewServer(w.Guard(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.Bank().Charge(w.Now(), bank.Request{OrderNo: "A", Amount: 1}, bank.Payer{})
		_, _ = io.WriteString(rw, "paid")
	})))
	defer srv.Close()
	get := func() error {
		resp, err := srv.Client().Get(srv.URL)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := get(); err == nil {
		t.Fatal("answered although nothing was written down")
	}
}

type stepper struct {
	http.ResponseWriter
	steps *[]string
}

func (s stepper) WriteHeader(int) { *s.steps = append(*s.steps, "header") }
func (s stepper) Write(p []byte) (int, error) {
	*s.steps = append(*s.steps, "body")
	return len(p), nil
}
