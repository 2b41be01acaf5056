package console

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/conduct"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/signed"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

const token = "a-token-of-the-tests-000"

// stand is a console over a pretend fleet.
type stand struct {
	*testing.T
	broker *uplinktest.Broker
	boxes  uplink.Bus
	server *httptest.Server
	key    signed.Key
}

func newStand(t *testing.T, may bool, roles ...string) *stand {
	t.Helper()
	return newStandOver(t, nil, may, roles...)
}

// newStandOver has boxes say things before anybody looks.
func newStandOver(t *testing.T, before func(*stand), may bool, roles ...string) *stand {
	t.Helper()
	s := &stand{T: t, broker: uplinktest.NewBroker()}
	s.boxes = s.broker.Bus("boxes", nil)
	if before != nil {
		before(s)
	}
	it := s.broker.Bus("it", nil)
	w, err := watch.Open(it, watch.Options{Root: "payagent", Limits: view.Usual()})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Watch: w, Bus: it, Root: "payagent", Token: token, Roles: roles, Pace: 20 * time.Millisecond}
	if may {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.key = signed.Key{ID: "k1", Roles: roles, Public: public}
		o.Keys = []signed.Private{{ID: "k1", Key: private}}
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(c)
	t.Cleanup(func() {
		s.server.CloseClientConnections()
		s.server.Close()
		w.Close()
		_ = it.Close()
		_ = s.boxes.Close()
		s.broker.Close()
	})
	return s
}

func (s *stand) say(topic string, v any, retain bool) {
	s.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		s.Fatal(err)
	}
	if v == nil {
		data = nil
	}
	if err := s.boxes.Publish(s.Context(), uplink.Message{Topic: "payagent/" + topic, Payload: data, Retain: retain}); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) status(at, state, version string, more ...func(*fleet.Status)) {
	s.Helper()
	st := fleet.Status{State: state, BootID: "b1", Seq: 1, Since: time.Now().Add(-3 * time.Hour), At: time.Now(), Every: 60, Version: version}
	for _, m := range more {
		m(&st)
	}
	s.say(at+"/status", st, true)
}

func (s *stand) ask(method, path, body string, headers ...string) (int, string) {
	s.Helper()
	req, err := http.NewRequest(method, s.server.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b := new(strings.Builder)
	if _, err := bufio.NewReader(resp.Body).WriteTo(b); err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

func (s *stand) post(path string, body any) (int, string) {
	s.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	return s.ask("POST", path, string(data), "Authorization", "Bearer "+token)
}

// fill makes a fleet with everything that can be shown.
func (s *stand) fill(n int) {
	seldom := func(st *fleet.Status) { st.Every = 3600 } // so that they are not old before a slow machine has looked
	for i := range n {
		at := fmt.Sprintf("H%d/BOX%04d", 1+i%3, i)
		s.status(at, fleet.StateReady, "1.4.0", seldom)
	}
	s.status("H1/BOX0003", fleet.StateReady, "1.3.7", seldom)
	s.status("H2/BOX0004", fleet.StateLost, "1.4.0", seldom)
	s.status("H3/BOX0005", fleet.StateAlert, "1.4.0", seldom, func(st *fleet.Status) { st.Reasons = []string{"clock_skew"}; st.Open, st.Waiting = 2, 17 })
	s.status("H1/BOX0006", fleet.StateReady, "1.4.0", func(st *fleet.Status) { st.At = time.Now().Add(-time.Hour) })
	s.say("H1/BOX0000/a/audit_failed", fleet.Alarm{Code: "audit_failed", Since: time.Now().Add(-time.Minute), Last: time.Now(), Count: 3, Subjects: []string{"disk"},
		Text: fleet.Text{ZH: "审计记录无法写入", EN: "The audit cannot be written"}}, true)
	s.say("H1/BOX0000/twin/agent", map[string]any{"at": time.Now().Add(-time.Hour), "version": "1.4.0", "go": "go1.26", "config_sha256": strings.Repeat("ab12", 16)}, true)
	s.say("H1/BOX0000/twin/disk", map[string]any{"at": time.Now(), "free_bytes": 123456789, "wear": map[string]any{"percent": 3}}, true)
	s.say("H1/BOX0000/dev/counter1.gun", map[string]any{"at": time.Now(), "state": "up", "model": "Honeywell 1470g", "port": "usb-1-1.2"}, true)
	s.say("H1/BOX0000/reported/config", fleet.ReportedConfig{Version: "12", SHA256: strings.Repeat("cd", 32), State: fleet.ConfigRolledBack, Document: 13, Missing: []string{"platform:bank", "not_proven"}, Since: time.Now()}, true)
	s.say("H1/BOX0000/cmd/restart/c1/state", fleet.CommandState{ID: "c1", Verb: "restart", State: fleet.Succeeded, At: time.Now().Add(-time.Minute)}, true)
	s.say("H1/BOX0000/cmd/update/c2/state", fleet.CommandState{ID: "c2", Verb: "update", State: fleet.Running, Progress: 40, Text: "fetching", At: time.Now()}, true)
}

func (s *stand) rollout(change func(*rollout.State)) {
	s.Helper()
	var boxes []string
	for i := range 200 {
		boxes = append(boxes, fmt.Sprintf("BOX%04d", i))
	}
	r, err := rollout.New(rollout.Spec{ID: "v1.5.0", Site: "H1", Verb: fleet.VerbUpdate, Boxes: boxes, Note: "1.5.0 全院升级"}, time.Now())
	if err != nil {
		s.Fatal(err)
	}
	st := r.State()
	st.Boxes = strings.Repeat("g", 12) + "fsso" + strings.Repeat(".", 184)
	st.Stage, st.AwayCount, st.Away = 1, 2, []string{"BOX0017", "BOX0044"}
	st.Reasons = map[string]string{"BOX0031": "download"}
	if change != nil {
		change(&st)
	}
	s.say("H1/_fleet/rollout/v1.5.0", st, true)
}

func TestToken(t *testing.T) {
	s := newStand(t, true, fleet.RoleOperate)
	for _, path := range []string{"/v1/about", "/v1/boxes", "/v1/box?site=H1&box=B1"} {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", "Bearer " + token + "x"}, {"Authorization", "Basic " + token}, {"Cookie", "token=" + token}} {
			if code, body := s.ask("GET", path, "", headers...); code != http.StatusUnauthorized || strings.Contains(body, "H1") {
				t.Errorf("%s with %v: %d %s", path, headers, code, body)
			}
		}
		if code, _ := s.ask("GET", path, "", "Authorization", "Bearer "+token); code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, err := New(Options{Token: "short"}); err == nil {
		t.Error("a short token was taken")
	}
}

// TestActs: only with a key, only verbs of its rôle, only for the box that was
// confirmed; and what is sent is what a box takes.
func TestActs(t *testing.T) {
	s := newStand(t, true, fleet.RoleOperate)
	got := make(chan uplink.Message, 4)
	if _, err := s.boxes.Subscribe("payagent/H1/B1/cmd/+/+/req", func(m uplink.Message) { got <- m }); err != nil {
		t.Fatal(err)
	}
	s.status("H1/B1", fleet.StateReady, "1.4.0") // and with its acknowledgement the subscription stands
	type ask struct {
		Site    string `json:"site"`
		Box     string `json:"box"`
		Verb    string `json:"verb"`
		Confirm string `json:"confirm"`
	}
	for _, x := range []struct {
		ask  ask
		want int
	}{
		{ask{"H1", "B1", "restart", "B2"}, http.StatusUnprocessableEntity}, {ask{"H1", "B1", "restart", ""}, http.StatusUnprocessableEntity},
		{ask{"H1", "B1", "update", "B1"}, http.StatusForbidden}, {ask{"H1", "B1", "config.rollback", "B1"}, http.StatusForbidden},
		{ask{"H1", "B1", "refund", "B1"}, http.StatusForbidden}, {ask{"H1", "+", "restart", "+"}, http.StatusUnprocessableEntity},
		{ask{"H1", "B1", "restart", "B1"}, http.StatusOK},
	} {
		if code, body := s.post("/v1/commands", x.ask); code != x.want {
			t.Errorf("%+v: %d %s", x.ask, code, body)
		}
	}
	m := <-got
	d, err := signed.Open(m.Payload, fleet.TypeCommand, []signed.Key{s.key})
	var c fleet.Command
	if err != nil || json.Unmarshal(d.Payload, &c) != nil || c.Box != "B1" || c.Verb != "restart" || m.Retain || len(got) != 0 {
		t.Errorf("%v %+v", err, c)
	}
	if code, _ := s.post("/v1/rollouts", map[string]string{"site": "H1", "id": "r1", "act": "pause", "confirm": "r2"}); code != http.StatusUnprocessableEntity {
		t.Error(code)
	}
	if code, _ := s.post("/v1/rollouts", map[string]string{"site": "H1", "id": "r1", "act": "pause", "confirm": "r1"}); code != http.StatusOK {
		t.Error(code)
	}
	kept, ok := s.broker.Retained(conduct.Topic("payagent", "H1", "r1", "control"))
	var a conduct.Act
	if !ok || json.Unmarshal(kept.Payload, &a) != nil || a.Act != conduct.Pause {
		t.Errorf("%s", kept.Payload)
	}
	looks := newStand(t, false)
	for path, body := range map[string]any{"/v1/commands": ask{"H1", "B1", "restart", "B1"}, "/v1/rollouts": map[string]string{"site": "H1", "id": "r1", "act": "abort", "confirm": "r1"}} {
		if code, _ := looks.post(path, body); code != http.StatusForbidden {
			t.Errorf("without a key %s: %d", path, code)
		}
	}
}

// TestStream: a change is seen at once, over one connection.
func TestStream(t *testing.T) {
	s := newStand(t, false)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", s.server.URL+"/v1/boxes?stream=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	next := func(want func(view.List) bool) {
		t.Helper()
		for lines.Scan() {
			var l view.List
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(text), &l) == nil && want(l) {
				return
			}
		}
		t.Fatal("the stream ended:", lines.Err())
	}
	next(func(l view.List) bool { return l.Total == 0 })
	s.status("H1/B1", fleet.StateReady, "1.4.0")
	next(func(l view.List) bool { return l.Total == 1 && l.Rows[0].State == "ready" })
	s.status("H1/B1", fleet.StateAlert, "1.4.0")
	next(func(l view.List) bool { return l.Rows[0].State == "alert" })
}

func TestFilesAndPolicy(t *testing.T) {
	s := newStand(t, false)
	files, err := fs.ReadDir(static, "static")
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]*regexp.Regexp{
		"inline script":   regexp.MustCompile(`<script[^>]*>[^<]`),
		"inline style":    regexp.MustCompile(`<style|\sstyle=`),
		"inline handler":  regexp.MustCompile(`<[^>]+\son[a-z]+=`),
		"foreign address": regexp.MustCompile(`(?i)(?:src|href|url\(|import|fetch\()[\s"'=(]*(?:https?:)?//`),
		"markup":          regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`),
		"cookies":         regexp.MustCompile(`document\.cookie|localStorage`),
	}
	var all, table string
	for _, f := range files {
		data, err := fs.ReadFile(static, "static/"+f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "words.js" {
			table = string(data)
		} else {
			all += string(data)
		}
		for what, re := range bad {
			if found := re.Find(data); found != nil {
				t.Errorf("%s has %s: %q", f.Name(), what, found)
			}
		}
		resp, err := http.Get(s.server.URL + "/static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Security-Policy") != policy || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", f.Name(), resp.StatusCode, resp.Header)
		}
	}
	for _, weak := range []string{"unsafe", "http", "*", "data:"} {
		if strings.Contains(policy, weak) {
			t.Errorf("the policy allows %s", weak)
		}
	}
	if code, _ := s.ask("GET", "/static/..%2fconsole.go", ""); code != http.StatusNotFound {
		t.Error(code)
	}
	have := map[string]bool{}
	holes := regexp.MustCompile(`\{\w+\}`)
	for _, m := range regexp.MustCompile(`(\w+): \["((?:[^"\\]|\\.)+)", "((?:[^"\\]|\\.)+)"\]`).FindAllStringSubmatch(table, -1) {
		have[m[1]] = true
		for _, hole := range holes.FindAllString(m[2], -1) {
			if !strings.Contains(m[3], hole) {
				t.Errorf("%s has %s in Chinese only", m[1], hole)
			}
		}
	}
	if n := strings.Count(table, `: ["`); n != len(have) || n < 50 {
		t.Errorf("%d words, %d well-formed", n, len(have))
	}
	for _, m := range regexp.MustCompile(`(?:\bword\("|data-word="|\bcell\("\w*", "|\bgroup\(")(\w+)"`).FindAllStringSubmatch(all, -1) {
		if !have[m[1]] {
			t.Errorf("the page uses the word %q, which it lacks", m[1])
		}
	}
}
