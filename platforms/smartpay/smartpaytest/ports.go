package smartpaytest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"payagent/platforms"
	"payagent/platforms/bank/wire"
	"payagent/platforms/internal/strictxml"
)

const codeDone = 10000

// request is a Req taken apart.
type request struct {
	method          string
	transactionCode string
	data            map[string]string
}

// refusal is what the gateway says before it reads a Req.
type refusal struct {
	code  int
	words string
}

// port is one transport as the server sees it.
type port interface {
	read(r *http.Request) (request, *refusal)
	reply(a resp) wire.Reply
	refuse(code int, words string) wire.Reply
}

// resp is a Resp before it is written.
type resp struct {
	transactionCode string
	code            int
	words           string
	data            [][2]string
}

func done() resp { return resp{code: codeDone, words: "成功"} }

func (a *resp) add(name, value string) { a.data = append(a.data, [2]string{name, value}) }

func (a *resp) set(name, value string) {
	for i := range a.data {
		if a.data[i][0] == name {
			a.data[i][1] = value
			return
		}
	}
	a.add(name, value)
}

// xml writes the Resp; a Resp without fields has no Data, as the server's.
func (a resp) xml() string {
	var b strings.Builder
	b.WriteString("<Resp><TransactionCode>" + strictxml.Escape(a.transactionCode) + "</TransactionCode>")
	b.WriteString("<RespCode>" + strconv.Itoa(a.code) + "</RespCode><RespMessage>" + strictxml.Escape(a.words) + "</RespMessage>")
	if len(a.data) > 0 {
		b.WriteString("<Data>")
		for _, d := range a.data {
			b.WriteString("<" + d[0] + ">" + strictxml.Escape(d[1]) + "</" + d[0] + ">")
		}
		b.WriteString("</Data>")
	}
	b.WriteString("</Resp>")
	return b.String()
}

func fen(f platforms.Fen) string { return strconv.FormatInt(int64(f), 10) }

// body reads at most as much as any Req needs; Control.Wrap has bounded it.
func body(r *http.Request) []byte {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	return b
}

// readReq takes a Req apart.
func readReq(method string, root *strictxml.Node, err error) (request, *refusal) {
	bad := &refusal{-20001, "解析参数异常"}
	if err != nil || root.Name != "Req" || root.NoDuplicates() != nil {
		return request{}, bad
	}
	q := request{method: method, data: map[string]string{}}
	if q.transactionCode, err = root.Value("TransactionCode"); err != nil {
		return request{}, bad
	}
	data, err := root.One("Data")
	if err != nil {
		return request{}, bad
	}
	for _, k := range data.Kids {
		if q.data[k.Name], err = k.Leaf(); err != nil {
			return request{}, bad
		}
	}
	return q, nil
}

type soapPort struct{ opt Options }

func (p soapPort) read(r *http.Request) (request, *refusal) {
	bad := &refusal{-14009, "请求参数错误"}
	root, err := strictxml.ParseEnvelope(body(r))
	if err != nil || root.Name != "Envelope" {
		return request{}, bad
	}
	in, err := root.One("Body")
	if err != nil || len(in.Kids) != 1 || in.Kids[0].Name != "service" || in.Kids[0].Space != "http://com.yihu.wsgw/ServiceGateWay" {
		return request{}, bad
	}
	// The real service binds its seven parts by name and order.
	order := []string{"authInfo", "sequenceNo", "api", "param", "paramType", "outType", "v"}
	got := map[string]string{}
	for i, k := range in.Kids[0].Kids {
		if i >= len(order) || k.Name != order[i] {
			return request{}, bad
		}
		if got[k.Name], err = k.Leaf(); err != nil {
			return request{}, bad
		}
	}
	var auth struct{ ClientId, ClientVersion, Sign, SessionKey *string } //nolint:revive // the wire's names
	if json.Unmarshal([]byte(got["authInfo"]), &auth) != nil || auth.ClientId == nil || *auth.ClientId == "" || auth.ClientVersion == nil ||
		auth.Sign == nil || auth.SessionKey == nil || len(got["sequenceNo"]) != 17 || got["paramType"] != "1" || got["outType"] != "1" || got["v"] != "1.0" {
		return request{}, bad
	}
	method, ok := strings.CutPrefix(got["api"], "smartPay.SmartPay.")
	if !ok {
		return request{}, &refusal{-14006, "接口不存在"}
	}
	req, err := strictxml.ParseText(got["param"])
	return readReq(method, req, err)
}

func (p soapPort) refuse(code int, words string) wire.Reply {
	return p.reply(resp{code: sessionCode(code), words: words})
}

func (p soapPort) reply(a resp) wire.Reply {
	inner := declared(a.xml(), p.opt)
	if p.opt.CDATA {
		inner = "<![CDATA[" + strings.ReplaceAll(inner, "]]>", "]]]]><![CDATA[>") + "]]>"
	} else {
		inner = strictxml.Escape(inner)
	}
	return xmlReply(`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>`+
		`<ns:serviceResponse xmlns:ns="http://com.yihu.wsgw/ServiceGateWay"><ns:out>`+inner+`</ns:out></ns:serviceResponse>`+
		`</soapenv:Body></soapenv:Envelope>`, p.opt)
}

type rawPort struct{ opt Options }

func (p rawPort) read(r *http.Request) (request, *refusal) {
	root, err := strictxml.Parse(body(r))
	q, bad := readReq("", root, err)
	if bad != nil {
		return q, bad
	}
	// One address serves all methods; what they carry tells them apart.
	switch {
	case has(q, "AuthCode"):
		q.method = "SweepCodePay"
	case has(q, "OperatorId"):
		q.method = "Revoke"
	default:
		q.method = "QueryOrderState"
	}
	return q, nil
}

func has(q request, name string) bool {
	_, ok := q.data[name]
	return ok
}

func (p rawPort) refuse(code int, words string) wire.Reply {
	return p.reply(resp{code: sessionCode(code), words: words})
}

func (p rawPort) reply(a resp) wire.Reply { return xmlReply(a.xml(), p.opt) }

type formPort struct{ opt Options }

func (p formPort) read(r *http.Request) (request, *refusal) {
	if p.opt.Token != "" && r.Header.Get("token") != p.opt.Token {
		return request{}, &refusal{40013, "token 无效或已过期"}
	}
	part := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if err := r.ParseForm(); err != nil || len(part) < 5 || part[len(part)-5] != "wsgw" || part[len(part)-4] != "smartPay" ||
		r.PostForm.Get("outType") != "1" || r.PostForm.Get("paramType") != "1" {
		return request{}, &refusal{50000, "请求地址或参数错误"}
	}
	param := r.PostForm.Get("param")
	if strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "gbk") {
		var err error
		if param, err = strictxml.FromGB(param); err != nil {
			return request{}, &refusal{50000, "参数编码错误"}
		}
	}
	root, err := strictxml.ParseText(param)
	return readReq(part[len(part)-2], root, err)
}

func (p formPort) refuse(code int, words string) wire.Reply {
	return jsonReply(map[string]any{"code": code, "msg": words})
}

func (p formPort) reply(a resp) wire.Reply {
	return jsonReply(map[string]any{"code": 0, "msg": "success", "result": declared(a.xml(), p.opt)})
}

// sessionCode is a gateway's code in the words of the servers that have no
// wrapper: there a refused session is -14015.
func sessionCode(code int) int {
	if code == 40013 {
		return -14015
	}
	return code
}

func declared(doc string, opt Options) string {
	if opt.Declared {
		return `<?xml version="1.0" encoding="` + encoding(opt) + `"?>` + "\n" + doc
	}
	return doc
}

func encoding(opt Options) string {
	if opt.Charset == "gbk" {
		return "GBK"
	}
	return "UTF-8"
}

func xmlReply(doc string, opt Options) wire.Reply {
	if opt.Charset != "gbk" {
		return wire.Reply{Type: "text/xml", Body: []byte(doc)}
	}
	b, err := strictxml.ToGB(`<?xml version="1.0" encoding="GBK"?>` + doc)
	if err != nil {
		return wire.Reply{Status: http.StatusInternalServerError}
	}
	return wire.Reply{Type: "text/xml; charset=gbk", Body: b}
}

func jsonReply(v map[string]any) wire.Reply {
	b, err := json.Marshal(v)
	if err != nil {
		return wire.Reply{Status: http.StatusInternalServerError}
	}
	return wire.Reply{Type: "application/json;charset=UTF-8", Body: b}
}

func send(w http.ResponseWriter, a wire.Reply) {
	w.Header().Set("Content-Type", a.Type)
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	_, _ = w.Write(a.Body)
}
