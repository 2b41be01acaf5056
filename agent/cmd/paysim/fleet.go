package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/cmd/paysim/internal/tills"
	"payagent/agent/fleet"
	"payagent/agent/fleet/broker"
	webpage "payagent/agent/fleet/console"
	"payagent/agent/fleet/hub"
	"payagent/agent/fleet/hub/boltstore"
	"payagent/agent/fleet/sealed"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/signed"
	"payagent/uplink"
	"payagent/uplink/mqtt"
)

// pretendFleet is a broker, pretend tills and the console, in this process.
type pretendFleet struct {
	console
	n              int
	broker, listen string
	dir, token     string
	every          time.Duration
	key            signed.Private
	keys           []signed.Key
	hubKey         sealed.Public
	ready          func(page string) // tests: what the console's address is
	busy, cutAfter time.Duration
	group          sync.WaitGroup
	failed         chan error
}

// fleetCommand runs paysim fleet.
func fleetCommand(ctx context.Context, args []string, c console) error {
	p := pretendFleet{console: c, every: 10 * time.Second, busy: 20 * time.Second, cutAfter: 15 * time.Second}
	f := flag.NewFlagSet("fleet", flag.ContinueOnError)
	f.IntVar(&p.n, "n", 20, "`number` of tills")
	f.StringVar(&p.broker, "broker", "127.0.0.1:1883", "`address` of the pretend fleet's broker")
	f.StringVar(&p.listen, "listen", "127.0.0.1:8785", "`address` of the console")
	f.StringVar(&p.dir, "data", "", "`folder` for everything; a new temporary one by default")
	if err := parse(f, args); err != nil {
		return err
	}
	if p.n < 1 || p.n > 200 {
		return fmt.Errorf("%w: -n is 1 to 200", errUsage)
	}
	for _, addr := range []string{p.broker, p.listen} {
		if err := onLoopback(addr); err != nil {
			return err
		}
	}
	return p.run(ctx)
}

func (p *pretendFleet) run(ctx context.Context) (err error) {
	if p.dir == "" {
		if p.dir, err = os.MkdirTemp("", "payagent-fleet-"); err != nil {
			return fmt.Errorf("cannot make a folder; name one with -data: %w", err)
		}
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	p.token, p.key = rand.Text(), signed.Private{ID: "demo", Key: private}
	p.keys = []signed.Key{{ID: "demo", Roles: []string{fleet.RoleOperate}, Public: public}}
	p.failed = make(chan error, p.n+2)
	ctx, stop := context.WithCancel(ctx)
	l, err := net.Listen("tcp", p.broker)
	if err != nil {
		stop()
		return fmt.Errorf("cannot start the broker, something else listens there; choose another port with -broker: %w", err)
	}
	p.broker = l.Addr().String()
	b, err := broker.Open(broker.Config{Listener: l, Root: "payagent", File: filepath.Join(p.dir, "broker.db")})
	if err != nil {
		stop()
		return errors.Join(err, l.Close())
	}
	defer func() {
		stop()
		p.group.Wait()
		err = errors.Join(err, b.Close())
	}()
	if err := p.hub(ctx); err != nil {
		return err
	}
	for i := range p.n {
		if err := p.till(ctx, i); err != nil {
			return err
		}
	}
	if err := p.page(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return err
	}
}

// hub keeps the tills' payments, as payfleet hub does, and acknowledges them.
func (p *pretendFleet) hub(ctx context.Context) error {
	secret, err := sealed.NewPrivate()
	if err != nil {
		return err
	}
	p.hubKey = secret.Public()
	store, err := boltstore.Open(filepath.Join(p.dir, "hub.db"))
	if err != nil {
		return err
	}
	bus, err := p.open(p.broker, "hub", nil, nil)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	h, err := hub.New(hub.Config{Root: "payagent", Key: secret, PersonDays: 1, KeepDays: 1}, store, bus)
	if err != nil {
		return errors.Join(err, bus.Close(), store.Close())
	}
	p.group.Go(func() {
		err := h.Run(ctx)
		if err = errors.Join(err, bus.Close(), store.Close()); err != nil && ctx.Err() == nil {
			p.failed <- err
		}
	})
	return nil
}

// open opens a connection to the broker at an address.
func (p *pretendFleet) open(addr, id string, will func(uint64) *uplink.Message, up func(context.Context, uint64)) (uplink.Bus, error) {
	return mqtt.Open(mqtt.Config{Broker: "mqtt://" + addr, ClientID: id, Will: will, OnUp: up, Phase: func() time.Duration { return 0 }, Every: 2 * time.Second})
}

// till starts the i-th till. The sixth loses its cable, the ninth has a wrong
// clock, the twelfth an old program, the fifteenth no platform.
func (p *pretendFleet) till(ctx context.Context, i int) error {
	name := fmt.Sprintf("TILL-%02d", i+1)
	addr, up := p.broker, func() {}
	o := tills.Options{Place: fleet.Place{Root: "payagent", Site: "H1", Box: name}, Version: "1.4.0", Dir: filepath.Join(p.dir, name), Keys: p.keys, HubKey: &p.hubKey, Every: p.every, Busy: p.busy,
		Logger: slog.New(slog.DiscardHandler)}
	switch i {
	case 5:
		w, err := tills.NewWire(p.broker)
		if err != nil {
			return err
		}
		addr = w.Addr()
		// Not before it was there: nobody misses what was never seen.
		there := make(chan struct{})
		up = sync.OnceFunc(func() { close(there) })
		p.group.Go(func() {
			defer w.Cut()
			select {
			case <-ctx.Done():
				return
			case <-there:
			}
			select {
			case <-ctx.Done():
			case <-time.After(p.cutAfter):
			}
		})
	case 8:
		o.Alarms = []agent.Alarm{{Code: "clock_skew"}}
	case 11:
		o.Version = "1.3.7"
	case 14:
		o.Down = true
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "keys"), 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "fleet"), 0o700); err != nil {
		return err
	}
	o.Open = func(will func(uint64) *uplink.Message, onUp func(context.Context, uint64)) (uplink.Bus, error) {
		return p.open(addr, name, will, func(ctx context.Context, n uint64) {
			onUp(ctx, n)
			up()
		})
	}
	p.group.Go(func() {
		if err := tills.Run(ctx, o); err != nil {
			p.failed <- err
		}
	})
	return nil
}

// page serves the console and prints where it is.
func (p *pretendFleet) page(ctx context.Context) error {
	bus, err := p.open(p.broker, "console", nil, nil)
	if err != nil {
		return err
	}
	w, err := watch.Open(bus, watch.Options{Root: "payagent", Limits: view.Usual()})
	if err != nil {
		return errors.Join(err, bus.Close())
	}
	c, err := webpage.New(webpage.Options{Watch: w, Bus: bus, Root: "payagent", Token: p.token, Keys: []signed.Private{p.key}, Roles: p.keys[0].Roles})
	if err != nil {
		return errors.Join(err, bus.Close())
	}
	l, err := net.Listen("tcp", p.listen)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot serve the console, something else listens there; choose another port with -listen: %w", err), bus.Close())
	}
	server := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	p.group.Go(func() {
		<-ctx.Done()
		w.Close()
		_ = errors.Join(server.Close(), bus.Close()) // everything ends
	})
	p.group.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- err
		}
	})
	page := "http://" + l.Addr().String() + "/#t=" + p.token
	if _, err := fmt.Fprintf(p.out, `
测试环境，没有真实资金 TEST: no real money

  机群控制台  fleet console   %[1]s
  消息服务器  broker          mqtt://%[2]s
  全院对账    hub             在同一进程内接收并确认每台的支付事件 keeps and acknowledges every till's payments
  命令行      command line    payfleet ls --broker mqtt://%[2]s
  看消息      all messages    mosquitto_sub -h 127.0.0.1 -p %[5]s -v -t 'payagent/#'

  %[3]d 台模拟收费机：一台稍后断线，一台时钟不准，一台旧版本，一台连不上支付平台。
  %[3]d pretend tills: one loses its cable in a moment, one has a wrong clock, one an old program, one no platform.
  全部数据 all data: %[4]s      停止 stop: Ctrl-C

`, page, p.broker, p.n, p.dir, port(p.broker)); err != nil {
		return err
	}
	if p.ready != nil {
		p.ready(page)
	}
	return nil
}

func port(addr string) string {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return p
}
