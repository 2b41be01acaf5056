package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/fleettest"
	"payagent/agent/signed"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// outside is mosquitto_sub: somebody who has nothing of ours.
type outside struct {
	mu   sync.Mutex
	all  []uplink.Message
	last map[string][]byte
}

func (o *outside) read(line string) {
	topic, rest, _ := strings.Cut(line, " ")
	retain, text, _ := strings.Cut(rest, " ")
	payload, err := hex.DecodeString(text)
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, uplink.Message{Topic: topic, Retain: retain == "1", Payload: payload})
	o.last[topic] = payload
}

// said gives the last message of a topic.
func (o *outside) said(topic string, into any) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.last[topic]) > 0 && json.Unmarshal(o.last[topic], into) == nil
}

// TestFleetOnMosquitto runs the program against mosquitto with TLS and the
// access list of docs/mqtt.md, and looks at it with mosquitto's own tools:
// everything that is said is as the page has it, a command restarts it once,
// a bundle comes, and the kill of the process is told by its will.
func TestFleetOnMosquitto(t *testing.T) {
	page, err := os.ReadFile("../../../docs/mqtt.md")
	if err != nil {
		t.Fatal(err)
	}
	_, acl, ok := strings.Cut(string(page), "（%u 是证书的 CN，即 box；H1 是医院）\n")
	acl, _, ok2 := strings.Cut(acl, "```")
	if !ok || !ok2 {
		t.Fatal("the page has no access list")
	}
	docs, err := fleettest.Read("../../../docs/mqtt.md", "payagent")
	if err != nil {
		t.Fatal(err)
	}
	broker := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{TLS: true, Persist: true, ACL: acl})
	m := &manager{killRig: newKillRig(t, patient), done: make(chan struct{})}
	cert, key, err := broker.CA.Issue("B1")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"ca.pem": broker.CA.PEM, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(m.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ops := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	m.appendConf(fmt.Sprintf("fleet: {broker: %q, server_name: %s, site: H1, box: B1, ca_file: %s/ca.pem, cert_file: %s/cert.pem, key_file: %s/key.pem, idle: 0s, status_every: 10s, connect_within: 100ms, ack: puback, keys: [{id: ops, roles: [operate], public: %q}]}\n",
		broker.URL, uplinktest.ServerName, m.dir, m.dir, m.dir, base64.StdEncoding.EncodeToString(ops.Public().(ed25519.PublicKey))))
	o := &outside{last: map[string][]byte{}}
	sub := broker.Tool(t, "mosquitto_sub", "ops", "-i", "ops-sub", "-q", "1", "-t", "payagent/H1/#", "-F", "%t %r %x")
	pipe, err := sub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sub.Process.Kill()
		_ = sub.Wait()
	})
	go func() {
		lines := bufio.NewScanner(pipe)
		lines.Buffer(nil, 2<<20)
		for lines.Scan() {
			o.read(lines.Text())
		}
	}()
	m.start()
	at := fleet.Place{Root: "payagent", Site: "H1", Box: "B1"}
	status := func() (s fleet.Status) {
		o.said(at.Topic(fleet.LevelStatus), &s)
		return s
	}
	m.until("the status", func() bool { s := status(); return s.State == fleet.StateReady || s.State == fleet.StateAlert })
	first := status()
	send := func(verb, id string, counter int) {
		t.Helper()
		payload, err := json.Marshal(fleet.Command{Site: "H1", Box: "B1", ID: id, Verb: verb, Counter: uint64(time.Now().UnixMicro()) + uint64(counter), Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		data, err := signed.Seal(fleet.TypeCommand, payload, signed.Private{ID: "ops", Key: ops})
		if err != nil {
			t.Fatal(err)
		}
		pub := broker.Tool(t, "mosquitto_pub", "ops", "-q", "1", "-t", at.Topic(fleet.LevelCommand, verb, id, "req"), "-s")
		pub.Stdin = bytes.NewReader(data)
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	ended := func(verb, id string) fleet.CommandState {
		t.Helper()
		var s fleet.CommandState
		m.until(verb+"'s end", func() bool {
			s = fleet.CommandState{}
			return o.said(at.Topic(fleet.LevelCommand, verb, id, "state"), &s) && s.State != fleet.Accepted && s.State != fleet.Running
		})
		return s
	}
	send(fleet.VerbDiag, "d1", 0)
	if s := ended(fleet.VerbDiag, "d1"); s.State != fleet.Succeeded {
		t.Errorf("%+v", s)
	}
	send(fleet.VerbRestart, "r1", 1)
	if s := ended(fleet.VerbRestart, "r1"); s.State != fleet.Succeeded {
		t.Errorf("%+v", s)
	}
	m.until("the new start's status", func() bool { s := status(); return s.BootID != first.BootID && s.State != fleet.StateLost })
	again := status()
	load := m.startLoad(7)
	m.until("an order's event", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		for data, err := range fleet.Events(o.last[at.Topic(fleet.LevelEvent, fleet.StreamOrders)]) {
			var e fleet.Event
			if err == nil && json.Unmarshal(data, &e) == nil && strings.HasPrefix(e.Type, fleet.TypeOrder) {
				return true
			}
		}
		return false
	})
	m.stopLoad(load)
	m.kill()
	m.until("the will, and the next start", func() bool { s := status(); return s.BootID != again.BootID && s.State != fleet.StateLost })
	m.stop()
	m.until("the good-bye", func() bool { return status().State == fleet.StateGone })
	o.mu.Lock()
	defer o.mu.Unlock()
	boots, lost := []string{}, 0
	for _, x := range o.all {
		if err := docs.Check(x); err != nil {
			t.Error(err)
		}
		var s fleet.Status
		if x.Topic == at.Topic(fleet.LevelStatus) && json.Unmarshal(x.Payload, &s) == nil {
			if !slices.Contains(boots, s.BootID) {
				boots = append(boots, s.BootID)
			}
			if s.State == fleet.StateLost {
				lost++
			}
		}
	}
	if len(boots) != 3 || lost != 1 {
		t.Errorf("%d starts, %d wills", len(boots), lost)
	}
	for _, unseen := range docs.Unseen() {
		if strings.HasPrefix(unseen, "topic=twin/") || strings.HasPrefix(unseen, "topic=reported/") {
			t.Errorf("nothing was seen of %s", unseen)
		}
	}
}
