package lc

import (
	"context"
	"errors"
	"fmt"

	"payagent/platforms"
	"payagent/platforms/internal/wire"
)

// call is one request.
type call struct {
	method  string
	charges bool // may take money
	biz     []element
	secrets []platforms.Hidden
}

// call sends the request once and reads the reply. An error wraps
// platforms.ErrNotCharged only for requests that charge and only with proof.
func (p *Platform) call(ctx context.Context, c call) (reply, error) {
	biz, err := bizContent(c.biz)
	if err != nil {
		return reply{}, c.before(err)
	}
	e, err := p.seal(c.method, biz)
	if err != nil {
		return reply{}, c.before(err)
	}
	body, err := p.form(e)
	if err != nil {
		return reply{}, c.before(err)
	}
	got, err := wire.Post(ctx, p.rt, wire.Request{
		URL: p.cfg.Endpoint, ContentType: wire.FormType, Body: body, Charges: c.charges, Secrets: c.secrets,
	})
	if err != nil {
		return reply{}, err
	}
	r, err := p.read(got, e)
	if err != nil {
		return reply{}, err
	}
	r.secrets = c.secrets
	if p.refusedUs(r) {
		return reply{}, c.before(fmt.Errorf("cannot use app_id or key: %w (%s): correct app_id, private_key_file or the key that the platform has of us", platforms.ErrToken, r.words()))
	}
	return r, nil
}

// before marks an error from before the payment layer.
func (c call) before(err error) error {
	if c.charges {
		return wire.NotCharged(err)
	}
	return err
}

func unusable(err error) error {
	return fmt.Errorf("cannot use the platform's answer: %w; query the order", err)
}

// errUnsigned is for replies whose signature is missing although it is needed.
var errUnsigned = errors.New("it is not signed, and an answer without a signature proves nothing")
