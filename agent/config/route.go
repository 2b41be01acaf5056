package config

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"payagent/platforms"
)

// Query is what a route is chosen by.
type Query struct {
	Till      string
	Mode      platforms.Mode
	OrderType string
}

// RouteFor finds the platform and merchant profile for an order: the first
// route that matches wins. The error is a *platforms.FieldError that names the
// API field and, for the person who configures, what to do.
func (c Config) RouteFor(q Query) (Platform, Merchant, error) {
	t, ok := c.TillNamed(q.Till)
	if !ok {
		return Platform{}, Merchant{}, &platforms.FieldError{Field: "till", Reason: "this agent has no till of that name; name one of: " + strings.Join(c.tillNames(), ", ")}
	}
	if _, ok := c.OrderTypes[q.OrderType]; !ok || len(t.OrderTypes) > 0 && !slices.Contains(t.OrderTypes, q.OrderType) {
		return Platform{}, Merchant{}, &platforms.FieldError{Field: "order_type", Reason: "this till does not take that order type; name one of: " + strings.Join(c.orderTypesOf(t), ", ")}
	}
	if !slices.Contains(t.Modes, string(q.Mode)) {
		return Platform{}, Merchant{}, &platforms.FieldError{Field: "mode", Reason: "this till does not do that; name one of: " + strings.Join(t.Modes, ", ")}
	}
	for _, r := range c.Routes {
		if !r.matches(t, q) {
			continue
		}
		if m, ok := c.MerchantNamed(r.Merchant); ok {
			if p, ok := c.PlatformNamed(m.Platform); ok {
				return p, m, nil
			}
		}
		break
	}
	return Platform{}, Merchant{}, &platforms.FieldError{Field: "order_type", Reason: fmt.Sprintf(
		"no route leads from till %s with mode %s and this order type to a merchant; add one under routes in the configuration", t.Name, q.Mode)}
}

func (r Route) matches(t Till, q Query) bool {
	is := func(cond, got string) bool { return cond == "" || cond == got }
	return is(r.Till, t.Name) && is(r.TillKind, t.Kind) && is(r.Mode, string(q.Mode)) &&
		is(r.OrderType, q.OrderType) && is(r.Department, t.Department) && is(r.Campus, t.Campus)
}

// TillNamed finds a till.
func (c Config) TillNamed(name string) (Till, bool) {
	i := slices.IndexFunc(c.Tills, func(t Till) bool { return t.Name == name })
	if i < 0 {
		return Till{}, false
	}
	return c.Tills[i], true
}

// PlatformNamed finds a platform.
func (c Config) PlatformNamed(name string) (Platform, bool) {
	i := slices.IndexFunc(c.Platforms, func(p Platform) bool { return p.Name == name })
	if i < 0 {
		return Platform{}, false
	}
	return c.Platforms[i], true
}

// MerchantNamed finds a merchant profile.
func (c Config) MerchantNamed(profile string) (Merchant, bool) {
	i := slices.IndexFunc(c.Merchants, func(m Merchant) bool { return m.Profile == profile })
	if i < 0 {
		return Merchant{}, false
	}
	return c.Merchants[i], true
}

// MerchantsOf lists the merchant profiles of a platform, in the order of the file.
func (c Config) MerchantsOf(platform string) []Merchant {
	var out []Merchant
	for _, m := range c.Merchants {
		if m.Platform == platform {
			out = append(out, m)
		}
	}
	return out
}

// WireOrderTypes is the table from the API's order types to OrderType of the
// FWC wire.
func (c Config) WireOrderTypes() map[string]string {
	out := map[string]string{}
	for name, t := range c.OrderTypes {
		out[name] = t.OrderType
	}
	return out
}

// ServiceIDs is the table from the API's order types to ServiceId of the
// SmartPay wire. Types without one are left out.
func (c Config) ServiceIDs() map[string]string {
	out := map[string]string{}
	for name, t := range c.OrderTypes {
		if t.ServiceID != "" {
			out[name] = t.ServiceID
		}
	}
	return out
}

func (c Config) tillNames() []string {
	var out []string
	for _, t := range c.Tills {
		out = append(out, t.Name)
	}
	return out
}

func (c Config) orderTypesOf(t Till) []string {
	if len(t.OrderTypes) > 0 {
		return t.OrderTypes
	}
	return sortedKeys(c.OrderTypes)
}

// Prefix gives the prefix of order numbers for a kind of till and an order
// type: the order type's own entry, else that of its class. Empty if the table
// has neither.
func (c Config) Prefix(tillKind, orderType string) string {
	table := c.Prefixes[tillKind]
	if p, ok := table[orderType]; ok {
		return p
	}
	return table[c.OrderTypes[orderType].Class]
}

// Bounds gives least and largest amount of an order type, in fen: its own
// where it has some, else the common ones; never wider than the common ones.
func (c Config) Bounds(orderType string) (low, high platforms.Fen) {
	t := c.OrderTypes[orderType]
	low, high = max(c.Limits.MinFen, t.MinFen), c.Limits.MaxFen
	if t.MaxFen != 0 {
		high = min(high, t.MaxFen)
	}
	return low, high
}

// MissingProfiles lists the profiles of open or refundable orders that this
// configuration no longer has, or has without their platform, sorted. While
// there are some it must not be used: those orders could neither be asked for
// nor given back (decision 18).
func MissingProfiles(c Config, inUse []string) []string {
	var out []string
	for _, name := range inUse {
		m, ok := c.MerchantNamed(name)
		if ok {
			_, ok = c.PlatformNamed(m.Platform)
		}
		if !ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}
