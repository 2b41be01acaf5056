package main

import (
	"context"
	"errors"
	"time"

	listeners "payagent/agent/listen"
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
			err := b.wouldStart(x)
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

// wouldStart tells what in the configuration as it lies there now would keep a
// new start from serving. Credentials are not looked at: new ones come with it.
func (b *assembly) wouldStart(x *exchange) error {
	next, err := x.files.Look()
	if err != nil {
		return err
	}
	c := next.Config
	return errors.Join(checkMembers(c), keepsInUse(x.effective.Config, c, b.store), listeners.Usable("door", c.Door.Listener()),
		listeners.Usable("facade", c.Facade.Listener), listeners.Usable("books", c.Books.Listener), listeners.Usable("callback", c.Callback.Listener))
}
