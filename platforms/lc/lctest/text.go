package lctest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/lc/internal/sign"
)

// fields are members in the order in which they stand. A value is a text; one
// that begins with the mark raw is JSON already.
type fields []struct{ name, value string }

const (
	raw  = "\x00"
	null = raw + "null"
)

// set changes a field that is there.
func (f fields) set(name, value string) {
	for i := range f {
		if f[i].name == name {
			f[i].value = value
		}
	}
}

func (f fields) json() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + e.name + `":`)
		if s, is := strings.CutPrefix(e.value, raw); is {
			b.WriteString(s)
		} else {
			b.WriteString(quote(e.value))
		}
	}
	b.WriteByte('}')
	return b.String()
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a text cannot fail
	return string(b)
}

// outcome is what the gateway says about its own work, and why it refused.
type outcome struct{ code, msg, subCode, subMsg string }

func good() outcome { return outcome{"10000", "Success", "", ""} }

func failed(subCode, words string) outcome {
	return outcome{"40004", "Business Failed", subCode, words}
}

// reply does the work and writes the signed document.
func (g *Gateway) reply(req request, turn wire.Turn) []byte {
	o, result := g.do(req, turn)
	appID := req.appID
	switch turn.Fault {
	case bank.IsSuccess2:
		o, result = failed("SYSTEM_ERROR", "处理业务时发生错误"), nil
	case bank.Leak:
		if code := req.get("auth_code"); code != "" {
			o.subMsg += " auth_code=" + code
		}
	case bank.WrongOrder:
		no := req.get("out_trade_no")
		result.set("out_trade_no", "XX"+no[min(2, len(no)):])
	case bank.WrongMerchant:
		appID = "X" + appID[1:]
	case bank.OddStatus:
		result.set("trade_status", "TRADE_ODD")
	}
	biz := append(fields{{"sub_code", o.subCode}, {"sub_msg", o.subMsg}}, result...).json()
	return g.document(req, appID, o, biz)
}

// document writes and signs a reply: the members in the order of the samples.
func (g *Gateway) document(req request, appID string, o outcome, biz string) []byte {
	params := []sign.Param{
		{Name: "app_id", Value: appID}, {Name: "method", Value: req.method}, {Name: "timestamp", Value: g.wall(g.ctl.Now())},
		{Name: "nonce_str", Value: req.nonce}, {Name: "code", Value: o.code}, {Name: "msg", Value: o.msg},
		{Name: "biz_content", Value: biz}, {Name: "sign_type", Value: g.signType()},
	}
	if signature := g.sign(params); signature != "" && (!g.opt.UnsignedErrors || o.code == good().code) {
		params = append(params, sign.Param{Name: "sign", Value: signature})
	}
	out := fields{}
	for _, p := range params {
		v := p.Value
		if p.Name == "biz_content" {
			v = raw + v
		}
		out = append(out, struct{ name, value string }{p.Name, v})
	}
	return []byte(out.json())
}

func (g *Gateway) sign(params []sign.Param) string {
	s, err := sign.Sign(g.opt.Key, g.hash(), sign.Text(params, !g.opt.ExcludeSignType))
	if err != nil {
		return ""
	}
	return s
}

// wall writes a time of the world for people.
func (g *Gateway) wall(d time.Duration) string {
	return g.opt.Epoch.Add(d).In(zone()).Format("2006-01-02 15:04:05")
}

// yuan writes an amount as the gateway is set to.
func (g *Gateway) yuan(f platforms.Fen) string {
	s := fmt.Sprintf("%d.%02d", f/100, f%100)
	if g.opt.Numbers {
		return raw + s
	}
	return s
}
