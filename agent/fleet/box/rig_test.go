package box_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/agent/fleet/sealed"
	"payagent/agent/signed"
	"payagent/queue"
	"payagent/queue/mem"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

func place() fleet.Place { return fleet.Place{Root: "payagent", Site: "H1", Box: "B1"} }

// signer is somebody of the fleet side.
func signer(id string, seed byte, roles ...string) (signed.Private, signed.Key) {
	p := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return signed.Private{ID: id, Key: p}, signed.Key{ID: id, Roles: roles, Public: p.Public().(ed25519.PublicKey)}
}

// lock is a payment lock that a test turns.
type lock struct {
	mu      sync.Mutex
	why     string
	changed chan struct{}
}

func (l *lock) Free() (bool, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why == "", l.why
}

func (l *lock) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *lock) set(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
	close(l.changed)
	l.changed = make(chan struct{})
}

// rig is a box with a world behind it and a broker in front. What outlasts a
// start of the program is in disk and dir.
type rig struct {
	t      testing.TB
	broker *uplinktest.Broker
	disk   *mem.Disk
	dir    string
	conf   func(*config.Config)
	opts   func(*box.Options)
	logs   *safeBuffer
	lock   *lock

	log   *mem.Log
	world *agenttest.World
	box   *box.Box
	bus   uplink.Bus
	ended chan error
	stop  context.CancelFunc
	ends  []string // reasons of Restart
	mu    sync.Mutex
	count uint64
	taken int
	first queue.Seq // of a pruned log
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, broker: uplinktest.NewBroker(), disk: &mem.Disk{}, dir: t.TempDir(), logs: &safeBuffer{}, lock: &lock{changed: make(chan struct{})}}
	t.Cleanup(r.broker.Close)
	return r
}

// keys of the rig's fleet side.
func keys() (ops, conf, release signed.Private, list []signed.Key) {
	ops, a := signer("ops", 1, fleet.RoleOperate)
	conf, b := signer("conf", 2, fleet.RoleConfig)
	release, c := signer("release", 3, fleet.RoleRelease)
	return ops, conf, release, []signed.Key{a, b, c}
}

// start starts program and box.
func (r *rig) start() {
	r.t.Helper()
	logger := slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.log = mem.Open(r.disk)
	var log queue.Log = r.log
	if r.first > 0 {
		log = &pruned{r.log, r.first}
	}
	r.world = agenttest.Start(r.t, agenttest.Options{Log: log, Config: r.conf, Logger: logger, Taken: r.taken})
	_, _, _, list := keys()
	o := box.Options{Agent: r.world.Agent, Cursors: r.log, Dir: r.dir, Keys: list, Lock: r.lock, Logger: logger,
		Verbs: []box.Verb{box.Restart(), box.ResolveNow(r.world.Agent), box.TestDevices(r.world.Agent)},
		End: func(why string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ends = append(r.ends, why)
		}}
	var err error
	if o.Start, err = box.NewStart(place(), time.Minute, "1.2.3"); err != nil {
		r.t.Fatal(err)
	}
	if r.opts != nil {
		r.opts(&o)
	}
	if r.box, err = box.New(o); err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.bus = r.broker.Open(uplinktest.Client{Name: place().Box, Will: o.Start.Will, OnUp: r.box.OnUp})
	r.ended, r.stop = make(chan error, 1), stop
	go func() { r.ended <- r.box.Run(ctx, r.bus) }()
}

// end stops box and program in an orderly way.
func (r *rig) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
	if err := r.bus.Close(); err != nil {
		r.t.Error(err)
	}
	r.world.Stop()
}

// crash ends everything and keeps only what was on disk at this moment.
func (r *rig) crash() {
	r.t.Helper()
	disk := r.disk.Copy()
	r.broker.Cut(place().Box)
	r.end()
	r.disk = disk
}

func (r *rig) restarts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ends)
}

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// hub is the fleet's hub: it keeps events and acknowledges them, in order.
type hub struct {
	t      testing.TB
	bus    uplink.Bus
	mute   bool
	mu     sync.Mutex
	events map[string][]fleet.Event // by stream, without repetitions
	seen   map[string]bool
	at     map[string]uint64 // acknowledged, by stream and epoch
	raw    int
	part   int // how many events it can store; 0 for all
}

func (h *hub) limit(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.part = n
}

func (r *rig) hub() *hub {
	h := &hub{t: r.t, bus: r.broker.Bus("hub", nil), events: map[string][]fleet.Event{}, seen: map[string]bool{}, at: map[string]uint64{}}
	if _, err := h.bus.Subscribe("payagent/+/+/e/+", h.take); err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (h *hub) take(m uplink.Message) {
	p, levels, _ := fleet.Split("payagent", m.Topic)
	for _, e := range eventsOf(h.t, m) {
		h.event(p, levels, e)
	}
}

// eventsOf takes a message apart.
func eventsOf(t testing.TB, m uplink.Message) (list []fleet.Event) {
	t.Helper()
	for data, err := range fleet.Events(m.Payload) {
		var e fleet.Event
		if err == nil {
			err = fleet.Unmarshal(data, &e)
		}
		if err != nil {
			t.Error(err)
			continue
		}
		list = append(list, e)
	}
	return list
}

func (h *hub) event(p fleet.Place, levels []string, e fleet.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.raw++
	stream := levels[1]
	place := stream + " " + e.Epoch
	if !strings.HasPrefix(e.ID, fmt.Sprintf("%s-%d", e.Epoch, e.Sequence)) || e.SpecVersion != "1.0" {
		h.t.Error("the id", e.ID)
	}
	switch {
	case h.mute:
		return
	case h.part > 0 && len(h.seen) == h.part:
	case e.Sequence <= h.at[place]: // repeated
	case e.Previous != h.at[place] && e.Type != fleet.TypeGap:
		// Something is missing before it: it says how far it is.
	default:
		if h.seen[e.ID] {
			h.t.Error(e.ID, "twice")
		}
		h.seen[e.ID], h.at[place] = true, e.Sequence
		h.events[stream] = append(h.events[stream], e)
	}
	data, _ := json.Marshal(fleet.Ack{Epoch: e.Epoch, Seq: h.at[place]})
	h.bus.Send(context.Background(), uplink.Message{Topic: p.Topic(fleet.LevelAck, stream), Payload: data})
}

// got lists what the hub has of a stream.
func (h *hub) got(stream string) []fleet.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]fleet.Event(nil), h.events[stream]...)
}

func types(list []fleet.Event) string {
	var out []string
	for _, e := range list {
		out = append(out, e.Subject+" "+strings.TrimSuffix(strings.TrimPrefix(e.Type, "payagent."), ".v1"))
	}
	return strings.Join(out, ", ")
}

// sign makes a command's envelope.
func sign(t testing.TB, c fleet.Command, by ...signed.Private) []byte {
	t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	data, err := signed.Seal(fleet.TypeCommand, payload, by...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// cmd makes a command that is good.
func (r *rig) cmd(verb, id string) fleet.Command {
	r.count++
	return fleet.Command{Site: place().Site, Box: place().Box, ID: id, Verb: verb, Counter: uint64(time.Now().UnixMicro()) + r.count,
		Issued: time.Now(), Expires: time.Now().Add(time.Hour)}
}

// send publishes a request.
func (r *rig) send(c fleet.Command, data []byte) {
	r.t.Helper()
	ops := r.broker.Bus("ops", nil)
	defer ops.Close()
	if err := ops.Publish(r.t.Context(), uplink.Message{Topic: place().Topic(fleet.LevelCommand, c.Verb, c.ID, "req"), Payload: data}); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// state is what the broker keeps of a command.
func (r *rig) state(verb, id string) fleet.CommandState {
	m, _ := r.broker.Retained(place().Topic(fleet.LevelCommand, verb, id, "state"))
	var s fleet.CommandState
	if len(m.Payload) > 0 {
		if err := fleet.Unmarshal(m.Payload, &s); err != nil {
			r.t.Error(err)
		}
	}
	return s
}

func (r *rig) status() fleet.Status {
	m, _ := r.broker.Retained(place().Topic(fleet.LevelStatus))
	var s fleet.Status
	if len(m.Payload) > 0 {
		if err := fleet.Unmarshal(m.Payload, &s); err != nil {
			r.t.Error(err)
		}
	}
	return s
}

func hubKey(t testing.TB) (sealed.Private, *sealed.Public) {
	k, err := sealed.NewPrivate()
	if err != nil {
		t.Fatal(err)
	}
	p := k.Public()
	return k, &p
}

var _ box.Lock = (*agent.Quiet)(nil)

// replay leaves on disk what was there when n records of those after a copy had
// been written.
func replay(t testing.TB, whole *mem.Disk, r *rig, before *mem.Disk, n int) {
	t.Helper()
	from := mem.Open(whole)
	to := mem.Open(before)
	entries, _, err := from.After(to.Last(), n)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		keysOf := []string(nil)
		for _, k := range []string{"ops", "conf", "release"} {
			key := box.KeyOf(k)
			found, err := from.Find(key)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(found, e.Stream) {
				keysOf = append(keysOf, key)
			}
		}
		b := queue.Batch{Records: []queue.Record{{Stream: e.Stream, Keys: keysOf, Data: e.Data}}}
		if !bytes.Contains(e.Data, []byte("fleet_")) || bytes.Contains(e.Data, []byte(fleet.Succeeded)) || bytes.Contains(e.Data, []byte(fleet.Failed)) {
			b.Close = []string{e.Stream}
		}
		if _, err := to.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	r.disk = before
}
