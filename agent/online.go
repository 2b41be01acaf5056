package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"payagent/agent/counter"
	"payagent/platforms"
)

// paged tells that a mode is paid on a page of the platform.
func paged(m platforms.Mode) bool { return m == platforms.ModeH5 || m == platforms.ModeInsurance }

// The most characters of an address, and of the two objects, as the interface
// document bounds them (seed 004 §6.1).
const (
	maxAddress   = 512
	maxDisable   = 128
	maxBusiness  = 256
	maxAgreement = 4096
)

// checkWeb checks what a payment on a page needs besides. A platform may ask
// for less; its own checks follow.
func checkWeb(r *Request) error {
	if !paged(r.Mode) {
		for _, x := range []struct{ name, v string }{{"return_url", r.Web.ReturnURL}, {"notify_url", r.Web.NotifyURL}, {"disable_pay_channels", r.Web.DisableChannels},
			{"business_params", r.Web.BusinessParams}, {"agreement_sign_params", r.Web.AgreementParams}} {
			if x.v != "" {
				return field(x.name, `is for modes "h5" and "insurance" only`)
			}
		}
		return nil
	}
	for _, x := range []struct{ name, v string }{{"return_url", r.Web.ReturnURL}, {"notify_url", r.Web.NotifyURL}} {
		if x.v != "" && !address(x.v) {
			return field(x.name, "must be an address http:// or https:// of at most %d characters", maxAddress)
		}
	}
	for _, x := range []struct {
		name, v string
		most    int
	}{{"disable_pay_channels", r.Web.DisableChannels, maxDisable}, {"business_params", r.Web.BusinessParams, maxBusiness},
		{"agreement_sign_params", r.Web.AgreementParams, maxAgreement}} {
		if len([]rune(x.v)) > x.most || !printable(x.v) {
			return field(x.name, "is longer than %d characters or has control characters", x.most)
		}
	}
	return nil
}

func address(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && len(s) <= maxAddress && printable(s)
}

// webOf fills in the addresses that HIS left out: those of the callback
// listener as the outside reaches it. What HIS gave is sent unchanged.
func (a *Agent) webOf(platform, no string, w platforms.Web) platforms.Web {
	base := a.cfg.Callback.PublicURL
	if base == "" || !a.cfg.Callback.On() {
		return w // the adapter has its own, or names what is missing
	}
	if w.ReturnURL == "" {
		w.ReturnURL = base + "/return/" + no + "/" + a.PageToken(no)
	}
	if w.NotifyURL == "" {
		w.NotifyURL = base + "/notify/" + url.PathEscape(platform)
	}
	return w
}

// PageToken is what opens the return page of an order besides its number:
// nobody can work it out without this machine's own key, and it needs no
// place to be kept in.
func (a *Agent) PageToken(no string) string {
	return a.parts.Box.Hash("return-page", platforms.Hide(no))
}

// ErrForged is wrapped when a message could not be verified as the platform's.
var ErrForged = errors.New("the message could not be verified as the platform's")

// ErrNoNotifier is returned for a platform that sends no messages by itself.
var ErrNoNotifier = errors.New("this platform is not configured, or sends no messages by itself")

// errNotAsked: a message about an order that is long over rests on the query
// that it brings about, and that was not answered.
var errNotAsked = errors.New("the platform could not be asked about it; the message has to come again")

// Notify takes a message that a platform sent by itself. It gives the text
// that the platform wants to read; by then whatever the message proves is on
// disk, so that the platform need not repeat it. An error that wraps
// ErrForged: the message changes nothing. Any other: it was not taken, and the
// platform should repeat it.
func (a *Agent) Notify(ctx context.Context, platform string, in platforms.Incoming) (reply string, err error) {
	n, err := a.hearNotice(ctx, platform, in, "")
	return n.Reply, err
}

// Returned takes what the payer's browser carried back from the platform's
// page (return_url) about one order. It proves nothing; it wakes the query.
func (a *Agent) Returned(ctx context.Context, no string, in platforms.Incoming) (platforms.Notice, error) {
	o, err := a.Order(no)
	if err != nil {
		return platforms.Notice{}, err
	}
	if o == nil {
		return platforms.Notice{}, ErrNoNotifier
	}
	return a.hearNotice(ctx, o.Platform, in, no)
}

// Wake takes the word of somebody who proves nothing that a platform has news of
// an order: the query that is owed leaves now, as after the payer's return.
func (a *Agent) Wake(ctx context.Context, platform, no string) error {
	n := platforms.Notice{ByBrowser: true, Answer: platforms.Answer{OrderNo: no}}
	r, err := a.ask(ctx, func(id uint64) counter.Event {
		return counter.Notified{Reply: id, Platform: platform, Notice: n}
	})
	switch {
	case err != nil:
		return err
	case r.Code == counter.CodeStopped:
		return ErrStopped
	}
	result := "wakes"
	if r.Code == counter.CodeNotFound {
		result = "unknown_order"
	}
	a.stats.noticed(platform, result)
	return nil
}

// hearNotice verifies a message and hands it on; browser is the number of the
// order that the payer's browser came back for, empty for the platform itself.
func (a *Agent) hearNotice(ctx context.Context, platform string, in platforms.Incoming, browser string) (platforms.Notice, error) {
	member, ok := a.parts.Platforms[platform].(platforms.Notifier)
	if !ok {
		return platforms.Notice{}, ErrNoNotifier
	}
	n, err := member.Notice(in)
	if err == nil && browser != "" && n.Answer.OrderNo != browser {
		err = errors.New("it is about another order")
	}
	if err != nil {
		a.stats.noticed(platform, "forged")
		return platforms.Notice{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	// Whatever the adapter says: what came by a browser proves nothing.
	n.ByBrowser = n.ByBrowser || browser != ""
	n.Evidence = n.Evidence && !n.ByBrowser
	r, err := a.ask(ctx, func(id uint64) counter.Event {
		return counter.Notified{Reply: id, Platform: platform, Notice: n}
	})
	switch {
	case err != nil:
	case r.Code == counter.CodeStopped:
		err = ErrStopped
	case r.Code == counter.CodeUnreachable, r.Code == counter.CodeClock:
		err = errNotAsked
	}
	if err != nil {
		return n, err
	}
	a.stats.noticed(platform, noticeResult(n, r.Code))
	return n, nil
}

// noticeResult is what became of a message, for counting: a closed set.
func noticeResult(n platforms.Notice, code string) string {
	switch {
	case code == counter.CodeNotFound:
		return "unknown_order"
	case n.ByBrowser:
		return "browser"
	case n.Evidence:
		return "evidence"
	}
	return "wakes"
}
