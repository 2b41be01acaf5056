package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/desired"
	"payagent/agent/diag"
	"payagent/agent/doctor"
	"payagent/agent/enrol"
	"payagent/agent/fleet"
	fleetbox "payagent/agent/fleet/box"
	"payagent/agent/fleet/sealed"
	"payagent/agent/machine"
	"payagent/agent/seal"
	"payagent/agent/service"
	"payagent/agent/trial"
	"payagent/agent/update"
	"payagent/queue/bolt"
	"payagent/uplink/mqtt"
)

// This file takes part in the fleet (docs/mqtt.md): one connection to the
// broker, shared by what is told over it and by the tunnel of platforms.

func placeOf(c config.Config) fleet.Place {
	return fleet.Place{Root: c.Fleet.Root, Site: c.Fleet.Site, Box: c.Fleet.Box}
}

// station is the connection to the broker with the box behind it, which is made
// later.
type station struct {
	start  fleetbox.Start
	within time.Duration // it connects at a moment of its own within this time
	made   chan struct{} // closed when box is set
	box    *fleetbox.Box
}

// up hands a new connection on.
func (s *station) up(ctx context.Context, n uint64) {
	select {
	case <-s.made:
		s.box.OnUp(ctx, n)
	case <-ctx.Done():
	}
}

// firstWait is how long the first connection waits for the box to subscribe.
const firstWait = 10 * time.Second

// phase waits until the box has subscribed, because a broker hands out what it
// kept right after the connect.
func (s *station) phase() time.Duration {
	timer := time.NewTimer(firstWait)
	defer timer.Stop()
	select {
	case <-s.made:
		select {
		case <-s.box.Listening():
		case <-timer.C:
		}
	case <-timer.C:
	}
	return rand.N(s.within)
}

// openBus opens the connection to the broker once. It returns at once; the
// client connects by itself.
func (b *assembly) openBus(c config.Config) error {
	if b.bus != nil {
		return nil
	}
	f := c.Fleet
	start, err := fleetbox.NewStart(placeOf(c), f.StatusEvery, version)
	if err != nil {
		return err
	}
	b.station = &station{start: start, within: f.ConnectWithin, made: make(chan struct{})}
	cfg := mqtt.Config{Broker: f.Broker, ClientID: f.Box, ServerName: f.ServerName, Logger: b.log, Will: start.Will, OnUp: b.station.up, Phase: b.station.phase, Every: f.ConnectWithin,
		Now: b.clock.Now, Doubt: b.clock.Doubt}
	read := func(file string) func() ([]byte, error) {
		if file == "" {
			return nil
		}
		return func() ([]byte, error) { return os.ReadFile(file) }
	}
	cfg.CA, cfg.Cert, cfg.Key = read(f.CAFile), read(f.CertFile), certKey(f.KeyFile)
	bus, err := mqtt.Open(cfg)
	if err != nil {
		return err
	}
	b.bus = bus
	b.close = append(b.close, bus)
	return nil
}

// certKey reads the key of a certificate anew at each call; nil for none.
func certKey(file string) func() ([]byte, error) {
	if file == "" {
		return nil
	}
	return func() ([]byte, error) {
		key, err := seal.ReadKey(file, false)
		return []byte(key.Reveal()), err
	}
}

// openFleet takes part in the fleet, if there is one.
func (b *assembly) openFleet(c config.Config, x *exchange) error {
	if !c.Fleet.On() || b.replaced {
		return nil
	}
	if err := b.openBus(c); err != nil {
		return fmt.Errorf("cannot reach the fleet's broker: %w", err)
	}
	from, to, err := config.Window(c.Fleet.Window)
	if err != nil {
		return err
	}
	o := fleetbox.Options{Agent: b.agent, Cursors: b.store, Dir: fleetDir(c), Keys: signers(c.Fleet.Keys), PubAck: c.Fleet.Ack == "puback",
		Start: b.station.start, Clock: b.clock, Logger: b.log, Verbs: b.verbs(c, x),
		Lock: b.agent.Quiet(agent.QuietTerms{Idle: c.Fleet.Idle, From: from, To: to}),
		Twin: func(context.Context) map[string]any { return b.twin(c, x) }, Conditions: func() []agent.Alarm { return b.conditions(c, x) },
		Lasting: []string{"certificate_expired", "certificate_1_day", "certificate_7_days", "certificate_30_days", alarmSkew, alarmWorn, alarmClock, alarmSecondWay, alarmSecondWayDown, alarmGone, alarmAside},
		End:     x.restart, Hurry: service.Hurry}
	if c.Fleet.HubKey != "" {
		key, err := sealed.ParsePublic(c.Fleet.HubKey)
		if err != nil {
			return err
		}
		o.HubKey = &key
	}
	if b.station.box, err = fleetbox.New(o); err != nil {
		return err
	}
	close(b.station.made)
	b.metrics = append(b.metrics, b.station.box.WriteMetrics)
	b.beside = append(b.beside, func(ctx context.Context) error {
		if err := b.station.box.Run(ctx, b.bus); err != nil {
			return err
		}
		return wait(ctx)
	})
	return b.openSwap(c)
}

// verbs are what the fleet may order here. None moves money.
func (b *assembly) verbs(c config.Config, x *exchange) []fleetbox.Verb {
	list := []fleetbox.Verb{fleetbox.Restart(), fleetbox.ResolveNow(b.agent), fleetbox.TestDevices(b.agent), fleetbox.UploadLog(logOf(c)), fleetbox.Diagnose(b.diagSources(c))}
	if b.renewer != nil {
		list = append(list, fleetbox.Verb{Name: fleet.VerbRenew, Schema: `{"type":"object","additionalProperties":false}`,
			Do: func(ctx context.Context, cmd fleet.Command, _ fleetbox.Runner) (any, error) {
				if err := fleetbox.Args(cmd, &struct{}{}); err != nil {
					return nil, err
				}
				return b.renewer.Renew(ctx, false)
			}})
	}
	if x == nil {
		return list
	}
	resumeConfig := func(ctx context.Context, _ fleet.Command, note json.RawMessage) (any, error) {
		r, err := x.files.Resume(ctx, note)
		return r, asFailure(err)
	}
	return append(list,
		fleetbox.Verb{Name: fleet.VerbConfigApply, Schema: desired.Schema, Disturbs: true, Resume: resumeConfig,
			Do: func(_ context.Context, cmd fleet.Command, r fleetbox.Runner) (any, error) {
				if x.trying() {
					return nil, errTrying()
				}
				return nil, asFailure(x.files.Order(cmd.Args, b.service, r))
			}},
		fleetbox.Verb{Name: fleet.VerbConfigRollback, Schema: desired.BackSchema, Disturbs: true, Resume: resumeConfig,
			Do: func(_ context.Context, cmd fleet.Command, r fleetbox.Runner) (any, error) {
				if err := fleetbox.Args(cmd, &struct{}{}); err != nil {
					return nil, err
				}
				return nil, asFailure(x.files.OrderBack(r))
			}},
		// It fetches while tills are in use and waits for the lock by itself.
		fleetbox.Verb{Name: fleet.VerbUpdate, Schema: update.Schema,
			Do: func(ctx context.Context, cmd fleet.Command, r fleetbox.Runner) (any, error) {
				if x.trying() {
					return nil, errTrying()
				}
				client, err := downloads(c, b.clock)
				if err != nil {
					return nil, err
				}
				ctx, stop := context.WithDeadline(ctx, cmd.Expires)
				defer stop()
				return nil, asFailure(x.updates.Order(ctx, cmd.Args, b.service, r, func(f fleet.File) []update.Source { return update.Addresses(client, f) }))
			},
			Resume: func(ctx context.Context, _ fleet.Command, note json.RawMessage) (any, error) {
				r, err := x.updates.Resume(ctx, note)
				return r, asFailure(err)
			}})
}

// errTrying refuses what would disturb a trial.
func errTrying() error {
	return fleetbox.Fail("busy", "something new must prove itself first; order it again in two minutes")
}

// asFailure gives the fleet the code of an error.
func asFailure(err error) error {
	var r *trial.Refusal
	if errors.As(err, &r) {
		return fleetbox.Fail(r.Code, err.Error())
	}
	return err
}

func logOf(c config.Config) diag.Log { return diag.Log{Path: c.Log.File, Keep: c.Log.Keep} }

// diagSources is what the diagnostic bundle is made from.
func (b *assembly) diagSources(c config.Config) diag.Sources {
	return diag.Sources{Agent: b.agent, Version: buildVersion(), Config: c, Log: logOf(c),
		Metrics: []func(io.Writer) error{func(w io.Writer) error {
			var errs []error
			for _, f := range b.metrics {
				errs = append(errs, f(w))
			}
			return errors.Join(errs...)
		}},
		More: map[string]func(context.Context) (any, error){
			"machine.json": func(context.Context) (any, error) {
				return map[string]any{"machine": machine.Look(), "clock": machine.LookClock(), "disk": diskOf(c)}, nil
			},
			"doctor.json": func(ctx context.Context) (any, error) { return b.examined(ctx, c), nil }}}
}

// examineWithin bounds what the doctor adds to the bundle, for which somebody
// waits.
const examineWithin = 8 * time.Second

// examined is what payagent doctor says of this box.
func (b *assembly) examined(ctx context.Context, c config.Config) doctor.Result {
	ctx, stop := context.WithTimeout(ctx, examineWithin)
	defer stop()
	s, end := examineConfig("", c, nil)
	defer end()
	if b.keeper == nil { // no agent runs, and this process has the store open
		s.Store = func() (doctor.Store, error) { return doctor.Store{Exists: true}, nil }
	}
	r, _ := doctor.Run(ctx, s, "")
	return r
}

// agentPart is twin/agent.
type agentPart struct {
	Version string `json:"version"`
	Build   string `json:"build"` // with the commit
	Go      string `json:"go"`
	Cgo     bool   `json:"cgo"`
	machine.Facts
}

// diskPart is twin/disk. Free space is told in steps, so that it is no news
// every minute.
type diskPart struct {
	FreeMB  int64 `json:"free_mb"`
	TotalMB int64 `json:"total_mb"`
	StoreMB int64 `json:"store_mb"`
	machine.Wear
}

// Sizes are told in steps of so many bytes.
const (
	freeStep  = 64 << 20
	storeStep = 1 << 20
)

func diskOf(c config.Config) diskPart {
	p := diskPart{Wear: machine.WearOf(c.DataDir)}
	if free, total, err := bolt.FreeSpace(storeDir(c)); err == nil {
		p.FreeMB, p.TotalMB = free/freeStep*(freeStep>>20), total>>20
	}
	entries, err := os.ReadDir(storeDir(c))
	if err != nil {
		return p
	}
	sum := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		}
	}
	p.StoreMB = sum / storeStep
	return p
}

// certificatePart is one certificate of twin/certificates.
type certificatePart struct {
	Name     string `json:"name"`
	DaysLeft int    `json:"days_left"`
	Valid    bool   `json:"valid"` // false: the clock says that it does not count yet
	Error    string `json:"error,omitempty"`
}

// clockPart is twin/clock.
type clockPart struct {
	SkewS *int `json:"skew_s,omitempty"` // by how much the platforms' clocks are ahead; missing where none was heard over TLS
	machine.Clock
}

// twin gives the parts of the inventory that only this program knows.
func (b *assembly) twin(c config.Config, x *exchange) map[string]any {
	parts := map[string]any{
		"agent": agentPart{Version: version, Build: buildVersion(), Go: runtime.Version(), Cgo: builtWithCgo, Facts: machine.Look()},
		"disk":  diskOf(c), "certificates": map[string]any{"certificates": certificateParts(c, b.clock.Now())}, "clock": b.clockPart()}
	if x == nil {
		return parts
	}
	if r, err := x.files.Reported(); err == nil {
		part := map[string]any{"version": r.Version, "sha256": r.SHA256, "edited": r.Edited, "state": r.State}
		if r.Aside != "" {
			part["aside"] = r.Aside
		}
		parts["config"] = part
	}
	if s, err := x.updates.State(); err == nil {
		parts["update"] = s
	}
	return parts
}

func certificateParts(c config.Config, now time.Time) []certificatePart {
	list := []certificatePart{}
	for _, n := range certificates(c) {
		days, valid, err := enrol.Left(n.File, now)
		p := certificatePart{Name: n.Name, DaysLeft: int(days), Valid: valid}
		if err != nil {
			p.Error = "cannot_read"
		}
		list = append(list, p)
	}
	return list
}

func (b *assembly) clockPart() clockPart {
	p := clockPart{Clock: machine.LookClock()}
	p.ErrorS = 0 // it grows by itself; whether it is kept is what matters
	if s, ok := b.skew.get(); ok {
		seconds := int(s.Round(time.Second) / time.Second)
		if seconds >= -1 && seconds <= 1 { // what a header can tell
			seconds = 0
		}
		p.SkewS = &seconds
	}
	return p
}

// The alarms of this file.
const (
	alarmSkew = "clock_skew"
	alarmWorn = "disk_worn"
	// alarmAside: a configuration of the fleet is of a newer program.
	alarmAside = "config_aside"
)

// skewAlarm is a difference of clocks that is an alarm.
const skewAlarm = 30 * time.Second

// conditions are alarms that last while things are so.
func (b *assembly) conditions(c config.Config, x *exchange) []agent.Alarm {
	var list []agent.Alarm
	if x != nil {
		if aside := x.files.Aside(); aside != "" {
			list = append(list, agent.Alarm{Code: alarmAside, Subject: aside})
		}
	}
	for _, p := range certificateParts(c, b.clock.Now()) {
		if level := enrol.Level(float64(p.DaysLeft)); level != "" && p.Valid && p.Error == "" {
			list = append(list, agent.Alarm{Code: level, Subject: p.Name})
		}
	}
	return append(list, b.lasting(c)...)
}

// lasting are those of them that a box in no fleet is told of as well.
func (b *assembly) lasting(c config.Config) []agent.Alarm {
	list := b.wayAlarms()
	if s, ok := b.skew.get(); ok && s.Abs() >= skewAlarm {
		list = append(list, agent.Alarm{Code: alarmSkew})
	}
	if b.clock.Wrong() {
		list = append(list, agent.Alarm{Code: alarmClock})
	}
	if w := machine.WearOf(c.DataDir); w.Percent >= 90 || w.State == "urgent" {
		list = append(list, agent.Alarm{Code: alarmWorn, Subject: w.Device})
	}
	if away := b.gone.Load(); away != nil {
		for _, name := range *away {
			list = append(list, agent.Alarm{Code: alarmGone, Subject: name})
		}
	}
	return list
}

// diagBytes bounds the diagnostic bundle.
const diagBytes = 10 << 20

// diagCommand is payagent diag: the running agent's bundle, or that of the
// store where none runs, as a file.
func diagCommand(ctx context.Context, args []string, out io.Writer) error {
	var file, to string
	f := flag.NewFlagSet("diag", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&file, "config", "", "configuration")
	f.StringVar(&to, "out", "", "file to write")
	if err := f.Parse(args); err != nil || file == "" || to == "" || f.NArg() > 0 {
		return fmt.Errorf("%w: payagent diag --config FILE --out FILE.zip\n\n%s", errUsage, usage)
	}
	c, err := loadConfig(file)
	if err != nil {
		return err
	}
	cl, err := newClient(c)
	if err != nil {
		return err
	}
	defer func() { _ = cl.close() }()
	data, err := cl.ask(ctx, c, http.MethodGet, "/v1/diag")
	if err != nil {
		return err
	}
	z, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the bundle: %w", err)
	}
	_, err = z.Write(data)
	if err = errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("cannot write the bundle: %w", err)
	}
	_, err = fmt.Fprintln(out, to)
	return err
}
