package reconcile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"

	"payagent/platforms"
)

var day = time.Date(2026, 11, 22, 0, 0, 0, 0, zone())

func w(paid, back platforms.Fen) Word { return Word{Known: true, Money: Money{paid, back}} }

func TestClasses(t *testing.T) {
	open := Word{Known: false}
	for _, tc := range []struct {
		name                   string
		journal, platform, his Word
		noHIS                  bool
		class                  Class
		diff                   platforms.Fen
	}{
		{"all agree", w(100, 0), w(100, 0), w(100, 0), false, Equal, 0},
		{"none took anything", w(0, 0), w(0, 0), w(0, 0), false, Equal, 0},
		{"partly given back by all", w(100, 30), w(100, 30), w(100, 30), false, Equal, 0},
		{"HIS never booked", w(100, 0), w(100, 0), w(0, 0), false, Long, 100},
		{"HIS booked the refund, the platform did not give back", w(100, 0), w(100, 0), w(100, 100), false, Long, 100},
		{"money after an unpaid end", w(0, 0), w(100, 0), w(0, 0), false, Long, 100},
		{"HIS booked what was never paid", w(0, 0), w(0, 0), w(100, 0), false, Short, -100},
		{"given back at the platform, HIS knows nothing", w(100, 0), w(100, 100), w(100, 0), false, Short, -100},
		{"another amount", w(100, 0), w(90, 0), w(100, 0), false, AmountDiffers, -10},
		{"a refund that HIS does not know", w(100, 30), w(100, 30), w(100, 0), false, AmountDiffers, -30},
		{"the journal is in doubt", open, w(0, 0), w(0, 0), false, StateDiffers, 0},
		{"the journal missed a payment that HIS booked", w(0, 0), w(100, 0), w(100, 0), false, StateDiffers, 0},
		{"HIS failed, the agent reversed", w(100, 100), w(100, 100), w(0, 0), false, Equal, 0},
		{"booked and given back, never paid", w(0, 0), w(0, 0), w(100, 100), false, StateDiffers, 0},
		{"not asked", w(100, 0), open, w(100, 0), false, Unknown, 0},
		{"without HIS the journal stands for the books", w(100, 0), w(100, 0), w(0, 0), true, Equal, 0},
		{"without HIS, the journal has it, the platform not", w(100, 0), w(0, 0), w(0, 0), true, Short, -100},
		{"more given back than taken", w(100, 100), w(100, 130), w(100, 100), false, Short, -30},
	} {
		class, diff := classify(tc.journal, tc.platform, tc.his, !tc.noHIS)
		if class != tc.class || diff != tc.diff {
			t.Errorf("%s: %s %d, not %s %d", tc.name, class, diff, tc.class, tc.diff)
		}
	}
}

func anyWord(t *rapid.T, name string) Word {
	v := w(platforms.Fen(rapid.IntRange(0, 3).Draw(t, name+" paid")), platforms.Fen(rapid.IntRange(0, 3).Draw(t, name+" back")))
	v.Known = rapid.IntRange(0, 9).Draw(t, name+" known") > 0
	return v
}

// Each order is in one class; the differences add up to what the platform has
// beyond the books; looked at from the other side, long is short; and equal
// means that all three say the same.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		no := rapid.Bool().Draw(t, "no HIS")
		c, back := New(Options{Day: day, NoHIS: no}), New(Options{Day: day})
		var plat, books, sum platforms.Fen
		n := rapid.IntRange(0, 20).Draw(t, "orders")
		for i := range n {
			o := Order{No: fmt.Sprint(i), Channel: rapid.SampledFrom([]platforms.Channel{"", platforms.WeChat, platforms.Alipay}).Draw(t, "channel"),
				Journal: anyWord(t, "journal"), Platform: anyWord(t, "platform"), HIS: anyWord(t, "his")}
			o.HIS.Known = true
			row, ok := c.Add(o)
			if _, twice := c.Add(o); !ok || twice {
				t.Fatal("an order counts once")
			}
			same := o.Platform.Known && o.Journal.Known && o.Journal.Money == o.Platform.Money &&
				(no || o.HIS.Money == o.Platform.Money || o.HIS.Money == Money{} && o.Platform.Net() == 0)
			if (row.Class == Equal) != same {
				t.Fatalf("%+v is %s", o, row.Class)
			}
			if row.Class == Unknown {
				continue
			}
			plat += o.Platform.Net()
			if no {
				books += o.Journal.Net()
			} else {
				books += o.HIS.Net()
				// The mirror: HIS and platform change places.
				m, _ := back.Add(Order{No: o.No, Journal: o.Journal, Platform: o.HIS, HIS: o.Platform})
				mirror := map[Class]Class{Long: Short, Short: Long}
				want := row.Class
				if x, ok := mirror[want]; ok {
					want = x
				}
				if m.Diff != -row.Diff || row.Diff != 0 && m.Class != want {
					t.Fatalf("%+v is %s %d, from the other side %s %d", o, row.Class, row.Diff, m.Class, m.Diff)
				}
			}
		}
		got := c.Totals()
		count := 0
		for _, class := range Classes() {
			count += got.Classes[class].Count
			sum += got.Classes[class].Diff
			var byChannel Sum
			for _, ch := range got.Channels {
				byChannel.Count += ch[class].Count
				byChannel.Diff += ch[class].Diff
			}
			if byChannel != got.Classes[class] {
				t.Fatalf("the channels add up to %+v, not %+v", byChannel, got.Classes[class])
			}
		}
		if count != n || got.Orders != n || sum != plat-books || got.Platform-got.Books != sum {
			t.Fatalf("%d rows of %d, differences %d, platform %d, books %d", count, n, sum, plat, books)
		}
		if got.Classes[Long].Diff < 0 || got.Classes[Short].Diff > 0 {
			t.Fatalf("long %d, short %d", got.Classes[Long].Diff, got.Classes[Short].Diff)
		}
	})
}

// A statement made of the journal's own movements of a day agrees with it, in
// whatever order its lines stand and whatever happened on other days.
func TestStatementOfTheJournal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines []string
		var orders []Order
		for i := range rapid.IntRange(1, 8).Draw(t, "orders") {
			o := Order{No: fmt.Sprintf("MZ%d", i), Journal: Word{Known: true}}
			paid := rapid.IntRange(-1, 0).Draw(t, "paid on day")
			o.Moves = append(o.Moves, Move{Amount: 1000, At: day.AddDate(0, 0, paid).Add(time.Hour)})
			o.Journal.Paid = 1000
			if paid == 0 {
				lines = append(lines, o.No+",支付,1000,")
			}
			for j := range rapid.IntRange(0, 3).Draw(t, "refunds") {
				d := rapid.IntRange(paid, 1).Draw(t, "refunded on day")
				sum := platforms.Fen(rapid.SampledFrom([]int{50, 100}).Draw(t, "sum"))
				m := Move{Refund: true, RefundNo: fmt.Sprintf("R%d-%d", i, j), Amount: sum, At: day.AddDate(0, 0, d).Add(2 * time.Hour)}
				o.Moves, o.Journal.Back = append(o.Moves, m), o.Journal.Back+sum
				if d == 0 {
					number := m.RefundNo
					if rapid.Bool().Draw(t, "no refund number") {
						number = ""
					}
					lines = append(lines, fmt.Sprintf("%s,退款,%d,%s", o.No, sum, number))
				}
			}
			orders = append(orders, o)
		}
		lines = rapid.Permutation(lines).Draw(t, "lines")
		f, err := Parse(strings.NewReader("商户订单号,类型,金额(分),退款单号\n" + strings.Join(lines, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		c := New(Options{Day: day, Statement: f, HIS: f})
		for _, o := range orders {
			if row, _ := c.Add(o); row.Class != Equal {
				t.Fatalf("%+v", row)
			}
		}
		if rest := c.Rest(); len(rest) != 0 {
			t.Fatalf("left over: %+v", rest)
		}
	})
}

// A payment that the platform counts to the day before midnight and the journal
// to the day after it is the same payment.
func TestMidnight(t *testing.T) {
	f, err := Parse(strings.NewReader("out_trade_no,amount\nMZ1,10.00\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := Order{No: "MZ1", Journal: w(1000, 0), HIS: w(1000, 0), Moves: []Move{{Amount: 1000, At: day.AddDate(0, 0, 1).Add(time.Second)}}}
	if row, _ := New(Options{Day: day, Statement: f}).Add(o); row.Class != Equal {
		t.Fatalf("%+v", row)
	}
}

func TestRest(t *testing.T) {
	statement, err := Parse(strings.NewReader("out_trade_no,trade_no,channel,type,amount\nA,T1,微信,支付,1.50\nB,T2,alipay,2,2\nB,T2,alipay,3,2\n"))
	if err != nil {
		t.Fatal(err)
	}
	his, err := Parse(strings.NewReader("out_trade_no,type,amount_fen\nC,收费,700\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{Day: day, Statement: statement, HIS: his})
	var got []string
	for _, r := range c.Rest() {
		got = append(got, fmt.Sprintf("%s %s %d %s %s", r.No, r.Class, r.Diff, r.Channel, r.Platform.State))
	}
	want := []string{"A long 150 wechat paid", "B state_differs 0 alipay refunded", "C short -700  absent"}
	if !slices.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	if !c.Totals().Wrong() || c.Totals().Platform-c.Totals().Books != 150-700 {
		t.Fatalf("%+v", c.Totals())
	}
}

// The wallets' own downloads, cut down to the columns that matter.
const (
	wechat = "交易时间,公众账号ID,微信订单号,商户订单号,交易状态,应结订单金额,商户退款单号,退款金额,订单金额,申请退款金额\r\n" +
		"`2026-11-22 08:30:01,`wx1,`4200001,`MZ1,`SUCCESS,`128.50,`0,`0.00,`128.50,`0.00\r\n" +
		"`2026-11-22 09:30:01,`wx1,`4200001,`MZ1,`REFUND,`0.00,`R1,`28.50,`0.00,`28.50\r\n" +
		"`2026-11-22 09:31:01,`wx1,`4200002,`MZ2,`REVOKED,`0.00,`0,`0.00,`0.00,`0.00\r\n" +
		"总交易单数,应结订单总金额,退款总金额\r\n`3,`128.50,`28.50\r\n"
	alipay = "#支付宝业务明细查询\r\n#账号：[20880]\r\n支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,订单金额（元）,退款批次号/请求号\r\n" +
		"2026112222,MZ3\t,交易    ,诊疗费,2026-11-22 10:00:00,2026-11-22 10:00:03,15.00,\r\n" +
		"2026112222,MZ3\t,退款    ,诊疗费,2026-11-22 11:00:00,2026-11-22 11:00:03,-5.00,R3\r\n" +
		"#-----------------业务明细列表结束------\r\n"
)

func TestParse(t *testing.T) {
	gbk, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(alipay))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data string
		want map[string]Money
	}{
		"wechat":       {wechat, map[string]Money{"MZ1": {12850, 2850}}},
		"alipay":       {alipay, map[string]Money{"MZ3": {1500, 500}}},
		"alipay, GBK":  {string(gbk), map[string]Money{"MZ3": {1500, 500}}},
		"own, BOM":     {"\xef\xbb\xbfout_trade_no,type,amount_fen\nA,pay,100\nA,refund,40\n", map[string]Money{"A": {100, 40}}},
		"signs":        {"out_trade_no,amount\nA,\"1,000.5\"\nA,-0.5\n", map[string]Money{"A": {100050, 50}}},
		"7.1's words":  {"OutTradeNo,OutTradeStatus,Amount,TradeOptDateTime\nA,2,1.00,2026-11-22 08:00:00\nA,3,1.00,2026-11-22 09:00:00\n", map[string]Money{"A": {100, 100}}},
		"7.2's signs":  {"OutTradeNo,TotalAmount\nA,100\nA,-50\n", map[string]Money{"A": {10000, 5000}}},
		"nothing paid": {"out_trade_no,amount\n", map[string]Money{}},
	} {
		f, err := Parse(strings.NewReader(tc.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(f.orders) != len(tc.want) {
			t.Errorf("%s: %d orders", name, len(f.orders))
		}
		for no, m := range tc.want {
			if got := f.word(Order{No: no}, day).Money; got != m {
				t.Errorf("%s: order %s %+v, not %+v", name, no, got, m)
			}
		}
	}
	for _, bad := range []string{"", "a,b\n1,2\n", "out_trade_no,amount\nA,x\n", "out_trade_no,amount\nA,1.234\n", "out_trade_no,amount\nA,1e3\n",
		"out_trade_no,type,amount\nA,maybe,1\n", "out_trade_no,amount,time\nA,1,yesterday\n", "\xff\xff\xff"} {
		if _, err := Parse(strings.NewReader(bad)); !errors.Is(err, ErrFile) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{wechat, alipay, "out_trade_no,type,amount_fen\nA,3,1\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		c := New(Options{Day: day, Statement: file, HIS: file})
		for _, r := range c.Rest() {
			if r.Diff != 0 {
				t.Fatalf("a file differs from itself: %+v", r)
			}
		}
	})
}
