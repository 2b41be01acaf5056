package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/agent/audit"
	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/door/pages"
	"payagent/agent/enrol"
	"payagent/agent/finance"
	"payagent/agent/machine"
	"payagent/agent/seal"
	"payagent/agent/trial"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/bolt"
	"payagent/uplink"
	"payagent/uplink/mqtt"
)

// storeVersion is the format this program writes (decision 16).
const storeVersion = 1

// checkBytes bounds what a start reads of the newest records: about a week of a
// busy till. Older ones are checked when they are read.
const checkBytes = 4 << 20

// Places under data_dir.
func storeDir(c config.Config) string   { return filepath.Join(c.DataDir, "store") }
func keyDir(c config.Config) string     { return filepath.Join(c.DataDir, "keys") }
func auditDir(c config.Config) string   { return filepath.Join(c.DataDir, "audit") }
func tokenList(c config.Config) string  { return filepath.Join(c.DataDir, "tokens.json") }
func firstToken(c config.Config) string { return filepath.Join(c.DataDir, "first-token") }

// errStore is wrapped when the store cannot be opened or read.
var errStore = errors.New("the order store cannot be used")

// how says which parts are built.
type how int

const (
	whole     how = iota
	storeOnly     // for reading: no devices
)

// assembly is everything built, in the order it was built; it is taken down in
// reverse.
type assembly struct {
	agent    *agent.Agent
	tokens   *access.Store
	log      *slog.Logger
	scanners scanners
	store    queue.Log
	giveBack func() error   // takes the store's pages out of memory
	audit    audit.Options  // where the audit is and its key
	keeper   *audit.Keeper  // nil with storeOnly
	renewer  *enrol.Renewer // of the box's certificate; nil without fleet.ca_url
	service  trial.Service  // what exchanges program and configuration
	doorOpen atomic.Bool
	gone     atomic.Pointer[[]string] // programs that are away
	close    []io.Closer
	beside   []func(context.Context) error // what runs beside the agent and the door
	metrics  []func(io.Writer) error       // figures besides the agent's
	replaced bool                          // another box is in the place of this one
	bus      uplink.Bus                    // the one connection to the broker; nil without one
	tunnel   *mqtt.Tunnel                  // nil where no platform is behind the relay
	station  *station                      // the box at the broker; nil without one
	skew     skew                          // of this machine's clock against the platforms'
	clock    *clock.Keeper                 // the time as far as it is known
	steps    atomic.Int64                  // of the machine's clock that were seen
	forks    []*fork                       // platforms with two ways
	opened   chan struct{}                 // closed when the door is open
}

func (b *assembly) Close() error {
	var errs []error
	for i := len(b.close) - 1; i >= 0; i-- {
		errs = append(errs, b.close[i].Close())
	}
	return errors.Join(errs...)
}

// assemble builds the agent: keys, store, platforms, devices.
func assemble(c config.Config, log *slog.Logger, parts how) (*assembly, error) {
	return assembleWith(c, log, parts, nil)
}

// assembleWith builds the agent and what exchanges program and configuration,
// where x is not nil.
func assembleWith(c config.Config, log *slog.Logger, parts how, x *exchange) (_ *assembly, err error) {
	b := &assembly{log: log, opened: make(chan struct{})}
	if x != nil && x.files != nil {
		b.clock = x.files.Clock()
	} else {
		b.clock = clockOf(c)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	box, err := seal.Open(keyDir(c), nil)
	if err != nil {
		return nil, err
	}
	if b.tokens, err = access.Open(tokenList(c), nil); err != nil {
		return nil, err
	}
	if _, err = b.tokens.First(firstToken(c), time.Now()); err != nil {
		return nil, err
	}
	store, report, err := bolt.Open(storeDir(c), bolt.Options{Writer: x.writer(), Budget: int64(c.Store.BudgetBytes), CheckBytes: checkBytes, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	b.close = append(b.close, store)
	b.store, b.giveBack = store, store.GiveBack
	b.metrics = append(b.metrics, writeStoreStats(store, c.DataDir, func(dir string) int { return machine.WearOf(dir).Percent }), b.writeWayStats)
	tellReport(log, report)
	p := agent.Parts{Config: c, Log: store, Lost: report.Slots, Box: box, Clock: agent.NewSystemClock(), Logger: log,
		Platforms: map[string]platforms.Platform{}, Scanners: map[string][]agent.Scanner{}, Displays: map[string][]agent.Display{},
		TokenMark: tokenMark(c), Ways: b.waysOf}
	if parts == whole {
		p.DiskLow = diskGuard(c, log)
	}
	if err := b.openPlatforms(c, &p, parts); err != nil {
		return nil, err
	}
	if parts == whole {
		if err := b.openDevices(c, &p); err != nil {
			return nil, err
		}
	}
	if missing, err := namesInUse(c, store); err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	} else if len(missing) > 0 {
		return nil, fmt.Errorf("cannot start: open orders run under merchant profiles or platforms that are not configured: %v; put them back under merchants and platforms", missing)
	}
	if err := b.lookReplaced(c, &p); err != nil {
		return nil, err
	}
	if b.agent, err = agent.New(p); err != nil {
		return nil, err
	}
	b.scanners.tell(b.agent)
	if err := b.openAudit(c, box, parts); err != nil {
		return nil, err
	}
	if parts == whole {
		if err := b.openWebhook(c, store); err != nil {
			return nil, err
		}
		if err := b.openFacade(c); err != nil {
			return nil, err
		}
		if err := b.openBooks(c); err != nil {
			return nil, err
		}
		b.openCallback(c)
		b.beside = append(b.beside, finance.NewWatch(b.agent, b.log).Run)
		b.openCertificates(c)
		b.keepClock(c)
		b.beside = append(b.beside, b.keepSpares)
		if x != nil {
			b.keepPrograms(x)
		}
		b.openTextfile(c)
	}
	if x != nil {
		if err := x.join(b, c); err != nil {
			return nil, err
		}
	}
	if parts == whole {
		if err := b.openFleet(c, x); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// openAudit says where the audit is, and takes it up where the agent runs.
func (b *assembly) openAudit(c config.Config, box *seal.Box, parts how) (err error) {
	b.audit = audit.Options{Dir: auditDir(c), Key: box.Derive("audit"), Keep: c.Finance.AuditDays}
	if parts == storeOnly {
		return nil
	}
	o := b.audit
	o.Broken = b.agent.RaiseAlarm
	o.Anchor = func(day string, n uint64, hash string, fresh bool) {
		b.agent.Anchored(day, hash, n)
		if !fresh {
			return
		}
		b.log.Info("audit", "day", day, "line", n, "hash", hash)
		note := auditAnchor{Subject: day, Line: n, Hash: hash}
		if err := b.agent.Note(context.Background(), "audit_anchor", nil, note); err != nil {
			b.log.Error("the end of a day's audit could not be noted", "day", day, "error", err)
		}
	}
	b.keeper, err = audit.Open(b.store, o)
	if err == nil {
		b.close = append(b.close, b.keeper)
		b.beside = append(b.beside, func(ctx context.Context) error {
			b.watchTokens(ctx)
			return nil
		})
	}
	return err
}

// auditAnchor is a note: where the audit ended a day. It leaves the box with
// whatever follows the log.
type auditAnchor struct {
	Subject string `json:"subject"` // the day
	Line    uint64 `json:"line"`
	Hash    string `json:"hash"`
}

// How closely the audit follows: a loss of power repeats this much work.
const (
	auditEvery = 5 * time.Second
	auditMark  = 10 * time.Minute
)

// keepAudit follows the log until ctx ends.
func (b *assembly) keepAudit(ctx context.Context) {
	told := false
	b.keeper.Run(ctx, audit.Pace{Every: auditEvery, Mark: auditMark}, b.agent.Changed, func(err error) {
		b.log.Error("the audit cannot be written", "error", err)
		if !told { // once a run: the log says the rest
			told = true
			b.agent.RaiseAlarm("audit_failed")
		}
	})
}

func (b *assembly) openPlatforms(c config.Config, p *agent.Parts, parts how) error {
	for _, conf := range c.Platforms {
		way, err := b.openRoute(c, conf, parts)
		if err != nil {
			return err
		}
		if p.Platforms[conf.Name], err = openPlatform(c, conf, way); err != nil {
			return err
		}
	}
	return join(c, p.Platforms)
}

func (b *assembly) openDevices(c config.Config, parts *agent.Parts) error {
	p, err := planDevices(c)
	if err != nil {
		return err
	}
	b.scanners.remember(c, b.log)
	b.close = append(b.close, &b.scanners)
	for _, s := range p.scanners {
		scanner, err := s.start(b.scanners.notify(s.till, b.log), b.scanners.armed(s.till))
		if err != nil {
			return err
		}
		b.close = append(b.close, scanner)
		parts.Scanners[s.till] = append(parts.Scanners[s.till],
			agent.Scanner{Name: s.conf.Name, Role: s.conf.Role, NoPay: !s.conf.Pays, Scanner: scanner})
	}
	for _, d := range p.displays {
		display := openStubborn(d.conf.Name, d.open)
		b.close = append(b.close, display)
		parts.Displays[d.till] = append(parts.Displays[d.till], agent.Display{Name: d.conf.Name, Display: display})
	}
	return nil
}

// door makes the HTTP interface with its pages.
func (b *assembly) door() http.Handler { return door.New(b.agent, b.doorOptions()) }

func (b *assembly) doorOptions() door.Options {
	return door.Options{Tokens: b.tokens, Version: buildVersion(), Logger: b.log, Pages: pages.Handler(), Metrics: b.metrics,
		Audit: record{b.store, b.audit}, Opened: func([]string) {
			b.doorOpen.Store(true)
			close(b.opened)
		}, Diag: func(ctx context.Context) ([]byte, error) {
			return b.diagSources(b.agent.Config()).Bundle(ctx, diagBytes)
		}}
}

// serveDoor opens the door and serves until the context ends.
func (b *assembly) serveDoor(ctx context.Context) error {
	return door.Serve(ctx, b.agent, b.doorOptions())
}

func tellReport(log *slog.Logger, r bolt.Report) {
	switch {
	case r.Damaged:
		log.Error("the order store was damaged and set aside; every order it may have held open is asked for at the platform",
			"cause", r.Cause, "set_aside", r.SetAside, "orders", len(r.Slots), "unreadable", r.SlotsLost)
	case r.Fallback:
		log.Warn("the newest transaction of the order store may be lost", "cause", r.Cause)
	case r.Created:
		log.Info("a new order store was created")
	}
}

// namesInUse lists the profiles and platforms that open orders need and the
// configuration lacks.
func namesInUse(c config.Config, store queue.Log) ([]string, error) {
	open, err := store.Open()
	if err != nil {
		return nil, err
	}
	var used, gone []string
	for _, no := range open {
		if agent.IsNote(no) {
			continue
		}
		facts, err := agent.ReadFacts(store, no)
		if err != nil {
			return nil, err
		}
		for _, f := range facts {
			if f.Created != nil {
				used = append(used, f.Created.Merchant.Profile)
				if _, ok := c.PlatformNamed(f.Created.Platform); !ok && !slices.Contains(gone, f.Created.Platform) {
					gone = append(gone, f.Created.Platform)
				}
			}
		}
	}
	return append(config.MissingProfiles(c, used), gone...), nil
}

// diskGuard tells whether the disk is nearly full. A ballast file is given up
// then, so that open orders can finish, and taken back when there is room.
func diskGuard(c config.Config, log *slog.Logger) func() bool {
	ballast := bolt.NewBallast(storeDir(c), int64(c.Store.BallastBytes))
	if err := ballast.Restore(); err != nil {
		log.Warn("the ballast file could not be made", "error", err)
	}
	low := false
	return func() bool {
		free, total, err := bolt.FreeSpace(storeDir(c))
		if err != nil {
			return low
		}
		now := free < int64(c.Store.StopBelowBytes) || total > 0 && free*100/total < int64(c.Store.StopBelowPercent)
		if now == low {
			return low
		}
		low = now
		if low {
			err = ballast.Release()
		} else {
			err = ballast.Restore()
		}
		log.Warn("disk", "nearly_full", low, "free_bytes", free, "error", err)
		return low
	}
}

func tokenMark(c config.Config) func(profile string) string {
	read := tokenOf(c)
	return func(profile string) string {
		secret, err := read(profile)
		if err != nil {
			return ""
		}
		sum := sha256.Sum256([]byte(secret.Reveal() + keyMark(c, profile)))
		return hex.EncodeToString(sum[:])
	}
}
