package main

import (
	"context"
	"fmt"

	"payagent/agent/config"
	"payagent/agent/facade"
	"payagent/platforms/fwc/fwcfacade"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpayfacade"
)

// leastSecret is the length of the shortest secret that may stand in a path.
const leastSecret = 16

// openFacade puts the façades beside the door, where the configuration has
// them.
func (b *assembly) openFacade(c config.Config) error {
	if !c.Facade.On() {
		return nil
	}
	front := facade.New(b.agent)
	var h facade.Handlers
	var err error
	if s := c.Facade.SmartPay; s != nil {
		cfg := smartpayfacade.Config{Secret: facade.Secret(s.SecretFile, leastSecret, b.log), Wait: c.Facade.Wait,
			OrderTypes: s.OrderTypes, CardTypes: s.CardTypes, IgnoreMerchCode: s.IgnoreMerchCode, Logger: b.log}
		if cfg.OrderTypes == nil {
			cfg.OrderTypes = facade.ServiceIDs(c)
		}
		if cfg.CardTypes == nil {
			cfg.CardTypes = map[string]string{}
			for word, code := range smartpay.DefaultCardTypes() {
				cfg.CardTypes[code] = word
			}
		}
		if h.SmartPay, err = smartpayfacade.New(front, cfg); err != nil {
			return fmt.Errorf("facade.smartpay: %w", err)
		}
	}
	if w := c.Facade.FWC; w != nil {
		types := map[string]string{}
		for name, t := range c.OrderTypes {
			if have, taken := types[t.OrderType]; !taken || name == t.OrderType || have != t.OrderType && name < have {
				types[t.OrderType] = name
			}
		}
		h.FWC, err = fwcfacade.New(front, fwcfacade.Config{Namespace: w.Namespace, ActionPrefix: w.ActionPrefix, ParamName: w.ParamName,
			Token: facade.Secret(w.TokenFile, 1, b.log), Wait: c.Facade.Wait, Pending: w.Pending, OrderTypes: types,
			HospitalID: c.Site.HospitalID, Logger: b.log})
		if err != nil {
			return fmt.Errorf("facade.fwc: %w", err)
		}
	}
	b.beside = append(b.beside, func(ctx context.Context) error { return facade.Serve(ctx, b.agent, h, b.log) })
	return nil
}
