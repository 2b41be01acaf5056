package fwc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wire"
)

// call is one operation.
type call struct {
	op      string
	profile string // merchant profile, finds the token
	charges bool   // may take money
	head    []element
	results []string // names that the result element in body may have
	secrets []platforms.Hidden
}

// call sends the operation once and decodes the reply. An error wraps
// platforms.ErrNotCharged only for operations that charge and only with proof.
func (p *Platform) call(ctx context.Context, c call) (reply, error) {
	token, err := p.token(c)
	if err != nil {
		return reply{}, err
	}
	c.secrets = append(c.secrets, token)
	doc, err := p.document(token, c.head)
	if err != nil {
		return reply{}, p.before(c, err)
	}
	req, err := p.request(c.op, doc)
	if err != nil {
		return reply{}, p.before(c, err)
	}
	req.Charges, req.Secrets = c.charges, c.secrets
	got, err := wire.Post(ctx, p.rt, req)
	if err != nil {
		return reply{}, err
	}
	root, err := p.open(c, got)
	if err != nil {
		return reply{}, err
	}
	r, err := decode(root, c.results...)
	if err != nil {
		return reply{}, err
	}
	r.secrets = c.secrets
	if r.success == tokenRefused {
		return reply{}, p.refused(c, r)
	}
	return r, nil
}

// token reads the AccessToken as it is now.
func (p *Platform) token(c call) (platforms.Hidden, error) {
	token, err := p.cfg.Token(c.profile)
	if err == nil && strings.TrimSpace(token.Reveal()) == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		err = fmt.Errorf("cannot read the access token of profile %q (%s): put one in place: %w",
			c.profile, wire.Clean(err.Error()), platforms.ErrToken)
		return platforms.Hidden{}, p.before(c, err)
	}
	return platforms.Hide(strings.TrimSpace(token.Reveal())), nil
}

// before marks an error from before the first byte.
func (p *Platform) before(c call, err error) error {
	if c.charges {
		return wire.NotCharged(err)
	}
	return err
}

// refused is IsSuccess 3: the platform looked at the token and at nothing else.
func (p *Platform) refused(c call, r reply) error {
	words := r.words()
	if words == "" {
		words = r.code("")
	}
	return p.before(c, fmt.Errorf("cannot use profile %q: %w (%s): put a new access token in place",
		c.profile, platforms.ErrToken, words))
}

// request wraps the document for the configured transport.
func (p *Platform) request(op, doc string) (wire.Request, error) {
	param := wire.Param{Name: p.cfg.ParamName, Value: doc}
	switch p.cfg.Transport {
	case RawXMLPost:
		return wire.Request{URL: p.url(op), ContentType: "text/xml; charset=utf-8", Body: []byte(doc)}, nil
	case FormXML:
		return wire.Request{URL: p.url(op), ContentType: wire.FormType, Body: wire.Form(param)}, nil
	}
	version := wire.SOAP11
	if p.cfg.Transport == SOAP12 {
		version = wire.SOAP12
	}
	req, err := wire.Call{
		Version: version, Namespace: p.cfg.Namespace, Operation: op,
		Action: p.cfg.ActionPrefix + op, Params: []wire.Param{param},
	}.Request()
	req.URL = p.cfg.Endpoint
	return req, err
}

// url names the operation where no SOAP action does.
func (p *Platform) url(op string) string {
	if strings.Contains(p.cfg.Endpoint, "{op}") {
		return strings.ReplaceAll(p.cfg.Endpoint, "{op}", op)
	}
	path, query, asked := strings.Cut(p.cfg.Endpoint, "?")
	path = strings.TrimRight(path, "/") + "/" + op
	if asked {
		path += "?" + query
	}
	return path
}

// open takes the inner document out of the reply.
func (p *Platform) open(c call, got wire.Reply) (*strictxml.Node, error) {
	switch p.cfg.Transport {
	case RawXMLPost, FormXML:
		root, err := got.Document()
		if err != nil {
			return nil, unusable(err)
		}
		// An asmx service answers a form post with <string>text</string>.
		if root.Name == "string" && (root.Space == p.cfg.Namespace || root.Space == "") {
			text, err := root.Leaf()
			if err != nil {
				return nil, unusable(err)
			}
			if root, err = strictxml.ParseText(text); err != nil {
				return nil, unusable(err)
			}
		}
		return root, nil
	}
	text, err := got.Result(p.cfg.Namespace, c.op+"Response", c.op+"Result", c.secrets...)
	if err != nil {
		return nil, err
	}
	root, err := strictxml.ParseText(text)
	if err != nil {
		return nil, unusable(err)
	}
	return root, nil
}

func unusable(err error) error {
	return fmt.Errorf("cannot use the platform's answer: %w; query the order", err)
}
