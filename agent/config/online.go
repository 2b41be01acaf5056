package config

import (
	"net/url"
	"strings"

	"payagent/platforms"
)

// Online is the kind of a till where nobody stands: a page or an app through
// which patients pay on their own devices, any number at once.
const Online = "online"

// Callback is the listener that platforms and patients' browsers reach from
// outside, through the site's reverse proxy: notifications, the return page,
// the end of an authorisation. Off without addresses.
type Callback struct {
	Listener
	// Address under which the outside reaches this listener, e.g. https://pay.example.org/agent; the return and notification addresses of orders are made of it where HIS gives none.
	PublicURL string `yaml:"public_url"`
}

// Insurance is what HIS's order types mean to the medical insurance (seed 004
// §6.6). Organisation, city, kind of institution and the rule of the total are
// options of the platform's driver.
type Insurance struct {
	// Scene of each order type: REGISTRATION (挂号) or TREATMENT (诊间). Order types that are not listed are TREATMENT.
	Scenes map[string]string
}

// Scene is the scene of an order type.
func (i Insurance) Scene(orderType string) string {
	if s := i.Scenes[orderType]; s != "" {
		return s
	}
	return "TREATMENT"
}

func (v validator) online() {
	v.listener("callback", v.Callback.Listener)
	if raw := v.Callback.PublicURL; raw != "" {
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(raw, "/"):
			v.add("callback.public_url", "write the address without query and without a slash at its end, e.g. https://pay.example.org/agent")
		case len(raw) > 200:
			v.add("callback.public_url", "is longer than 200 characters; the platforms take 512 with what is added to it")
		}
	}
	if v.Callback.On() && v.Callback.PublicURL == "" {
		v.add("callback.public_url", "this is required: the address under which the platforms reach this listener through the reverse proxy")
	}
	for _, name := range sortedKeys(v.Insurance.Scenes) {
		at := "insurance.scenes." + name
		v.known(at, name, "order type", sortedKeys(v.OrderTypes))
		v.oneOf(at, v.Insurance.Scenes[name], "REGISTRATION", "TREATMENT")
	}
}

// modesOf lists what a kind of till may do; every mode for no kind.
func modesOf(kind string) []string {
	all := []string{string(platforms.ModeCharge), string(platforms.ModePresent), string(platforms.ModeH5), string(platforms.ModeInsurance)}
	if kind == Online {
		return all[2:]
	}
	return all
}
