package config

import (
	"fmt"
	"time"
)

// booking checks what happens until HIS has booked a payment.
func (v validator) booking() {
	b := v.Booking
	v.between("booking.prompt_after", b.PromptAfter, 10*time.Second, time.Hour)
	v.between("booking.alarm_after", b.AlarmAfter, 30*time.Second, 24*time.Hour)
	if b.AlarmAfter <= b.PromptAfter {
		v.add("booking.alarm_after", "the alarm comes after the prompt; write more than prompt_after")
	}
	v.oneOf("booking.reverse_with", b.ReverseWith, ReverseCancel, ReverseRefund, ReverseLC)
	switch {
	case b.ReverseWith == ReverseLC:
		v.known("booking.reverse_via", b.ReverseVia, "platform", v.platformNames())
		if _, n := v.merchantsOf(b.ReverseVia); n != 1 && b.ReverseVia != "" {
			v.add("booking.reverse_via", "this platform has %d merchant profiles; the cancel needs exactly one", n)
		}
	case b.ReverseVia != "":
		v.add("booking.reverse_via", "this is for reverse_with: lc.trade.cancel only; remove it")
	}
	for i, t := range v.Tills {
		at := fmt.Sprintf("tills[%d].reverse_on_silence", i)
		switch {
		case !t.ReverseOnSilence:
		case t.Kind != Kiosk:
			v.add(at, "this is for kiosks only: at a counter a cashier looks after it; remove it")
		case !b.Expect:
			v.add(at, "nothing is expected of HIS (booking.expect: false), so its silence says nothing; remove it")
		case b.AlarmAfter <= SilenceFor:
			v.add(at, "the money goes back after %s of silence; write a longer booking.alarm_after", short(SilenceFor))
		}
	}
}

// SilenceFor is how long HIS may be silent before a kiosk with
// reverse_on_silence gives the money back (decision 11).
const SilenceFor = 120 * time.Second

// merchantsOf gives the last merchant profile of a platform, and how many it has.
func (c Config) merchantsOf(platform string) (m Merchant, n int) {
	for _, x := range c.Merchants {
		if x.Platform == platform {
			m = x
			n++
		}
	}
	return m, n
}

// ReverseMerchant is the profile under which booking.reverse_via is called.
func (c Config) ReverseMerchant() Merchant {
	m, _ := c.merchantsOf(c.Booking.ReverseVia)
	return m
}
