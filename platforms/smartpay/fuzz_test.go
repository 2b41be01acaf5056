package smartpay

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/smartpay/internal/message"
)

// allowed is the closed list, written out a second time: what a reply to
// SweepCodePay must be for the two statuses that end an order.
func allowed(a platforms.Answer) error {
	switch a.Status {
	case platforms.Paid:
		if a.Code != "10000" || a.Handle == "" || !a.HasAmount {
			return fmt.Errorf("paid from code %q, handle %q, amount %v", a.Code, a.Handle, a.HasAmount)
		}
	case platforms.Failed:
		listed := []string{"-400010", "-20000", "-20001", "-20002", "-14008", "-14009", "-14019", "-14020", "-40009"}
		expired := a.Code == "-400012" && (strings.Contains(a.Message, "过期") || strings.Contains(a.Message, "失效"))
		if !slices.Contains(listed, a.Code) && !expired {
			return fmt.Errorf("failed from code %q, message %q", a.Code, a.Message)
		}
	case platforms.Pending:
		if a.Code != "-400011" {
			return fmt.Errorf("pending from code %q", a.Code)
		}
	case platforms.Unknown:
	default:
		return fmt.Errorf("a pay answer says %v", a.Status)
	}
	return nil
}

func allowedQuery(a platforms.Answer) error {
	switch a.Status {
	case platforms.Paid, platforms.Pending, platforms.Closed:
		if a.Code != "10000" {
			return fmt.Errorf("%v from code %q", a.Status, a.Code)
		}
	case platforms.NotFound:
		if !slices.Contains([]string{"-400002", "-63007", "-300005"}, a.Code) {
			return fmt.Errorf("not found from code %q", a.Code)
		}
	case platforms.Unknown:
	default:
		return fmt.Errorf("a query says %v", a.Status)
	}
	return nil
}

// hold demands of any bytes, over any transport, what must hold of all.
func hold(t *testing.T, tr Transport, body string) {
	t.Helper()
	p := open(t, &canned{body: body}, func(c *Config) { c.Transport = tr })
	ctx := context.Background()
	a, err := p.Charge(ctx, goldenCharge())
	if bad := allowed(a); bad != nil || err != nil && a.Status != platforms.Unknown {
		t.Errorf("%s: %v (%v)\n%q", tr, bad, err, body)
	}
	if errors.Is(err, platforms.ErrNotCharged) && !errors.Is(err, platforms.ErrToken) {
		t.Errorf("%s: the reply proves that nothing was charged: %v\n%q", tr, err, body)
	}
	if s := fmt.Sprintf("%+v %v", a, err); strings.Contains(s, goldenCode) {
		t.Errorf("%s: leaks the code: %s", tr, s)
	}
	a, err = p.Query(ctx, goldenRef())
	if bad := allowedQuery(a); bad != nil || err != nil && a.Status != platforms.Unknown || errors.Is(err, platforms.ErrNotCharged) {
		t.Errorf("%s: %v (%v)\n%q", tr, bad, err, body)
	}
	c, err := p.Cancel(ctx, goldenRef())
	if c.Done && (err != nil || c.Code != "10000") || errors.Is(err, platforms.ErrNotCharged) {
		t.Errorf("%s: revoked from code %q (%v)\n%q", tr, c.Code, err, body)
	}
}

func replySeeds(t testing.TB) []string {
	seeds := []string{"", "<Resp/>", chargeReply(-400011, "x", withKey), chargeReply(-400010, "二维码已失效", ""), chargeReply(-400012, "付款码已过期", ""), chargeReply(40001, "", "")}
	for _, method := range []string{message.Charge, message.Query, message.Revoke} {
		for _, dir := range []string{"seed/", "golden/"} {
			seeds = append(seeds, file(t, dir+method+".resp.xml"), file(t, dir+method+".req.xml"))
			if method == message.Revoke && dir == "seed/" {
				seeds = append(seeds, `<?xml version="1.0" encoding="GBK"?>`+file(t, dir+method+".resp.xml"))
			}
		}
	}
	return seeds
}

func FuzzXMLReply(f *testing.F) {
	for _, s := range replySeeds(f) {
		f.Add(s)
		f.Add(soapReply(strictxml.Escape(s)))
	}
	f.Fuzz(func(t *testing.T, body string) {
		hold(t, RawXMLPost, body)
		hold(t, WSGWSOAP, body)
		hold(t, WSGWSOAP, soapReply("<![CDATA["+body+"]]>"))
	})
}

func FuzzJSONReply(f *testing.F) {
	for _, s := range replySeeds(f) {
		f.Add(wrapped(0, s))
	}
	for _, s := range []string{`{"code":40013,"msg":"x"}`, `{"code":"0","result":null}`, `{"code":-400010}`, `[]`, `{"code":0,"code":1}`, "\ufeff{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) { hold(t, FormGateway, body) })
}

// TestEveryByteMutated changes every byte of good replies in many ways. What
// still passes for paid must carry our numbers, amount and code by the reading
// of another decoder.
func TestEveryByteMutated(t *testing.T) {
	type resp struct {
		RespCode string
		Data     struct{ OrderId, TotalFee, HisOrderId, OrderState string } //nolint:revive // the wire's names
	}
	read := func(body string) (r resp) {
		_ = xml.Unmarshal([]byte(body), &r)
		for _, s := range []*string{&r.RespCode, &r.Data.OrderId, &r.Data.TotalFee, &r.Data.HisOrderId, &r.Data.OrderState} {
			*s = strings.TrimSpace(*s)
		}
		return r
	}
	pay, query := file(t, "golden/SweepCodePay.resp.xml"), file(t, "golden/QueryOrderState.resp.xml")
	ctx, n, still := context.Background(), 0, 0
	for _, good := range []string{pay, query} {
		for i := range len(good) {
			for _, b := range []byte{good[i] ^ 1, good[i] ^ 0x20, good[i] ^ 0x80, 0, ' ', '<', '>', '/', '&', '0', '1', '-', '.', 'x'} {
				if b == good[i] {
					continue
				}
				n++
				body := good[:i] + string([]byte{b}) + good[i+1:]
				rt := &canned{body: body}
				if good == pay {
					a, err := open(t, rt).Charge(ctx, goldenCharge())
					if err == nil && a.Status == platforms.Paid && platforms.Bind(goldenCharge().Ref, a) == nil {
						still++
						if r := read(body); r.RespCode != "10000" || r.Data.TotalFee != "1234" || r.Data.OrderId != a.Handle || r.Data.HisOrderId != "" && r.Data.HisOrderId != goldenOrder {
							t.Errorf("paid at byte %d: %q", i, body)
						}
					}
					if a.Status == platforms.Failed || a.Status == platforms.Pending {
						t.Errorf("%v at byte %d: %q", a.Status, i, body)
					}
					continue
				}
				a, err := open(t, rt).Query(ctx, goldenRef())
				if err == nil && a.Status == platforms.Paid {
					still++
					if r := read(body); r.RespCode != "10000" || r.Data.OrderState != "2" {
						t.Errorf("paid at byte %d: %q", i, body)
					}
				}
			}
		}
	}
	t.Logf("%d mutations, %d of them still mean the same order paid", n, still)
	if n < 5000 || still == 0 {
		t.Error("the mutations show nothing")
	}
}
