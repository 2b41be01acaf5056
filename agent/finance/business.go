package finance

import (
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// The businesses that the prefixes of order numbers tell apart (seed 004 §4.1,
// §5.1).
const (
	Outpatient      = "outpatient"
	Inpatient       = "inpatient"
	KioskOutpatient = "kiosk_outpatient"
	KioskInpatient  = "kiosk_inpatient"
	Other           = "other"
)

// Business tells what an order was for: by the prefix of its number, else by
// its till and type, for numbers that HIS gave without one.
func Business(c config.Config, o *order.Order) string {
	kind, class := c.Business(o.No)
	if kind == "" {
		kind, class = o.TillKind, c.OrderTypes[o.OrderType].Class
	}
	switch {
	case class == config.Outpatient && kind == config.Kiosk:
		return KioskOutpatient
	case class == config.Inpatient && kind == config.Kiosk:
		return KioskInpatient
	case class == config.Outpatient:
		return Outpatient
	case class == config.Inpatient:
		return Inpatient
	}
	return Other
}

// BusinessText is a business in words.
func BusinessText(code string) words.Text {
	switch code {
	case Outpatient:
		return words.Text{ZH: "门诊", EN: "Outpatient"}
	case Inpatient:
		return words.Text{ZH: "住院", EN: "Inpatient"}
	case KioskOutpatient:
		return words.Text{ZH: "自助机门诊", EN: "Kiosk, outpatient"}
	case KioskInpatient:
		return words.Text{ZH: "自助机住院", EN: "Kiosk, inpatient"}
	}
	return words.Text{ZH: "其他", EN: "Other"}
}

func channelText(ch platforms.Channel) words.Text {
	t := words.Text{ZH: words.ReportChannel(string(ch)), EN: "Face to face"}
	if ch != "" {
		t.EN += ", " + words.Wallet(string(ch)).EN
	}
	return t
}
