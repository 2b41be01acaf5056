package main

import (
	"context"
	"time"

	"payagent/agent/service"
)

// awaitReload carries out `systemctl reload payagent`: the configuration is
// read and, once no order is in hand, the process starts anew with it. A
// configuration with a mistake changes nothing but what systemctl status says.
func (b *assembly) awaitReload(ctx context.Context, x *exchange) error {
	if x == nil {
		<-ctx.Done()
		return nil
	}
	asked, stop := reloads()
	defer stop()
	tick := time.NewTicker(time.Second) // what is in hand also ends by growing old
	defer tick.Stop()
	for good := false; ; {
		changed := b.agent.Changed()
		if good && !b.agent.InHand(inHand) {
			notify(b.log, service.Reloading)
			x.restart("reload")
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-asked:
			_, err := x.files.Look()
			if err != nil {
				b.log.Error("the configuration has a mistake; the old one stays", "error", err)
				notify(b.log, service.Say("配置有错，仍用旧配置 the configuration has a mistake, the old one stays"))
			}
			good = err == nil
		case <-changed:
		case <-tick.C:
		}
	}
}
