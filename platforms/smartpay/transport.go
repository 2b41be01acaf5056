package smartpay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wire"
	"payagent/platforms/smartpay/internal/message"
)

// outgoing is one Req on its way to one method.
type outgoing struct {
	method  string
	profile string // finds the token
	doc     string // the Req document
	charges bool   // it may take money, so it may be on the wire once
	secrets []platforms.Hidden
}

// transport carries a Req to a method and brings the root of the Resp back. A
// call that the gateway in front refused is a *gatewayError; any other error
// means that nothing is known, unless it wraps platforms.ErrNotCharged.
type transport interface {
	call(ctx context.Context, m outgoing) (*strictxml.Node, error)
}

// gatewayError is a refusal by the gateway in front of SmartPay.
type gatewayError struct {
	code    int
	message string
}

func (e *gatewayError) Error() string {
	return fmt.Sprintf("the gateway answered %d %s", e.code, e.message)
}

func newTransport(rt http.RoundTripper, c Config) transport {
	base := strings.TrimRight(c.Endpoint, "/")
	switch c.Transport {
	case FormGateway:
		return &formGateway{rt: rt, base: base, charset: c.Charset, token: c.Token}
	case RawXMLPost:
		return &rawPost{rt: rt, url: c.Endpoint, charset: c.Charset}
	}
	return &wsgw{rt: rt, url: c.Endpoint, charset: c.Charset, client: c.ClientID, version: c.ClientVersion, now: c.Now}
}

// wsgw is variant A of wire.md §1.2: SOAP 1.1, one operation for all methods.
type wsgw struct {
	rt              http.RoundTripper
	url, charset    string
	client, version string
	now             func() time.Time
}

// sequence is the layout of sequenceNo; the point is left out.
const sequence = "20060102150405.000"

func (t *wsgw) call(ctx context.Context, m outgoing) (*strictxml.Node, error) {
	auth, err := json.Marshal(struct {
		ClientID      string `json:"ClientId"`
		ClientVersion string
		Sign          string
		SessionKey    string
	}{ClientID: t.client, ClientVersion: t.version})
	if err != nil {
		return nil, m.unsent(errors.New("cannot write authInfo; check client_id"))
	}
	zone := time.FixedZone("UTC+8", 8*60*60)
	req, err := wire.Call{Version: wire.SOAP11, Namespace: message.Namespace, Operation: "service", Params: []wire.Param{
		{Name: "authInfo", Value: string(auth)},
		{Name: "sequenceNo", Value: strings.Replace(t.now().In(zone).Format(sequence), ".", "", 1)},
		{Name: "api", Value: message.Module + "." + message.Class + "." + m.method},
		{Name: "param", Value: m.doc},
		{Name: "paramType", Value: message.TypeXML},
		{Name: "outType", Value: message.TypeXML},
		{Name: "v", Value: "1.0"},
	}}.Request()
	if err != nil {
		return nil, m.unsent(err)
	}
	if t.charset == "gbk" {
		req.ContentType = "text/xml; charset=gbk"
		if req.Body, err = strictxml.ToGB(strings.Replace(string(req.Body), `encoding="utf-8"`, `encoding="GBK"`, 1)); err != nil {
			return nil, m.unsent(err)
		}
	}
	req.URL, req.Charges, req.Secrets = t.url, m.charges, m.secrets
	got, err := wire.Post(ctx, t.rt, req)
	if err != nil {
		return nil, err
	}
	inner, err := got.Result("", "serviceResponse", "out", m.secrets...)
	if err != nil {
		return nil, err
	}
	return innerDocument(inner)
}

// formGateway is variant C of wire.md §1.2: a form post, the token in a
// header, the Resp as text inside a JSON wrapper.
type formGateway struct {
	rt            http.RoundTripper
	base, charset string
	token         func(profile string) (platforms.Hidden, error)
}

func (t *formGateway) call(ctx context.Context, m outgoing) (*strictxml.Node, error) {
	token, err := t.token(m.profile)
	if err != nil || !headerText(token) {
		// What the source of tokens says may quote what it read, so it is not repeated.
		return nil, m.unsent(fmt.Errorf("%w: there is no usable token for profile %q; put one in place", platforms.ErrToken, m.profile))
	}
	secrets := append([]platforms.Hidden{token}, m.secrets...)
	doc := []byte(m.doc)
	contentType := wire.FormType
	if t.charset == "gbk" {
		contentType = strings.Replace(contentType, "utf-8", "gbk", 1)
		if doc, err = strictxml.ToGB(m.doc); err != nil {
			return nil, m.unsent(err)
		}
	}
	got, err := wire.Post(ctx, t.rt, wire.Request{
		URL:         t.base + "/wsgw/" + message.Module + "/" + message.Class + "/" + m.method + "/call.do",
		ContentType: contentType,
		Header:      http.Header{"Token": {token.Reveal()}},
		Body: wire.Form(
			wire.Param{Name: "param", Value: string(doc)},
			wire.Param{Name: "outType", Value: message.TypeXML},
			wire.Param{Name: "paramType", Value: message.TypeXML}),
		Charges: m.charges,
		Secrets: secrets,
	})
	if err != nil {
		return nil, err
	}
	text, err := got.Text()
	if err != nil {
		return nil, err
	}
	w, err := message.ReadWrapper([]byte(text))
	switch {
	case err != nil:
		return nil, err
	case w.Code != 0 && !w.HasResult:
		return nil, &gatewayError{code: w.Code, message: wire.Clean(w.Msg, secrets...)}
	case w.Code != 0:
		return nil, message.BadWrapper("it refuses and carries a result at once")
	case !w.HasResult:
		return nil, message.BadWrapper("it carries no result")
	}
	// A token is at home in no reply, whatever its length.
	return innerDocument(strings.ReplaceAll(w.Result, token.Reveal(), "[hidden]"))
}

// methodMark in the endpoint of raw_xml_post stands for the method's name.
const methodMark = "{method}"

// rawPost posts the Req as it stands, to one address per method or to one for
// all, where the TransactionCode tells them apart. It is no variant seen in public code but
// what the seed's samples amount to when a site puts its own front before them.
type rawPost struct {
	rt           http.RoundTripper
	url, charset string
}

func (t *rawPost) call(ctx context.Context, m outgoing) (*strictxml.Node, error) {
	req := wire.Request{
		URL:         strings.ReplaceAll(t.url, methodMark, m.method),
		ContentType: "text/xml; charset=utf-8", Body: []byte(m.doc),
		Charges: m.charges, Secrets: m.secrets,
	}
	if t.charset == "gbk" {
		body, err := strictxml.ToGB(`<?xml version="1.0" encoding="GBK"?>` + m.doc)
		if err != nil {
			return nil, m.unsent(err)
		}
		req.Body, req.ContentType = body, "text/xml; charset=gbk"
	}
	got, err := wire.Post(ctx, t.rt, req)
	if err != nil {
		return nil, err
	}
	root, err := got.Document()
	if err != nil {
		return nil, fmt.Errorf("cannot use the platform's answer: %w", err)
	}
	return root, nil
}

// unsent is for failures before anything was handed to the RoundTripper.
func (m outgoing) unsent(err error) error {
	if m.charges {
		return wire.NotCharged(err)
	}
	return err
}

func innerDocument(text string) (*strictxml.Node, error) {
	root, err := strictxml.ParseText(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use the platform's answer: %w", err)
	}
	return root, nil
}

// headerText tells whether a token can stand in a header field.
func headerText(token platforms.Hidden) bool {
	if token.Empty() {
		return false
	}
	for _, c := range []byte(token.Reveal()) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
