package door_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/door"
	"payagent/agent/words"
	"payagent/devices"
)

const (
	idNumber = "11010519491231002X"
	cardText = "9988776655"
)

func (r *rig) grip(what, till, token string, body object) reply {
	r.t.Helper()
	return r.call("POST", "/v1/tills/"+till+"/scanner/"+what, token, body)
}

func (r *rig) identity(till, token, query string) reply {
	r.t.Helper()
	return r.call("GET", "/v1/tills/"+till+"/identity"+query, token, nil)
}

// drain takes what comes for a while.
func (x *reader) drain(d time.Duration) string {
	var all strings.Builder
	for end := time.After(d); ; {
		select {
		case s := <-x.chunks:
			all.WriteString(s)
		case <-end:
			return all.String()
		}
	}
}

func TestClaimAndHandOver(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grip("claim", "w1", cashier1, object{"session": "s1"}).want(200, "").is("code", "claimed").is("holder", "s1").is("lease_s", 600)
		r.grip("claim", "w1", cashier1, object{"session": "s1", "lease_s": 20}).want(200, "").is("lease_s", 20)
		r.grip("claim", "w1", his, object{"session": "s2"}).want(202, "").is("code", "asked").is("passes_in_s", 5).is("holder", "s1").is("asked_by", "s2")
		r.grip("claim", "w1", his, object{"session": "s3"}).want(409, "scanner_asked")
		r.call("GET", "/v1/tills/w1", cashier1, nil).want(200, "").is("scanner.state", "claimed").is("scanner.holder", "s1").is("scanner.asked_by", "s2")
		r.grip("retain", "w1", his, object{"session": "s2"}).want(409, "not_holder")
		r.grip("retain", "w1", cashier1, object{"session": "s1"}).want(200, "").is("code", "retained").is("holder", "s1")
		pause(6 * time.Second)
		synctest.Wait()
		r.call("GET", "/v1/tills/w1", cashier1, nil).is("scanner.holder", "s1").is("scanner.asked_by", nil)
		// Nobody says no: it passes.
		r.grip("claim", "w1", his, object{"session": "s2", "lease_s": 60}).want(202, "")
		pause(5 * time.Second)
		synctest.Wait()
		r.call("GET", "/v1/tills/w1", cashier1, nil).is("scanner.holder", "s2")
		r.grip("release", "w1", cashier1, object{"session": "s1"}).want(409, "not_holder")
		r.grip("release", "w1", his, object{"session": "s2"}).want(200, "").is("code", "released").is("holder", nil)
		r.call("GET", "/v1/tills/w1", cashier1, nil).is("scanner.state", "closed")
		// A lease ends by itself.
		r.grip("claim", "w1", his, object{"session": "s2", "lease_s": 3}).want(200, "")
		pause(4 * time.Second)
		synctest.Wait()
		r.call("GET", "/v1/tills/w1", his, nil).is("scanner.state", "closed").is("scanner.holder", nil)
		// An order that waits for a scan keeps the scanner where it is.
		r.grip("claim", "w1", his, object{"session": "s2"}).want(200, "")
		r.create(bill("B1")).want(201, "")
		r.grip("claim", "w1", his, object{"session": "s1"}).want(409, "scanner_armed")
		r.call("GET", "/v1/tills/w1", his, nil).is("scanner.state", "armed").is("armed", true)
	})
}

func TestClaimRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grip("claim", "k1", his, object{"session": "s1"}).want(409, "no_scanner")
		for _, what := range []string{"claim", "retain", "release"} {
			r.grip(what, "w2", cashier1, object{"session": "s1"}).want(404, "not_found")
			r.grip(what, "none", his, object{"session": "s1"}).want(404, "not_found")
			r.grip(what, "w1", screen1, object{"session": "s1"}).want(403, "forbidden")
			for _, bad := range []object{{}, {"session": ""}, {"session": "a b"}, {"session": strings.Repeat("x", 65)}, {"session": 1}, {"session": "s", "x": 1}} {
				r.grip(what, "w1", his, bad).want(422, "field_invalid")
			}
		}
		for _, lease := range []any{-1, 3601, "60", 1.5, true} {
			r.grip("claim", "w1", his, object{"session": "s1", "lease_s": lease}).want(422, "field_invalid")
		}
		r.call("POST", "/v1/tills/w1/scanner/claim", his, "[]").want(400, "malformed")
	})
}

// A card goes once to the client that holds the scanner, by poll or by event;
// a payment code never does, nor what the patient's pad reads.
func TestIdentity(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity("w1", his, "?session=s1").want(409, "not_holder")
		r.grip("claim", "w1", his, object{"session": "s1"}).want(200, "")
		r.identity("w1", his, "?session=s2").want(409, "not_holder")
		r.identity("w1", his, "?session=s1").want(200, "").is("identity", nil)
		gun, pad := r.w.Guns["w1"], r.w.Pads["w1"]
		read := func(p *agenttest.Pad, text string) {
			p.Show(text)
			synctest.Wait()
		}
		read(gun, wechatCode)
		read(pad, idNumber)
		read(gun, "what is this")
		r.identity("w1", his, "?session=s1").want(200, "").is("identity", nil)
		read(gun, idNumber+"\r")
		r.identity("w1", his, "?session=s1").want(200, "").is("identity.kind", "id_card").is("identity.text", idNumber+"\r").is("identity.device", "w1-gun").is("identity.till", "w1")
		r.identity("w1", his, "?session=s1").want(200, "").is("identity", nil)
		// A long poll has it as soon as it is read.
		got := make(chan reply)
		go func() { got <- r.identity("w1", cashier1, "?session=s1&wait=30s") }()
		synctest.Wait()
		read(gun, cardText)
		(<-got).want(200, "").is("identity.kind", "digits").is("identity.text", cardText)
		// By event, once, to this client alone.
		mine, other, screen := r.listen(his, "?till=w1&session=s1"), r.listen(his, "?till=w1&session=s2"), r.listen(screen1, "?session=s1")
		pause(4 * time.Second)
		read(gun, cardText)
		if e := mine.until("identity.scanned"); e.order["text"] != cardText || e.id != "" {
			t.Errorf("%+v", e)
		}
		for _, x := range []*reader{other, screen} {
			if s := x.drain(time.Second); strings.Contains(s, cardText) {
				t.Errorf("another client is told: %q", s)
			}
			x.close()
		}
		mine.close()
		r.identity("w1", his, "?session=s1").want(200, "").is("identity", nil)
		// What nobody takes is gone after thirty seconds, and with the claim.
		pause(4 * time.Second)
		read(gun, cardText)
		pause(31 * time.Second)
		r.identity("w1", his, "?session=s1").want(200, "").is("identity", nil)
		read(gun, cardText)
		r.grip("release", "w1", his, object{"session": "s1"}).want(200, "")
		r.grip("claim", "w1", his, object{"session": "s1"}).want(200, "")
		r.identity("w1", his, "?session=s1").want(200, "").is("identity", nil)
		// The poll of a client that loses the scanner ends.
		go func() { got <- r.identity("w1", his, "?session=s1&wait=60s") }()
		synctest.Wait()
		r.grip("release", "w1", his, object{"session": "s1"}).want(200, "")
		(<-got).want(409, "not_holder")
		r.identity("w1", his, "").want(422, "field_invalid")
		r.identity("w1", his, "?session=s1&wait=x").want(422, "field_invalid")
		r.identity("none", his, "?session=s1").want(404, "not_found")
		r.identity("w2", cashier1, "?session=s1").want(404, "not_found")
		r.call("GET", "/v1/events?session=a%20b", his, nil).want(422, "field_invalid")
		for _, line := range strings.Split(r.out.String(), "\n") {
			if strings.Contains(line, "msg") && (strings.Contains(line, cardText) || strings.Contains(line, idNumber)) {
				t.Errorf("the log holds a card: %s", line)
			}
		}
		m := r.call("GET", "/metrics", admin, nil)
		if text := string(m.raw); m.status == 200 && (strings.Contains(text, cardText) || !strings.Contains(text, `payagent_scans_total{device="w1-gun",result="identity"} 5`) ||
			!strings.Contains(text, `payagent_scans_total{device="w1-pad",result="dropped"} 1`)) {
			t.Errorf("%s", m.raw)
		}
	})
}

func TestDevices(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		names := func(token string) string {
			var out []string
			for _, v := range r.call("GET", "/v1/devices", token, nil).want(200, "").body["devices"].([]any) {
				out = append(out, v.(object)["name"].(string))
			}
			return strings.Join(out, " ")
		}
		if got := names(cashier1); got != "w1-pad w1-gun w1-display" {
			t.Error(got)
		}
		if got := names(admin); got != "w1-pad w1-gun w1-display w2-pad w2-gun w3-pad w3-gun k1-pad k1-display" {
			t.Error(got)
		}
		r.call("GET", "/v1/devices", screen1, nil).want(403, "forbidden")
		find := func(name string) object {
			for _, v := range r.call("GET", "/v1/devices", admin, nil).body["devices"].([]any) {
				if v.(object)["name"] == name {
					return v.(object)
				}
			}
			return nil
		}
		gun := r.w.Guns["w1"]
		x := r.listen(cashier1, "")
		hear := func(what string, is func(object) bool) {
			t.Helper()
			for range 40 {
				if e := x.until("device"); is(e.order) {
					return
				}
			}
			t.Error("nothing is heard of:", what)
		}
		hear("the beginning", func(o object) bool {
			return o["name"] == "w1-gun" && o["present"] == true && len(o["hints"].([]any)) == 0
		})
		// Dirty: more than 15 % of 50 reads.
		for range 42 {
			gun.Show(cardText)
			synctest.Wait()
		}
		gun.Spoil(7)
		if v := find("w1-gun"); len(v["hints"].([]any)) != 0 {
			t.Error("dirty after 49 reads")
		}
		gun.Spoil(1)
		v := find("w1-gun")
		if h := v["hints"].([]any); len(h) != 1 || h[0].(object)["code"] != "dirty" {
			t.Errorf("%v", v)
		}
		if v["place"].(object)["usb_id"] != "1234:5678" || v["counts"].(object)["good"] != 42.0 || v["counts"].(object)["bad"] != 8.0 || v["role"] != "gun" || v["pays"] != true {
			t.Errorf("%v", v)
		}
		hear("dirty", func(o object) bool { h := o["hints"].([]any); return len(h) == 1 })
		for range 50 {
			gun.Show(cardText)
			synctest.Wait()
		}
		if v := find("w1-gun"); len(v["hints"].([]any)) != 0 {
			t.Errorf("dirty for ever: %v", v)
		}
		// Away, with the reason, and back.
		r.w.Agent.Presence("w1", devices.Presence{Device: "w1-gun", Err: devices.ErrGone})
		hear("gone", func(o object) bool {
			why, _ := o["reason"].(object)
			return o["present"] == false && why["code"] == "gone"
		})
		r.grip("claim", "w1", his, object{"session": "s1"}).want(200, "")
		r.call("GET", "/v1/tills/w1", his, nil).is("scanner.state", "claimed") // the pad works
		r.w.Agent.Presence("w1", devices.Presence{Device: "w1-pad", Err: devices.ErrAbsent})
		synctest.Wait()
		r.call("GET", "/v1/tills/w1", his, nil).is("scanner.state", "fault")
		r.w.Agent.Presence("w1", devices.Presence{Device: "w1-gun", Present: true})
		hear("back", func(o object) bool { return o["name"] == "w1-gun" && o["present"] == true && o["reason"] == nil })
		r.w.Agent.Presence("w1", devices.Presence{Device: "nobody's", Present: true})
		x.close()
		if m := r.call("GET", "/metrics", admin, nil); m.status == 200 && !strings.Contains(string(m.raw), `payagent_device_present{device="w1-pad"} 0`) {
			t.Errorf("%s", m.raw)
		}
		// Silent for a day.
		pause(25 * time.Hour)
		if h := find("w2-gun")["hints"].([]any); len(h) != 1 || h[0].(object)["code"] != "silent" {
			t.Errorf("%v", h)
		}
	})
}

func TestDeviceActions(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		test := func(name, token, action string) reply {
			t.Helper()
			return r.call("POST", "/v1/devices/"+name+"/test", token, object{"action": action})
		}
		test("w1-gun", cashier1, "beep").want(202, "")
		if got := r.w.Guns["w1"].Did(); len(got) != 1 {
			t.Error(got)
		}
		test("w1-gun", admin, "trigger").want(422, "unknown_action").is("reason", "beep").is("field", "action")
		test("w1-gun", admin, "show").want(422, "unknown_action")
		test("w2-gun", cashier1, "beep").want(404, "not_found")
		test("none", admin, "beep").want(404, "not_found")
		test("w1-gun", screen1, "beep").want(403, "forbidden")
		r.call("POST", "/v1/devices/w1-gun/test", admin, object{"action": "beep", "bytes": "00"}).want(422, "field_invalid")
		r.w.Guns["w1"].Fail(devices.ErrGone)
		test("w1-gun", admin, "beep").want(409, "device_absent")
		r.w.Guns["w1"].Fail(errors.New("it jams"))
		test("w1-gun", admin, "beep").want(502, "device_failed")
		face := r.w.Faces["w1"]
		test("w1-display", cashier1, "show").want(202, "")
		synctest.Wait()
		if s := face.Last(); !s.Test || s.Title == "" || s.Amount == "" || s.QR != "" {
			t.Errorf("%+v", s)
		}
		pause(3100 * time.Millisecond)
		synctest.Wait()
		if s := face.Last(); s.State != devices.StateIdle || s.Amount != "" {
			t.Errorf("the test screen stays: %+v", s)
		}
		// A payment takes the display at once, and keeps it.
		test("w1-display", cashier1, "show").want(202, "")
		synctest.Wait()
		id := r.create(bill("B1")).want(201, "").id()
		synctest.Wait()
		if s := face.Last(); s.State != "waiting" || s.Amount != "128.50" {
			t.Errorf("%+v", s)
		}
		test("w1-display", cashier1, "show").want(409, "display_in_use")
		r.call("POST", "/v1/orders/"+id+"/cancel", his, object{}).want(200, "")
		synctest.Wait()
		test("w1-display", cashier1, "show").want(409, "display_in_use") // the result stands
		pause(9 * time.Second)
		test("w1-display", cashier1, "show").want(202, "")
	})
}

// The words of a state are spoken on the till's view.
func TestSpeech(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.create(bill("B1")).want(201, "").id()
		synctest.Wait()
		r.call("GET", "/v1/tills/w1", his, nil).is("speech.zh", "请出示付款码，收您一百二十八元五角").is("speech.en", "Please show your payment code, 128.50 yuan")
		r.call("POST", "/v1/orders/"+id+"/cancel", his, object{}).want(200, "")
		synctest.Wait()
		r.call("GET", "/v1/tills/w1", his, nil).is("state", "canceled").is("speech", nil)
		r.paid("B2")
		r.call("GET", "/v1/tills/w1", his, nil).is("speech.zh", "支付成功，收款一百二十八元五角")
	})
}

// Every code that a device can be away with, and every hint, has words.
func TestDeviceWords(t *testing.T) {
	for _, code := range []string{"absent", "gone", "several", "no_permission", "cannot_open", "display_failed", "swapped", "dirty", "silent"} {
		if _, ok := words.New().Find(words.Device, code); !ok {
			t.Errorf("%s has no words", code)
		}
	}
	for _, state := range []string{"closed", "claimed", "armed", "fault"} {
		if _, ok := words.New().Find(words.Scanner, state); !ok || !strings.Contains(string(door.OpenAPI()), `"`+state+`"`) {
			t.Errorf("%s has no words, or is not described", state)
		}
	}
}
