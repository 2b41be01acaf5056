//go:build soak

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/agent/signed"
	"payagent/queue/mem"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/uplinktest"
)

var (
	soakBoxes     = flag.Int("boxes", 1000, "boxes in this process")
	soakEvery     = flag.Duration("every", 40*time.Second, "how far apart the boxes of this process try to connect")
	soakProcesses = flag.Int("processes", 20, "boxes that are processes of their own")
)

// The bounds of reliability.md P14: everybody is back within backWithin, and
// no second has more than connectsPerSecond.
const (
	backWithin        = 45 * time.Second
	connectsPerSecond = 60
)

// TestSoak: boxes with the real uplink code and a certificate each, and real
// processes, report to one mosquitto that forgets everything each time it is
// killed. Meanwhile payments are taken and every box is sent one command, again
// and again until it answers. Nothing is lost, nothing changes its order, and
// no command takes effect twice.
func TestSoak(t *testing.T) {
	broker := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{TLS: true,
		ACL: "user fleet\ntopic readwrite payagent/#\n\npattern readwrite payagent/H1/%u/#\n", Lines: []string{"max_connections -1", "max_inflight_messages 0"}})
	began := time.Now()
	side := newFleetSide(t, broker)
	var boxes []*soakBox
	for i := range *soakBoxes {
		boxes = append(boxes, newSoakBox(t, broker, fmt.Sprintf("B%04d", i), side))
	}
	programs := newPrograms(t, broker, side, *soakProcesses)
	side.allUp(t, len(boxes)+len(programs.list), began)
	t.Logf("all of %d made and there after %.1f s, at most %d connects a second", len(boxes)+len(programs.list), time.Since(began).Seconds(), side.busiest(began))

	pay := func(share int) {
		var all sync.WaitGroup
		gate := make(chan struct{}, 16)
		for i, b := range boxes {
			if i%share != 0 {
				continue
			}
			gate <- struct{}{}
			all.Go(func() {
				defer func() { <-gate }()
				b.world.Take(t, agenttest.Payment{Till: agenttest.W1, Fen: 100})
				b.paid.Add(1)
			})
		}
		all.Go(func() { programs.pay(t) })
		all.Wait()
	}
	pay(1)
	side.order(boxes, programs)
	kills := []struct {
		storm bool // everybody is connected when it comes
		down  time.Duration
	}{{true, 0}, {false, 3 * time.Second}, {false, 500 * time.Millisecond}, {true, 2 * time.Second}, {false, time.Second}}
	for i, k := range kills {
		if k.storm {
			side.allUp(t, len(boxes)+len(programs.list), began)
		} else {
			<-time.After(5 * time.Second) // while they come back
		}
		broker.Kill()
		<-time.After(k.down)
		began = time.Now()
		must(t, broker.Start())
		var paying sync.WaitGroup
		paying.Go(func() { pay(4) })
		side.order(boxes, programs)
		if k.storm || i == len(kills)-1 {
			side.allUp(t, len(boxes)+len(programs.list), began)
			took, most := time.Since(began), side.busiest(began)
			t.Logf("kill %d: all back after %.1f s, at most %d connects a second", i+1, took.Seconds(), most)
			if took > backWithin || most > connectsPerSecond {
				t.Errorf("kill %d: all back after %v with %d connects in one second; at most %v and %d", i+1, took, most, backWithin, connectsPerSecond)
			}
		}
		paying.Wait()
	}
	over := time.Now()
	for deadline := time.After(5 * time.Minute); ; {
		missing := side.missing(boxes, programs)
		if len(missing) == 0 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("after 5 minutes %d are still missing: %.1000s", len(missing), strings.Join(missing, "; "))
		case <-time.After(500 * time.Millisecond):
		}
		side.order(boxes, programs)
	}
	t.Logf("everything was there %.1f s after the last kill was over", time.Since(over).Seconds())
	for _, b := range boxes {
		if n := b.effects.Load(); n != 1 {
			t.Errorf("%s: the command took effect %d times", b.name, n)
		}
	}
	side.mu.Lock()
	defer side.mu.Unlock()
	for _, fault := range side.faults {
		t.Error(fault)
	}
	t.Logf("%d events of %d payments, each once, in order; %d deliveries were repetitions; %d commands, one effect each", side.taken, side.payments, side.repeated, len(boxes)+len(programs.list))
}

// soakBox is a box in this process.
type soakBox struct {
	name    string
	world   *agenttest.World
	paid    atomic.Int64
	effects atomic.Int64
}

func newSoakBox(t *testing.T, broker *uplinktest.MosquittoBroker, name string, side *fleetSide) *soakBox {
	t.Helper()
	b := &soakBox{name: name}
	log := mem.Open(&mem.Disk{})
	b.world = agenttest.Start(t, agenttest.Options{Log: log})
	start, err := box.NewStart(fleet.Place{Root: "payagent", Site: "H1", Box: name}, time.Minute, "soak")
	must(t, err)
	verb := box.Verb{Name: fleet.VerbResolveNow, Schema: `{"type":"object"}`,
		Do: func(context.Context, fleet.Command, box.Runner) (any, error) { b.effects.Add(1); return nil, nil }}
	x, err := box.New(box.Options{Agent: b.world.Agent, Cursors: log, Dir: t.TempDir(), Keys: []signed.Key{side.public}, Start: start, Verbs: []box.Verb{verb},
		Lock: b.world.Agent.Quiet(agent.QuietTerms{To: 24 * 60}), End: func(string) {}})
	must(t, err)
	cert, key, err := broker.CA.Issue(name)
	must(t, err)
	bus, err := mqtt.Open(mqtt.Config{Broker: broker.URL, ClientID: name, ServerName: uplinktest.ServerName, CA: pemOf(broker.CA.PEM), Cert: pemOf(cert), Key: pemOf(key), Every: *soakEvery,
		Will: start.Will, OnUp: func(ctx context.Context, n uint64) { side.connected(); x.OnUp(ctx, n) }})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx, bus) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		must(t, bus.Close())
	})
	return b
}

func pemOf(data []byte) func() ([]byte, error) { return func() ([]byte, error) { return data, nil } }

// fleetSide is what receives: it believes nothing, and acknowledges what it has.
type fleetSide struct {
	t        *testing.T
	bus      *mqtt.Client
	key      signed.Private
	public   signed.Key
	mu       sync.Mutex
	there    map[string]time.Time // when a box last said that it is there
	chains   map[string]*chain
	ids      map[string]string // box → id of its command
	done     map[string]bool
	paid     map[string]int
	connects []time.Time
	faults   []string
	taken    int
	payments int
	repeated int
}

// chain is one stream of one box.
type chain struct {
	epoch string
	last  uint64
	has   map[uint64]string
}

func newFleetSide(t *testing.T, broker *uplinktest.MosquittoBroker) *fleetSide {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	s := &fleetSide{t: t, key: signed.Private{ID: "ops", Key: private},
		public: signed.Key{ID: "ops", Roles: []string{fleet.RoleOperate}, Public: private.Public().(ed25519.PublicKey)},
		there:  map[string]time.Time{}, chains: map[string]*chain{}, ids: map[string]string{}, done: map[string]bool{}, paid: map[string]int{}}
	cert, key, err := broker.CA.Issue("fleet")
	must(t, err)
	s.bus, err = mqtt.Open(mqtt.Config{Broker: broker.URL, ClientID: "fleet", ServerName: uplinktest.ServerName, CA: pemOf(broker.CA.PEM), Cert: pemOf(cert), Key: pemOf(key),
		Every: 200 * time.Millisecond, Window: 4096})
	must(t, err)
	t.Cleanup(func() { must(t, s.bus.Close()) })
	for filter, take := range map[string]func(fleet.Place, []string, uplink.Message){
		"payagent/+/+/e/#": s.events, "payagent/+/+/status": s.heard, "payagent/+/+/cmd/+/+/state": s.state} {
		_, err := s.bus.Subscribe(filter, func(m uplink.Message) {
			if p, levels, ok := fleet.Split("payagent", m.Topic); ok && len(m.Payload) > 0 {
				take(p, levels, m)
			}
		})
		must(t, err)
	}
	return s
}

func (s *fleetSide) fault(format string, args ...any) {
	if len(s.faults) < 20 {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

// events takes a message apart.
func (s *fleetSide) events(p fleet.Place, levels []string, m uplink.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for data, err := range fleet.Events(m.Payload) {
		var e fleet.Event
		if err == nil {
			err = json.Unmarshal(data, &e)
		}
		if err != nil || len(levels) != 2 || m.Retain {
			s.fault("%s: %v %s", m.Topic, err, m.Payload)
			return
		}
		s.event(p, levels, m, e)
	}
}

// event keeps one event if it is the next of its chain. The lock is held.
func (s *fleetSide) event(p fleet.Place, levels []string, m uplink.Message, e fleet.Event) {
	c := s.chains[m.Topic]
	if c == nil {
		c = &chain{epoch: e.Epoch, has: map[uint64]string{}}
		s.chains[m.Topic] = c
	}
	same := string(e.Data)
	was, again := c.has[e.Sequence]
	switch {
	case e.Epoch != c.epoch || e.Type == fleet.TypeGap:
		s.fault("%s: a new epoch or a gap: %+v", m.Topic, e)
	case again && was != same:
		s.fault("%s: event %d has two contents", m.Topic, e.Sequence)
	case again:
		s.repeated++
	case e.Previous != c.last:
		return // one before it got lost with the broker: it comes again
	default:
		c.has[e.Sequence], c.last = same, e.Sequence
		s.taken++
		if e.Type == "payagent.order.paid.v1" {
			s.paid[p.Box]++
			s.payments++
		}
	}
	data, err := json.Marshal(fleet.Ack{Epoch: c.epoch, Seq: c.last})
	if err != nil {
		s.fault("%v", err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	done := s.bus.Send(ctx, uplink.Message{Topic: p.Topic(fleet.LevelAck, levels[1]), Payload: data})
	go func() { <-done; stop() }() // one that is lost comes again with the next event
}

func (s *fleetSide) heard(p fleet.Place, _ []string, m uplink.Message) {
	var st fleet.Status
	if err := json.Unmarshal(m.Payload, &st); err != nil {
		s.t.Errorf("%s: %v", m.Topic, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.State != fleet.StateLost && st.State != fleet.StateGone {
		s.there[p.Box] = time.Now()
	}
}

func (s *fleetSide) state(p fleet.Place, _ []string, m uplink.Message) {
	var c fleet.CommandState
	if err := json.Unmarshal(m.Payload, &c); err != nil {
		s.t.Errorf("%s: %v", m.Topic, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.ID != s.ids[p.Box]:
	case c.State == fleet.Succeeded:
		s.done[p.Box] = true
	case c.State != fleet.Accepted && c.State != fleet.Running:
		s.fault("%s: the command is %s: %s %s", p.Box, c.State, c.Reason, c.Text)
	}
}

func (s *fleetSide) connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connects = append(s.connects, time.Now())
}

// busiest is the largest number of connects within any one second since then.
func (s *fleetSide) busiest(since time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(s.connects), func(at time.Time) bool { return at.Before(since) })
	slices.SortFunc(list, time.Time.Compare)
	most := 0
	for i, j := 0, 0; j < len(list); j++ {
		for list[j].Sub(list[i]) > time.Second {
			i++
		}
		most = max(most, j-i+1)
	}
	return most
}

// allUp waits until every box said since then that it is there. The broker
// forgets what was said before it was killed.
func (s *fleetSide) allUp(t *testing.T, n int, since time.Time) {
	t.Helper()
	for deadline := time.After(3 * time.Minute); ; {
		s.mu.Lock()
		up := 0
		for _, at := range s.there {
			if at.After(since) {
				up++
			}
		}
		s.mu.Unlock()
		if up == n {
			return
		}
		select {
		case <-deadline:
			s.mu.Lock()
			defer s.mu.Unlock()
			for name, at := range s.there {
				if !at.After(since) {
					t.Logf("%s was there %v ago", name, time.Since(at))
				}
			}
			t.Fatalf("only %d of %d are there, %v after the start", up, n, time.Since(since))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// order sends every box that has not answered its one command, always the same.
func (s *fleetSide) order(boxes []*soakBox, programs *programs) {
	names := slices.Clone(programs.list)
	for _, b := range boxes {
		names = append(names, b.name)
	}
	for _, name := range names {
		s.mu.Lock()
		id, done := s.ids[name], s.done[name]
		if id == "" {
			id = "soak-" + name
			s.ids[name] = id
		}
		s.mu.Unlock()
		if done {
			continue
		}
		envelope := programs.commands[name]
		if envelope == nil {
			now := time.Now()
			data, err := json.Marshal(fleet.Command{Site: "H1", Box: name, ID: id, Verb: fleet.VerbResolveNow, Args: json.RawMessage(`{}`),
				Counter: uint64(now.UnixMicro()), Issued: now, Expires: now.Add(time.Hour)})
			must(s.t, err)
			envelope, err = signed.Seal(fleet.TypeCommand, data, s.key)
			must(s.t, err)
			programs.commands[name] = envelope
		}
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		sent := s.bus.Send(ctx, uplink.Message{Topic: "payagent/H1/" + name + "/cmd/" + fleet.VerbResolveNow + "/" + id + "/req", Payload: envelope})
		go func() { <-sent; stop() }()
	}
}

// missing lists what is still owed.
func (s *fleetSide) missing(boxes []*soakBox, programs *programs) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	want := map[string]int{}
	for _, b := range boxes {
		want[b.name] = int(b.paid.Load())
	}
	for i, name := range programs.list {
		want[name] = int(programs.paid[i].Load())
	}
	for name, n := range want {
		if s.paid[name] != n {
			list = append(list, fmt.Sprintf("%s: %d of %d payments", name, s.paid[name], n))
		}
		if !s.done[name] {
			list = append(list, name+": its command")
		}
	}
	slices.Sort(list)
	return list
}

// programs are boxes that are processes of their own.
type programs struct {
	list     []string
	doors    []string
	tokens   []string
	paid     []*atomic.Int64
	commands map[string][]byte
}

func newPrograms(t *testing.T, broker *uplinktest.MosquittoBroker, side *fleetSide, n int) *programs {
	t.Helper()
	p := &programs{commands: map[string][]byte{}}
	dir := t.TempDir()
	for _, command := range []string{"payagent", "paysim"} {
		build := exec.Command("go", "build", "-o", dir, "payagent/agent/cmd/"+command)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	world := filepath.Join(dir, "world")
	must(t, os.MkdirAll(world, 0o700))
	sim := exec.Command(filepath.Join(dir, "paysim"), "serve", "-listen", "127.0.0.1:0", "-platforms", "127.0.0.1:0", "-data", world, "-his", "none", "-agent", "http://127.0.0.1:1", "-agent-token-file", "/dev/null")
	out, err := sim.StdoutPipe()
	must(t, err)
	must(t, sim.Start())
	t.Cleanup(func() { _ = sim.Process.Signal(os.Interrupt); _ = sim.Wait() })
	readUntil(t, out, "truth")
	data, err := os.ReadFile(filepath.Join(world, "paysim.json"))
	must(t, err)
	var w struct {
		Platforms map[string]string `json:"platforms"`
		TokenFile string            `json:"fwc_token_file"`
	}
	must(t, json.Unmarshal(data, &w))
	must(t, os.WriteFile(filepath.Join(dir, "ca.pem"), broker.CA.PEM, 0o600))
	for i := range n {
		name := fmt.Sprintf("P%04d", i)
		home := filepath.Join(dir, name)
		must(t, os.MkdirAll(home, 0o700))
		cert, key, err := broker.CA.Issue(name)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(home, "cert.pem"), cert, 0o600))
		must(t, os.WriteFile(filepath.Join(home, "key.pem"), key, 0o600))
		door := freePort(t)
		conf := filepath.Join(home, "payagent.yaml")
		must(t, os.WriteFile(conf, fmt.Appendf(nil, `
site: {hospital_id: "H0001", name: soak, test: true}
data_dir: %[1]s/data
door: {listen: [%[2]q]}
booking: {expect: false}
platforms: [{name: fwc, driver: fwc, url: %[3]q, allow_plain_http: true}]
merchants: [{profile: m, platform: fwc, token_file: %[4]s}]
routes: [{merchant: m}]
tills: [{name: w, kind: counter, device_no: "W0", operator: {id: "1", name: Soak}}]
fleet:
  broker: %[5]q
  site: H1
  box: %[6]s
  ca_file: %[7]s/ca.pem
  cert_file: %[1]s/cert.pem
  key_file: %[1]s/key.pem
  server_name: %[8]s
  keys: [{id: ops, roles: [operate], public: %[9]q}]
`, home, door, w.Platforms["fwc"], w.TokenFile, broker.URL, name, dir, uplinktest.ServerName, encoded(side.public.Public)), 0o600))
		logs, err := os.Create(filepath.Join(home, "log"))
		must(t, err)
		cmd := exec.Command(filepath.Join(dir, "payagent"), "run", "--config", conf)
		cmd.Stdout, cmd.Stderr = logs, logs
		must(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait(); _ = logs.Close() })
		for deadline := time.After(time.Minute); ; {
			resp, err := http.Get("http://" + door + "/healthz")
			if err == nil {
				_ = resp.Body.Close()
				break
			}
			select {
			case <-deadline:
				said, _ := os.ReadFile(logs.Name())
				t.Fatalf("%s does not start: %s", name, said)
			case <-time.After(20 * time.Millisecond):
			}
		}
		token, err := os.ReadFile(filepath.Join(home, "data", "first-token"))
		must(t, err)
		p.list, p.doors, p.tokens, p.paid = append(p.list, name), append(p.doors, door), append(p.tokens, strings.TrimSpace(string(token))), append(p.paid, new(atomic.Int64))
	}
	return p
}

// pay takes one payment at every program, with a code that pays at once.
func (p *programs) pay(t *testing.T) {
	var all sync.WaitGroup
	for i := range p.list {
		all.Go(func() {
			n := strconv.FormatInt(p.paid[i].Load(), 10)
			body := fmt.Sprintf(`{"till":"w","bill":"S%s","amount_fen":100,"mode":"charge","order_type":"TREATMENT","subject":"soak","patient":{"name":"X","card_no":"1","admission_no":"1"},"auth_code":"13990099%04d%04d00"}`, n, i, p.paid[i].Load())
			var o struct {
				No    string `json:"out_trade_no"`
				State string `json:"state"`
			}
			p.call(t, i, http.MethodPost, "/v1/orders", body, n, &o)
			for range 30 {
				if o.No == "" {
					return
				}
				if o.State == "paid" {
					p.paid[i].Add(1)
					return
				}
				p.call(t, i, http.MethodGet, "/v1/orders/"+o.No+"?wait=10s", "", "", &o)
			}
			t.Errorf("%s: an order is %s", p.list[i], o.State)
		})
	}
	all.Wait()
}

func (p *programs) call(t *testing.T, i int, method, path, body, key string, into any) {
	req, err := http.NewRequest(method, "http://"+p.doors[i]+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+p.tokens[i])
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Errorf("%s %s: %s %s", method, path, resp.Status, data)
		return
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Errorf("%s: %v", data, err)
	}
}

func readUntil(t *testing.T, r io.Reader, word string) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), word) {
			go func() {
				for lines.Scan() { // keep the pipe empty
				}
			}()
			return
		}
	}
	t.Fatal("the pretend world did not start")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func encoded(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }
