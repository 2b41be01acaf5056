package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/sealed"
	"payagent/platforms"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/uplinktest"
)

// lines collects what a program says and finds addresses in it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(p)
}

func (l *lines) find(t *testing.T, pattern string) string {
	t.Helper()
	guard := time.After(time.Minute)
	for {
		l.mu.Lock()
		m, more := regexp.MustCompile(pattern).FindStringSubmatch(l.text.String()), l.more
		l.mu.Unlock()
		if m != nil {
			return m[1]
		}
		select {
		case <-more:
		case <-guard:
			t.Fatalf("nothing like %s in %s", pattern, l.text.String())
		}
	}
}

// TestHubProgram goes the way of an administrator and a platform: the key, the
// settings, a till's booked payment over mosquitto, the platform's question by
// SOAP, the day's comparison while the hub runs and after it, and the answer
// when a till is silent.
func TestHubProgram(t *testing.T) {
	broker := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{})
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	out, err := fleetRun("hub", "key", "--key-file", at("hub.key"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := fleetRun("hub", "key", "--key-file", at("hub.key")); err != nil || again != out {
		t.Error("the key changed", again, err)
	}
	public, err := sealed.ParsePublic(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now() // everything is of one day
	day := func(at time.Time) string { return at.In(time.FixedZone("", 8*3600)).Format("2006-01-02") }
	yaml := func(books, health string) string {
		return fmt.Sprintf("broker: %s\nroot: p\nsites: [H1]\nboxes: [H1/A]\nhub_key_file: hub.key\nstore_file: hub.db\nbooks:\n  listen: [%q]\n  token_file: token\nhealth:\n  listen: [%q]\n", broker.URL, books, health)
	}
	for name, text := range map[string]string{"hub.yaml": yaml("127.0.0.1:0", "127.0.0.1:0"), "token": "TOKEN", "statement.csv": "out_trade_no,type,amount_fen,time\n1,paid,100,%s\n7,paid,5,%s\n"} {
		if name == "statement.csv" {
			at := now.In(time.FixedZone("", 8*3600)).Format("2006-01-02 15:04:05")
			text = fmt.Sprintf(text, at, at)
		}
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := fleetRun("hub", "check", "--file", at("hub.yaml")); err != nil || !strings.Contains(out, public.Text()) {
		t.Error(out, err)
	}

	log := &lines{more: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- command(ctx, []string{"hub", "--file", at("hub.yaml")}, console{strings.NewReader(""), io.Discard, log, func(string) string { return "" }})
	}()
	defer stop()
	opened := func(section string) string {
		return log.find(t, `"msg":"open","section":"`+section+`","address":"([^"]+)"`)
	}
	books, health := opened("books"), opened("health")
	// So that a comparison finds the hub that runs.
	if err := os.WriteFile(at("hub.yaml"), []byte(yaml(books, health)), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		t.Helper()
		doc := "<xml><head><BeginDate>" + day(now) + " 00:00:00</BeginDate><EndDate>" + day(time.Now()) + " 23:59:59</EndDate></head><body></body><sign></sign></xml>"
		resp, err := http.Post("http://"+books+"/", "text/xml", strings.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for end := time.Now().Add(2 * time.Minute); ; <-time.After(10 * time.Millisecond) {
		resp, err := http.Get("http://" + health + "/healthz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatal("the hub never became healthy: " + log.find(t, `(?s)(.*)`))
		}
	}
	box, err := mqtt.Open(mqtt.Config{Broker: broker.URL, ClientID: "A", Every: time.Second, Phase: func() time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	acks := make(chan fleet.Ack, 10)
	if _, err := box.Subscribe("p/H1/A/ack/orders", func(m uplink.Message) {
		var a fleet.Ack
		if json.Unmarshal(m.Payload, &a) == nil {
			acks <- a
		}
	}); err != nil {
		t.Fatal(err)
	}
	say := func(topic string, v any) {
		t.Helper()
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := box.Publish(t.Context(), uplink.Message{Topic: "p/H1/A/" + topic, Payload: data}); err != nil {
			t.Fatal(err)
		}
	}
	e := fleet.Event{SpecVersion: "1.0", ID: "E-1", Source: "/payagent/H1/A", Type: "payagent.order.booking.v1", Subject: "1", Time: now, ContentType: "application/json", Epoch: "E", Sequence: 1}
	sealer, err := public.Sealer(fleet.Place{Root: "p", Site: "H1", Box: "A"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Sealed, err = sealer.Seal(e.ID, sealed.Person{Name: platforms.Hide("张三"), CardNo: platforms.Hide("C1")}); err != nil {
		t.Fatal(err)
	}
	if e.Data, err = json.Marshal(fleet.OrderData{Rev: 1, Order: fleet.Order{OutTradeNo: "1", State: "paid", AmountFen: 100, Platform: "fwc", Merchant: "m", Channel: "wechat", TradeNo: "T1",
		CreatedAt: &now, PaidAt: &now, EndedAt: &now, Entries: []fleet.Entry{{HisFlowID: "SF1", AmountFen: 100, BookedAt: &now}}}}); err != nil {
		t.Fatal(err)
	}
	say("e/orders", e)
	select {
	case <-acks:
	case <-time.After(time.Minute):
		t.Fatal("the hub never acknowledged: " + log.text.String())
	}
	if got := ask(); !strings.Contains(got, "<IsSuccess>2</IsSuccess>") || strings.Contains(got, "<TradeNo>") {
		t.Error("a till that nothing is known of, and the answer was", got)
	}
	say("status", fleet.Status{State: fleet.StateReady, At: time.Now(), BootID: "b", Seq: 1, Every: 60})
	var got string
	for end := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
		if got = ask(); strings.Contains(got, "<IsSuccess>1</IsSuccess>") || time.Now().After(end) {
			break
		}
	}
	for _, want := range []string{"<PatientName>张三</PatientName>", "<CardNo>C1</CardNo>", "<Amount>1.00</Amount>", "<TradeNo>T1</TradeNo>"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	compare := func() {
		t.Helper()
		out, err := fleetRun("hub", "reconcile", "--file", at("hub.yaml"), "--day", day(now), "--statement", at("statement.csv"), "--format", "json")
		// One order is in the statement only.
		if !errors.Is(err, exitCode(3)) || !strings.Contains(out, `"class":"long"`) || !strings.Contains(out, `"class":"equal"`) {
			t.Error(out, err)
		}
	}
	// An event of a newer box is kept aside, and told by the hub that runs and by
	// its file.
	strange := e
	strange.ID, strange.Sequence, strange.Previous, strange.Data = "E-2", 2, 1, json.RawMessage(`{"new":1}`)
	strange.Time = now.AddDate(0, 0, -2) // of a day that is not compared
	say("e/orders", strange)
	select {
	case <-acks:
	case <-time.After(time.Minute):
		t.Fatal("the hub never acknowledged: " + log.text.String())
	}
	aside := func(more ...string) {
		t.Helper()
		out, err := fleetRun(append([]string{"hub", "quarantine", "--file", at("hub.yaml")}, more...)...)
		if !errors.Is(err, exitCode(4)) || !strings.Contains(out, `"why"`) || !strings.Contains(out, `"sequence": 2`) || strings.Contains(out, `"new"`) != (len(more) > 0) {
			t.Error(out, err)
		}
	}
	aside()
	aside("--raw")
	compare()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	compare()
	aside("--raw")
	if data, err := os.ReadFile(at("hub.db")); err != nil || bytes.Contains(data, []byte("张三")) {
		t.Error("the hub's file shows a patient", err)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if strings.Contains(log.text.String(), "张三") {
		t.Error("the log shows a patient")
	}
}

// TestHubSettings: what cannot work is refused with its key.
func TestHubSettings(t *testing.T) {
	dir := t.TempDir()
	base := "broker: mqtt://127.0.0.1:1883\nhub_key_file: k\nstore_file: f\nsites: [H1]\n"
	for text, want := range map[string]string{
		base + "postgres_file: p\n": "either", base + "site: H1\n": "sites", base + "boxes: [A]\n": "SITE/BOX", base + "person_days: 0\n": "person_days",
		base + "accepted: [{box: H1/A, day: 2026-03-14}]\n": "accepted", base + "books: {listen: [\"127.0.0.1:1\"]}\n": "token_file", base + "nonsense: 1\n": "nonsense",
		"broker: mqtt://127.0.0.1:1883\nstore_file: f\n": "hub_key_file",
	} {
		name := filepath.Join(dir, "hub.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadHub(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
