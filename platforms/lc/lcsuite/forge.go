package lcsuite

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/lc/internal/sign"
	"payagent/platforms/lc/lctest"
	"payagent/platforms/platformtest"
)

func signMember() *regexp.Regexp { return regexp.MustCompile(`,"sign":"[^"]*"`) }

// strip takes the signature out of a reply.
func strip(good []byte) []byte { return signMember().ReplaceAll(good, nil) }

// options are those of the simulator that belong to a Subject.
func options(k Keys, change func(*lctest.Options)) lctest.Options {
	opt := Gateway(k, nil)
	if change != nil {
		change(&opt)
	}
	return opt
}

// recipe is how a Subject's gateway signs.
func recipe(opt lctest.Options) (hash sign.Hash, withType bool) {
	if opt.SHA256 {
		return sign.SHA256, !opt.ExcludeSignType
	}
	return sign.SHA1, !opt.ExcludeSignType
}

// forge signs a reply with the stranger's key, all else as it was.
func forge(k Keys, change func(*lctest.Options)) func([]byte) []byte {
	return func(good []byte) []byte {
		var members map[string]json.RawMessage
		if json.Unmarshal(good, &members) != nil {
			return good // the suite notices that nothing changed
		}
		var params []sign.Param
		for name, v := range members {
			text := string(v)
			if s := ""; json.Unmarshal(v, &s) == nil {
				text = s
			}
			params = append(params, sign.Param{Name: name, Value: text})
		}
		hash, withType := recipe(options(k, change))
		signature, err := sign.Sign(k.Stranger, hash, sign.Text(params, withType))
		if err != nil {
			return good
		}
		return signMember().ReplaceAllLiteral(good, []byte(`,"sign":"`+signature+`"`))
	}
}

// notices says what the gateway tells by itself. The gateway here has the keys
// and no books: it writes about trades of those that the suite has.
func notices(k Keys, change func(*lctest.Options)) *platformtest.Notices {
	opt := options(k, change)
	opt.Control = wire.New(wire.Options{Clock: func() time.Duration { return 0 }})
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	opt.Epoch = begin
	gate := lctest.New(bank.New(bank.Options{}), opt)
	// edit changes the parameters of a message and signs it with key, or not.
	edit := func(in platforms.Incoming, resign string, change func(url.Values)) platforms.Incoming {
		values, err := url.ParseQuery(in.Query)
		if err != nil {
			return in
		}
		change(values)
		if key := map[string]Keys{"stranger": {Gateway: k.Stranger}, "gateway": k}[resign].Gateway; key != nil {
			values.Del("sign")
			var params []sign.Param
			for name := range values {
				params = append(params, sign.Param{Name: name, Value: values.Get(name)})
			}
			hash, withType := recipe(opt)
			if signature, err := sign.Sign(key, hash, sign.Text(params, withType)); err == nil {
				values.Set("sign", signature)
			}
		}
		return platforms.Incoming{Query: values.Encode(), Now: in.Now}
	}
	return &platformtest.Notices{
		Tell: func(t bank.Trade, at time.Duration) platforms.Incoming {
			status := map[bank.State]string{bank.Unpaid: "WAIT_BUYER_PAY", bank.Paid: "TRADE_SUCCESS"}[t.State]
			if status == "" {
				status = "TRADE_CLOSED"
			}
			n := gate.Notice("http://h.invalid/n", t, status, at)
			_, query, _ := strings.Cut(n.URL, "?")
			return platforms.Incoming{Query: query, Form: n.Form, Now: begin.Add(at)}
		},
		Browser: func(t bank.Trade, left bool, at time.Duration) platforms.Incoming {
			_, query, _ := strings.Cut(gate.ReturnTo(ReturnURL, "lc.trade.h5.pay", t, left, at), "?")
			return platforms.Incoming{Query: query, Now: begin.Add(at)}
		},
		Forge: func(in platforms.Incoming) platforms.Incoming {
			return edit(in, "stranger", func(url.Values) {})
		},
		Strip: func(in platforms.Incoming) platforms.Incoming {
			return edit(in, "", func(v url.Values) { v.Del("sign") })
		},
		Alter: func(in platforms.Incoming) platforms.Incoming {
			return edit(in, "", func(v url.Values) {
				v.Set("biz_content", regexp.MustCompile(`"total_amount":[0-9.]+`).ReplaceAllString(v.Get("biz_content"), `"total_amount":88.89`))
			})
		},
		Elsewhere: func(in platforms.Incoming) platforms.Incoming {
			return edit(in, "gateway", func(v url.Values) { v.Set("app_id", "LCOP20260101120000002") })
		},
	}
}
