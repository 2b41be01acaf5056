package lc_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/lc"
	"payagent/platforms/lc/internal/sign"
	"payagent/platforms/lc/lcsuite"
)

// resign signs the parameters of a notice with the gateway's key.
func resign(t testing.TB, k lcsuite.Keys, params url.Values) {
	t.Helper()
	params.Del("sign")
	var list []sign.Param
	for name := range params {
		list = append(list, sign.Param{Name: name, Value: params.Get(name)})
	}
	s, err := sign.Sign(k.Gateway, sign.SHA1, sign.Text(list, true))
	if err != nil {
		t.Fatal(err)
	}
	params.Set("sign", s)
}

// notice is a good notice of an order of 88.88 yuan, not signed yet.
func notice() url.Values {
	return url.Values{
		"app_id": {seedApp}, "method": {"lc.trade.notify"}, "nonce_str": {"ccc924b1-4010-4646-a300-7f7fe0c31704"}, "sign_type": {"rsa"},
		"timestamp":   {"2014-07-24 03:07:50"},
		"biz_content": {`{"out_trade_no":"MZ1","trade_no":"T1","total_amount":88.88,"trade_status":"TRADE_SUCCESS","gmt_payment":"2014-07-24 03:07:40","payment_type":"alipay","user_id":"2088102122524333"}`},
	}
}

func TestNoticeStatuses(t *testing.T) {
	k := keys(t, 1024)
	for word, want := range map[string]platforms.Status{
		"TRADE_SUCCESS": platforms.Paid, "TRADE_FINISHED": platforms.Paid, "TRADE_CLOSED": platforms.Closed, "WAIT_BUYER_PAY": platforms.Pending,
		"": platforms.Unknown, "trade_success": platforms.Unknown, "TRADE_NOT_EXIST": platforms.Unknown, "PAID": platforms.Unknown,
	} {
		params := notice()
		params.Set("biz_content", strings.Replace(params.Get("biz_content"), "TRADE_SUCCESS", word, 1))
		resign(t, k, params)
		n, err := open(t, k, &exchange{}, nil).Notice(platforms.Incoming{Form: params.Encode(), Now: now()})
		if err != nil || n.Answer.Status != want || n.Answer.Final != (word == "TRADE_FINISHED") || n.Evidence || n.ByBrowser || n.Canceled {
			t.Errorf("%s: %+v, %v", word, n, err)
		}
		if n.Answer.Channel != platforms.Alipay || n.Answer.Buyer.Reveal() != "2088102122524333" || n.Answer.PaidAt.Unix() != now().Unix()-10 || n.Answer.TradeNo != "T1" {
			t.Errorf("%+v", n.Answer)
		}
	}
}

// Evidence is only where the site has no query, only from the gateway itself,
// and only with an amount.
func TestEvidence(t *testing.T) {
	k := keys(t, 1024)
	none := func(c *lc.Config) { c.Query = lc.QueryNone }
	for name, x := range map[string]struct {
		change func(*lc.Config)
		spoil  func(url.Values)
		want   bool
	}{
		"no query":    {none, func(url.Values) {}, true},
		"with query":  {nil, func(url.Values) {}, false},
		"by browser":  {none, func(v url.Values) { v.Set("method", "lc.trade.h5.pay.return") }, false},
		"insurance's": {none, func(v url.Values) { v.Set("method", "lc.ssc.trade.pay.return") }, false},
		"no amount": {none, func(v url.Values) {
			v.Set("biz_content", strings.Replace(v.Get("biz_content"), `"total_amount":88.88,`, "", 1))
		}, false},
		"null amount": {none, func(v url.Values) {
			v.Set("biz_content", strings.Replace(v.Get("biz_content"), `88.88`, "null", 1))
		}, false},
		"amount as text": {none, func(v url.Values) {
			v.Set("biz_content", strings.Replace(v.Get("biz_content"), `88.88`, `"88.88"`, 1))
		}, true},
	} {
		params := notice()
		x.spoil(params)
		resign(t, k, params)
		n, err := open(t, k, &exchange{}, x.change).Notice(platforms.Incoming{Query: params.Encode(), Now: now()})
		if err != nil || n.Evidence != x.want {
			t.Errorf("%s: evidence %v, %v", name, n.Evidence, err)
		}
	}
}

// TestForgedNotices: none of these is the gateway's word.
func TestForgedNotices(t *testing.T) {
	k := keys(t, 1024)
	good := func() url.Values {
		v := notice()
		resign(t, k, v)
		return v
	}
	resigned := func(change func(url.Values)) string {
		v := notice()
		change(v)
		resign(t, k, v)
		return v.Encode()
	}
	set := func(name, value string) string {
		v := good()
		v.Set(name, value)
		return v.Encode()
	}
	biz := func(old, repl string) func(url.Values) {
		return func(v url.Values) { v.Set("biz_content", strings.Replace(v.Get("biz_content"), old, repl, 1)) }
	}
	if _, err := open(t, k, &exchange{}, nil).Notice(platforms.Incoming{Query: good().Encode(), Now: now()}); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]platforms.Incoming{
		"nothing":             {},
		"unsigned":            {Query: notice().Encode()},
		"empty signature":     {Query: set("sign", "")},
		"other amount":        {Query: set("biz_content", strings.Replace(notice().Get("biz_content"), "88.88", "0.01", 1))},
		"other app":           {Query: resigned(func(v url.Values) { v.Set("app_id", "2014072300007149") })},
		"no app":              {Query: resigned(func(v url.Values) { v.Del("app_id") })},
		"other method":        {Query: resigned(func(v url.Values) { v.Set("method", "lc.trade.query") })},
		"no timestamp":        {Query: resigned(func(v url.Values) { v.Del("timestamp") })},
		"old":                 {Query: resigned(func(v url.Values) { v.Set("timestamp", "2014-07-20 03:07:50") })},
		"from the future":     {Query: resigned(func(v url.Values) { v.Set("timestamp", "2014-07-29 03:07:50") })},
		"biz is no JSON":      {Query: resigned(func(v url.Values) { v.Set("biz_content", "TRADE_SUCCESS") })},
		"biz is a list":       {Query: resigned(func(v url.Values) { v.Set("biz_content", "[]") })},
		"biz says twice":      {Query: resigned(biz(`{`, `{"trade_status":"TRADE_CLOSED",`))},
		"biz in another case": {Query: resigned(biz(`{`, `{"Trade_Status":"TRADE_CLOSED",`))},
		"biz and more":        {Query: resigned(biz(`}`, `}{}`))},
		"no number":           {Query: resigned(biz(`"MZ1"`, `""`))},
		"number of nobody":    {Query: resigned(biz(`"MZ1"`, `"MZ-1"`))},
		"long number":         {Query: resigned(biz(`"MZ1"`, `"`+strings.Repeat("9", 64)+`"`))},
		"number as object":    {Query: resigned(biz(`"MZ1"`, `{}`))},
		"amount with float":   {Query: resigned(biz(`88.88`, `8.888e1`))},
		"amount negative":     {Query: resigned(biz(`88.88`, `-88.88`))},
		"amount in words":     {Query: resigned(biz(`88.88`, `"many"`))},
		"parameter twice":     {Query: good().Encode() + "&app_id=" + seedApp},
		"parameter in case":   {Query: good().Encode() + "&App_ID=" + seedApp},
		"signed twice":        {Query: good().Encode(), Form: good().Encode()},
		"semicolons":          {Query: good().Encode() + ";x=1"},
		"bad escape":          {Query: good().Encode() + "&x=%zz"},
		"too long":            {Query: good().Encode() + "&x=" + strings.Repeat("x", 70_000)},
		"line break in sign":  {Query: set("sign", good().Get("sign")+"\n")},
	} {
		if in.Now.IsZero() {
			in.Now = now()
		}
		n, err := open(t, k, &exchange{}, func(c *lc.Config) { c.Query = lc.QueryNone }).Notice(in)
		if err == nil || n.Evidence || n.Answer.Status != platforms.Unknown || strings.Contains(err.Error(), "2088") {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	stranger := notice()
	other := k
	other.Gateway = k.Stranger
	resign(t, other, stranger)
	for name, change := range map[string]func(*lc.Config){
		"key of a stranger": nil,
		"replies unchecked": func(c *lc.Config) { c.VerifyReply = lc.VerifyOff },
		"no key at all":     func(c *lc.Config) { c.VerifyReply, c.PlatformKeys = lc.VerifyOff, nil },
	} {
		if _, err := open(t, k, &exchange{}, change).Notice(platforms.Incoming{Query: stranger.Encode(), Now: now()}); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	// Two keys of the platform are valid at once.
	if _, err := open(t, k, &exchange{}, func(c *lc.Config) { c.PlatformKeys = append(c.PlatformKeys, lcsuite.PublicPEM(k.Stranger)) }).
		Notice(platforms.Incoming{Query: stranger.Encode(), Now: now()}); err != nil {
		t.Error("the new key of the platform is refused:", err)
	}
	if _, err := open(t, k, &exchange{}, func(c *lc.Config) { c.NoticeMaxAge = 24 * 365 * time.Hour }).
		Notice(platforms.Incoming{Query: resigned(func(v url.Values) { v.Set("timestamp", "2014-01-20  03:07:50") }), Now: now()}); err != nil {
		t.Error("the age that a site allows is refused:", err)
	}
}

// TestMutatedNotices changes every byte of a signed notice: what still verifies
// must say the same.
func TestMutatedNotices(t *testing.T) {
	k := keys(t, 1024)
	params := notice()
	resign(t, k, params)
	p := open(t, k, &exchange{}, func(c *lc.Config) { c.Query = lc.QueryNone })
	good := params.Encode()
	want, err := p.Notice(platforms.Incoming{Query: good, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for i := range len(good) {
		for _, with := range []byte{good[i] ^ 1, good[i] ^ 0x20, '0', '&', '=', '+', '%', ' '} {
			bad := good[:i] + string([]byte{with}) + good[i+1:]
			if bad == good {
				continue
			}
			n, err := p.Notice(platforms.Incoming{Query: bad, Now: now()})
			if err != nil {
				continue
			}
			taken++
			// Only another way of writing the same bytes may pass: %2b for %2B, a
			// blank for a plus.
			old, _ := url.ParseQuery(good)
			now, _ := url.ParseQuery(bad)
			for name := range old {
				if strings.ReplaceAll(now.Get(name), " ", "+") != strings.ReplaceAll(old.Get(name), " ", "+") {
					t.Errorf("byte %d: %s changed and it is taken", i, name)
				}
			}
			if n.Answer.Status != want.Answer.Status || n.Answer.OrderNo != want.Answer.OrderNo || n.Answer.Amount != want.Answer.Amount {
				t.Errorf("byte %d: it says something else: %+v", i, n)
			}
		}
	}
	t.Logf("%d of the changed notices are the same in other letters", taken)
}

func FuzzNotice(f *testing.F) {
	k := keys(f, 1024)
	params := notice()
	resign(f, k, params)
	f.Add(params.Encode(), "")
	f.Add("", params.Encode())
	f.Add(notice().Encode(), "sign=x")
	f.Add(strings.TrimSpace(sample(f, "lc.trade.notify.txt")), "")
	p := open(f, k, &exchange{}, func(c *lc.Config) { c.Query = lc.QueryNone })
	want, err := p.Notice(platforms.Incoming{Query: params.Encode(), Now: now()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query, form string) {
		n, err := p.Notice(platforms.Incoming{Query: query, Form: form, Now: now()})
		if err == nil && (n.Answer.Status != want.Answer.Status || n.Answer.Amount != want.Answer.Amount || n.Answer.OrderNo != want.Answer.OrderNo) {
			t.Fatalf("%+v", n)
		}
	})
}
