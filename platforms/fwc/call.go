package fwc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
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
	req, err := p.names().Request(message.Way(p.cfg.Transport), p.cfg.Endpoint, c.op, doc)
	if err != nil {
		return reply{}, p.before(c, err)
	}
	req.Charges, req.Secrets = c.charges, c.secrets
	got, err := wire.Post(ctx, p.rt, req)
	if err != nil {
		return reply{}, err
	}
	root, err := p.names().Answer(message.Way(p.cfg.Transport), c.op, got, unusable, c.secrets...)
	if err != nil {
		return reply{}, err
	}
	r, err := decode(root, c.results...)
	if err != nil {
		return reply{}, err
	}
	r.secrets = c.secrets
	if r.Success == message.TokenRefused {
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

// names are the configured names of the service's parts.
func (p *Platform) names() message.Names {
	return message.Names{Namespace: p.cfg.Namespace, ActionPrefix: p.cfg.ActionPrefix, Param: p.cfg.ParamName}
}

func unusable(err error) error {
	return fmt.Errorf("cannot use the platform's answer: %w; query the order", err)
}
