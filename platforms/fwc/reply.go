package fwc

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wire"
)

// reply is a decoded document. Of the echoed head only what is compared is
// kept; token, code and the patient's data are dropped here.
type reply struct {
	message.Result

	echoNo, echoAmount, echoRequestNo string

	result  *strictxml.Node // nil if the body has no result element
	secrets []platforms.Hidden
}

// decode takes a document apart.
func decode(root *strictxml.Node, results ...string) (reply, error) {
	m, err := message.ReadReply(root, results...)
	if err != nil {
		return reply{}, unusable(err)
	}
	r := reply{Result: m.Result, result: m.Body}
	if m.Head == nil {
		return r, nil
	}
	return r, values(m.Head, map[string]*string{
		"OutTradeNo": &r.echoNo, "TotalAmount": &r.echoAmount, "OutRequestNo": &r.echoRequestNo,
	})
}

// values reads children that may be missing.
func values(n *strictxml.Node, into map[string]*string) error {
	for name, v := range into {
		s, err := n.Value(name)
		if err != nil {
			return unusable(err)
		}
		*v = s
	}
	return nil
}

// read is values for the result element, which may be missing as a whole.
func (r reply) read(into map[string]*string) error {
	if r.result == nil {
		return nil
	}
	return values(r.result, into)
}

// code is the platform's own code: SubCode, else the status word, else
// IsSuccess.
func (r reply) code(status string) string {
	for _, s := range []string{r.SubCode, status} {
		if s != "" {
			return wire.Clean(s, r.secrets...)
		}
	}
	return "IsSuccess " + wire.Clean(r.Success, r.secrets...)
}

// words are the platform's words for people.
func (r reply) words() string {
	if r.SubMessage != "" {
		return wire.Clean(r.SubMessage, r.secrets...)
	}
	return wire.Clean(r.Message, r.secrets...)
}

// orderNo gives the number the reply speaks of. Head and body both carry it;
// where one differs from ours, that one is given, so that platforms.Bind sees it.
func (r reply) orderNo(ours, body string) string {
	for _, no := range []string{body, r.echoNo} {
		if no != "" && no != ours {
			return r.foreign(no, ours)
		}
	}
	if body == "" {
		return r.echoNo
	}
	return body
}

// amount gives the amount the reply speaks of, chosen like orderNo. The body's
// must be readable; the echo is our own text and counts where it still is.
func (p *Platform) amount(r reply, ours platforms.Fen, body string) (platforms.Fen, bool, error) {
	var got platforms.Fen
	has := false
	if body != "" {
		f, err := p.parseMoney(body)
		if err != nil {
			return 0, false, unusable(fmt.Errorf("TotalAmount: %w", err))
		}
		got, has = f, true
	}
	if r.echoAmount != "" && (!has || got == ours) {
		if f, err := p.parseMoney(r.echoAmount); err == nil && (!has || f != ours) {
			got, has = f, true
		}
	}
	return got, has, nil
}

// foreign makes a number that is not ours fit to be shown; it stays another one.
func (r reply) foreign(no, ours string) string {
	no = wire.Clean(no, r.secrets...)
	if no == ours || no == "" {
		return "[" + no + "]"
	}
	return no
}

// cut takes secrets out of a number without touching the rest.
func (r reply) cut(s string) string {
	for _, h := range r.secrets {
		if t := h.Reveal(); len(t) >= 4 {
			s = strings.ReplaceAll(s, t, "[hidden]")
		}
	}
	return s
}

var tradeNoForm = regexp.MustCompile(`^[0-9A-Za-z_.|*-]{1,64}$`)

// tradeNo gives the wallet's number, or nothing where what stands there cannot
// be one.
func (r reply) tradeNo(s string) string {
	if !tradeNoForm.MatchString(s) || r.cut(s) != s {
		return ""
	}
	return s
}

// channel reads a PayType; casing differs between the interfaces.
func (p *Platform) channel(payType string) platforms.Channel {
	return p.channels[strings.ToLower(payType)]
}

// paidAt reads a time of the platform's clock; the zero time if it cannot be
// read, because a time alone never decides about money.
func paidAt(s string) time.Time {
	t, _ := message.ReadTime(s)
	return t
}
