package smartpay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
)

// books answers by OrderId: the body of a Resp, or a connection that breaks.
type books struct {
	t     *testing.T
	byKey map[string]string
	asked []string
}

func (b *books) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	root, err := strictxml.Parse(body)
	if err != nil {
		b.t.Error(err)
		return nil, err
	}
	data, _ := root.One("Data")
	key, _ := data.Value("OrderId")
	b.asked = append(b.asked, key)
	answer, ok := b.byKey[key]
	if !ok {
		answer = chargeReply(-400002, "订单不存在", "")
	}
	if answer == "" {
		return nil, errors.New("connection broken")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), ContentLength: -1}, nil
}

func TestQueryKeys(t *testing.T) {
	paid := chargeReply(10000, "", "<Data><OrderState>2</OrderState></Data>")
	odd := chargeReply(10000, "", "<Data></Data>")
	for _, c := range []struct {
		name       string
		key        QueryKey
		handle     string
		byKey      map[string]string
		asked      string // keys in turn
		status     platforms.Status
		wantHandle string
		fails      bool
	}{
		{"their key", ByOrderID, goldenHandle, map[string]string{goldenHandle: paid}, goldenHandle, platforms.Paid, "", false},
		{"their key alone", ByOrderID, goldenHandle, map[string]string{goldenOrder: paid}, goldenHandle, platforms.NotFound, "", false},
		{"lost reply, found", ByOrderID, "", map[string]string{goldenOrder: paid}, goldenOrder, platforms.Paid, goldenOrder, false},
		{"lost reply, not found", ByOrderID, "", nil, goldenOrder, platforms.NotFound, "", false},
		{"lost reply, no state", ByOrderID, "", map[string]string{goldenOrder: odd}, goldenOrder, platforms.Unknown, "", false},
		{"our key bound before", ByOrderID, goldenOrder, map[string]string{goldenOrder: paid}, goldenOrder, platforms.Paid, "", false},
		{"our key configured", ByHisOrderID, goldenHandle, map[string]string{goldenOrder: paid}, goldenOrder, platforms.Paid, "", false},
		{"both, first", ByBoth, goldenHandle, map[string]string{goldenHandle: paid}, goldenHandle, platforms.Paid, "", false},
		{"both, second", ByBoth, goldenHandle, map[string]string{goldenOrder: paid}, goldenHandle + " " + goldenOrder, platforms.Paid, "", false},
		{"both, neither", ByBoth, goldenHandle, nil, goldenHandle + " " + goldenOrder, platforms.NotFound, "", false},
		{"both, first says nothing", ByBoth, goldenHandle, map[string]string{goldenHandle: odd, goldenOrder: paid}, goldenHandle, platforms.Unknown, "", false},
		{"both, lost reply", ByBoth, "", map[string]string{goldenOrder: paid}, goldenOrder, platforms.Paid, goldenOrder, false},
		{"both, the second breaks", ByBoth, goldenHandle, map[string]string{goldenOrder: ""}, goldenHandle + " " + goldenOrder, platforms.Unknown, "", true},
		{"breaks", ByBoth, goldenHandle, map[string]string{goldenHandle: ""}, goldenHandle, platforms.Unknown, "", true},
		{"echo of the key", ByOrderID, "", map[string]string{goldenOrder: chargeReply(10000, "", "<Data><OrderId>"+goldenOrder+"</OrderId><OrderState>1</OrderState></Data>")}, goldenOrder, platforms.Pending, goldenOrder, false},
		{"their key in the answer", ByOrderID, "", map[string]string{goldenOrder: chargeReply(10000, "", "<Data><OrderId>"+goldenHandle+"</OrderId><OrderState>1</OrderState></Data>")}, goldenOrder, platforms.Pending, goldenHandle, false},
		{"their key where ours is bound", ByOrderID, goldenOrder, map[string]string{goldenOrder: chargeReply(10000, "", "<Data><OrderId>"+goldenHandle+"</OrderId><OrderState>1</OrderState></Data>")}, goldenOrder, platforms.Pending, "", false},
		{"another key in the answer", ByOrderID, goldenHandle, map[string]string{goldenHandle: chargeReply(10000, "", "<Data><OrderId>other</OrderId><OrderState>2</OrderState></Data>")}, goldenHandle, platforms.Paid, "other", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &books{t: t, byKey: c.byKey}
			p := open(t, b, func(cfg *Config) { cfg.QueryKey = c.key })
			ref := goldenRef()
			ref.Handle = c.handle
			a, err := p.Query(context.Background(), ref)
			if (err != nil) != c.fails || a.Status != c.status || a.Handle != c.wantHandle || strings.Join(b.asked, " ") != c.asked {
				t.Errorf("%v handle %q asked %q: %v", a.Status, a.Handle, b.asked, err)
			}
			if bound := platforms.Bind(ref, a); (bound != nil) != (c.wantHandle == "other") {
				t.Errorf("bind: %v", bound)
			}
		})
	}
	for key, want := range map[QueryKey]bool{ByOrderID: false, ByHisOrderID: true, ByBoth: true} {
		if got := open(t, &canned{}, func(c *Config) { c.QueryKey = key }).Traits(); got.FindsByNumber != want || !got.PaidIsSticky {
			t.Errorf("%s: %+v", key, got)
		}
	}
}

func TestRevokeKeys(t *testing.T) {
	done, failed := chargeReply(10000, "", ""), chargeReply(-400019, "", "")
	for _, c := range []struct {
		key    QueryKey
		handle string
		byKey  map[string]string
		asked  string
		done   bool
		retry  platforms.Retry
	}{
		{ByOrderID, goldenHandle, map[string]string{goldenHandle: done}, goldenHandle, true, ""},
		{ByOrderID, goldenHandle, map[string]string{goldenOrder: done}, goldenHandle, false, platforms.RetryNo},
		{ByOrderID, "", map[string]string{goldenOrder: done}, goldenOrder, true, ""},
		{ByHisOrderID, goldenHandle, map[string]string{goldenOrder: done}, goldenOrder, true, ""},
		{ByBoth, goldenHandle, map[string]string{goldenOrder: done}, goldenHandle + " " + goldenOrder, true, ""},
		{ByBoth, goldenHandle, map[string]string{goldenHandle: failed, goldenOrder: done}, goldenHandle, false, platforms.RetryYes},
		{ByBoth, goldenHandle, nil, goldenHandle + " " + goldenOrder, false, platforms.RetryNo},
	} {
		b := &books{t: t, byKey: c.byKey}
		p := open(t, b, func(cfg *Config) { cfg.QueryKey = c.key })
		ref := goldenRef()
		ref.Handle = c.handle
		got, err := p.Cancel(context.Background(), ref)
		if err != nil || got.Done != c.done || got.Retry != c.retry || strings.Join(b.asked, " ") != c.asked {
			t.Errorf("%s %q: %+v asked %q: %v", c.key, c.handle, got, b.asked, err)
		}
	}
}

func TestProbe(t *testing.T) {
	for body, ok := range map[string]bool{
		chargeReply(-400002, "订单不存在", ""): true,
		chargeReply(-10000, "系统异常", ""):   true,
		chargeReply(10000, "", ""):        true,
		chargeReply(-14015, "", ""):       false,
		"<html></html>":                   false,
	} {
		rt := &canned{body: body}
		err := open(t, rt).Probe(context.Background())
		if (err == nil) != ok || rt.n != 1 || !strings.Contains(string(rt.sent), "<OrderId>"+probeKey+"</OrderId>") {
			t.Errorf("%s: %v", body, err)
		}
	}
	p := open(t, &canned{}, func(c *Config) { c.Probe = platforms.Merchant{} })
	if err := p.Probe(context.Background()); !errors.Is(err, platforms.ErrUnsupported) {
		t.Errorf("without a merchant: %v", err)
	}
}
