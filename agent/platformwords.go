package agent

import (
	"fmt"

	"payagent/agent/counter"
	"payagent/agent/words"
)

// PlatformWords gives the words of the catalogue for a platform's own code
// (PAY-22). Where it has none they show the platform's text and code, and known
// is false.
func (a *Agent) PlatformWords(platform, code, message string) (e words.Entry, known bool) {
	conf, _ := a.cfg.PlatformNamed(platform)
	return a.words.Platform(conf.Driver, code, message)
}

// countCode counts an answer whose code the catalogue does not know. The code
// itself goes to the log only: labels come from closed sets. Adapters clean
// codes and texts of payment codes before they give them (package platforms).
func (a *Agent) countCode(c counter.Call, ev counter.Event) {
	code, message := "", ""
	switch e := ev.(type) {
	case counter.PayDone:
		code, message = e.Answer.Code, e.Answer.Message
	case counter.QueryDone:
		code, message = e.Answer.Code, e.Answer.Message
	case counter.CancelDone:
		code, message = e.Answer.Code, e.Answer.Message
	case counter.RefundDone:
		code, message = e.Answer.Code, e.Answer.Message
	}
	if code == "" {
		return
	}
	if _, known := a.PlatformWords(c.Platform, code, message); known {
		return
	}
	a.stats.add("payagent_unmapped_codes_total", fmt.Sprintf(`adapter=%q,op=%q`, c.Platform, c.Verb), 1)
	a.log.Warn("a platform's code has no words; report it", "platform", c.Platform, "op", c.Verb, "code", code, "message", message)
}
