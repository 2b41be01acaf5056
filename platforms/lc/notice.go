package lc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"payagent/platforms"
	"payagent/platforms/internal/strictjson"
	"payagent/platforms/internal/wire"
	"payagent/platforms/lc/internal/sign"
)

// maxIncoming bounds what a stranger can make us read.
const maxIncoming = strictjson.MaxBytes

// Notice reads lc.trade.notify, sent as the query of a URL or as a form, and
// what a payer's browser brings to return_url. Every value is verified before
// biz_content is read. The error never repeats what was sent.
func (p *Platform) Notice(in platforms.Incoming) (platforms.Notice, error) {
	if len(p.keys) == 0 {
		return platforms.Notice{}, forged("there is no platform key to verify it with; name one in platform_key_files")
	}
	params, err := incoming(in)
	if err != nil {
		return platforms.Notice{}, err
	}
	if err := p.verifyNotice(params); err != nil {
		return platforms.Notice{}, err
	}
	method := params["method"]
	byBrowser := strings.HasSuffix(method, suffixReturn)
	if method != methodNotify && !byBrowser {
		return platforms.Notice{}, forged("it is neither lc.trade.notify nor a payer's return")
	}
	if params["app_id"] != p.cfg.AppID {
		return platforms.Notice{}, forged("it is for another app_id")
	}
	at, ok := wallClock(params["timestamp"])
	if age := in.Now.Sub(at).Abs(); !ok || age > p.cfg.NoticeMaxAge {
		return platforms.Notice{}, forged("its timestamp is missing or too far from our clock (notice_max_age)")
	}
	biz, err := strictjson.Parse([]byte(params["biz_content"]))
	if err != nil || biz.Kind != strictjson.Object {
		return platforms.Notice{}, forged("its biz_content is no strict JSON object")
	}
	return p.notice(params, biz, byBrowser)
}

func (p *Platform) notice(params map[string]string, biz strictjson.Value, byBrowser bool) (platforms.Notice, error) {
	r := reply{trusted: true, code: params["code"], msg: params["msg"], biz: biz}
	var t trade
	names := t.names()
	names["sub_code"], names["sub_msg"] = &r.subCode, &r.subMsg
	if err := r.read(names); err != nil {
		return platforms.Notice{}, err
	}
	if t.no == "" || !orderNoForm.MatchString(t.no) {
		return platforms.Notice{}, forged("it names no order of ours")
	}
	a, err := p.answer(t.no, r, t)
	if err != nil {
		return platforms.Notice{}, err
	}
	a.Status, a.Final = byWord(t.word)
	if a.Status == platforms.NotFound {
		a.Status = platforms.Unknown
	}
	n := platforms.Notice{ByBrowser: byBrowser, Answer: a, Reply: p.cfg.NoticeReply}
	n.Canceled = byBrowser && slices.Contains(p.cfg.CanceledCodes, r.subCode)
	// Evidence needs the amount, though the table calls it optional.
	n.Evidence = !byBrowser && p.cfg.Query == QueryNone && a.HasAmount
	return n, nil
}

// incoming takes the parameters out of body or query; what carries sign counts.
func incoming(in platforms.Incoming) (map[string]string, error) {
	if len(in.Query) > maxIncoming || len(in.Form) > maxIncoming {
		return nil, forged("it is too long")
	}
	var found map[string]string
	for _, raw := range []string{in.Form, in.Query} {
		params, err := parseForm(raw)
		if err != nil {
			return nil, err
		}
		if params["sign"] == "" {
			continue
		}
		if found != nil {
			return nil, forged("it is signed twice, in its address and in its body")
		}
		found = params
	}
	if found == nil {
		return nil, forged("it is not signed")
	}
	return found, nil
}

// parseForm reads a query. Names must be there once, whatever their case.
func parseForm(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, forged("its parameters cannot be read")
	}
	out, seen := map[string]string{}, map[string]bool{}
	for name, all := range values {
		low := strings.ToLower(name)
		if len(all) != 1 || seen[low] {
			return nil, forged("a parameter occurs twice")
		}
		seen[low] = true
		out[name] = all[0]
	}
	return out, nil
}

// publicNames are the parameters of the gateway itself. return_url may have
// parameters of its own, which the gateway did not sign.
func publicNames() []string {
	return []string{"app_id", "biz_content", "code", "method", "msg", "nonce_str", "sign_type", "timestamp"}
}

// verifyNotice checks the signature over all parameters, or over the gateway's
// own. A blank in sign was a plus that somebody did not encode (wire.md §3.4).
func (p *Platform) verifyNotice(params map[string]string) error {
	var all, known []sign.Param
	for name, value := range params {
		if name == "sign" {
			continue
		}
		all = append(all, sign.Param{Name: name, Value: value})
		if slices.Contains(publicNames(), name) {
			known = append(known, sign.Param{Name: name, Value: value})
		}
	}
	withType := !p.cfg.ExcludeSignType
	if err := sign.Verify(p.keys, sign.Hash(p.cfg.Hash), strings.ReplaceAll(params["sign"], " ", "+"),
		sign.Text(all, withType), sign.Text(known, withType)); err != nil {
		return forged(err.Error())
	}
	return nil
}

func forged(why string) error {
	return fmt.Errorf("cannot use the message: %w", errors.New(wire.Clean(why)))
}
