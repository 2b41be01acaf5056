package callback_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/callback"
	"payagent/platforms"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lcsuite"
	"payagent/queue/mem"
)

// noWay lets nothing out.
type noWay struct{}

func (noWay) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no way out") }

// FuzzNotify: whatever a stranger sends to the signed gateway's address is
// answered, never taken, and never the platform's own word.
func FuzzNotify(f *testing.F) {
	for _, seed := range []string{
		`app_id=25ec8f80-f9e0-4c78-9008-d4d9a16fa4d7&biz_content={"out_trade_no":"20161214152708479","trade_no":"2016121421001004930228999228","total_amount":0.01,"trade_status":"TRADE_SUCCESS"}&method=lc.trade.notify&nonce_str=ccc924b1-4010-4646-a300-7f7fe0c31704&sign=wuhdZ0+rMqrRHwu30osKZhalYaYwG9EHyd3INwkRRxhXpWQe+IkaitOILXsnbebHui+xM2IAnb0T4yHGcBgJoSaBsHuJekxpS3Be+XdOXedQ/Rj1jQIrem7tqRgaqEvJpB4a7o4GOFQg50ucy9fZGXcrKA8mY72UlXWkp+jCxCg=&sign_type=rsa&timestamp=2016-12-14 15:27:16`,
		`app_id=2014072300007148&biz_content={"sub_code":"5001","sub_msg":"用户取消"}&code=10000&method=lc.trade.h5.pay.return`, "", "%zz", "sign=", "a=b;c",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	keys, err := lcKeys()
	if err != nil {
		f.Fatal(err)
	}
	conf := lcsuite.Config(keys)
	conf.Now = time.Now
	member, err := lc.New(noWay{}, conf)
	if err != nil {
		f.Fatal(err)
	}
	w := agenttest.Start(f, agenttest.Options{Log: mem.Open(&mem.Disk{}), Platforms: map[string]platforms.Platform{agenttest.Page: member}})
	h := callback.New(w.Agent, nil)
	f.Fuzz(func(t *testing.T, text string, body bool) {
		req := httptest.NewRequest("POST", "/notify/page", strings.NewReader(text))
		if !body {
			req = httptest.NewRequest("GET", "/notify/page", nil)
			req.URL.RawQuery = text
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code == 200 || strings.Contains(rec.Body.String(), "success") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		req = httptest.NewRequest("GET", "/return/N1/"+w.Agent.PageToken("N1"), nil)
		req.URL.RawQuery = text
		rec = httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != 404 && rec.Code != 414 {
			t.Errorf("a page of no order: %d", rec.Code)
		}
	})
}
