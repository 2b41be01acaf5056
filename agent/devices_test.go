package agent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/devices"
	"payagent/platforms"
	"payagent/queue/mem"
)

// world is an agent with scanners and displays in a bubble of time.
func world(t *testing.T, change func(*config.Config), run func(t *testing.T, w *agenttest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: change})
		synctest.Wait()
		run(t, w)
		w.Stop()
	})
}

func collect(t *testing.T, w *agenttest.World, bill string, mode platforms.Mode) string {
	t.Helper()
	r, err := w.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("k" + bill), Body: platforms.Hide(bill), Bill: bill, Amount: 12850, Mode: mode,
		OrderType: "TREATMENT", Till: agenttest.W1, Aggregated: mode == platforms.ModePresent, Patient: platforms.Patient{Name: platforms.Hide("张三丰")}})
	if err != nil || r.Code != counter.CodeCreated {
		t.Fatal(r.Code, err)
	}
	synctest.Wait()
	return r.Order.No
}

func hold(c *config.Config) { c.Codes.TwoCodes = 300 * time.Millisecond }

// Two codes within the hold are both refused, at whichever scanners of the
// till; a single one pays, and the log names its scanner.
func TestTwoCodesAtTwoScanners(t *testing.T) {
	world(t, hold, func(t *testing.T, w *agenttest.World) {
		no := collect(t, w, "B1", platforms.ModeCharge)
		show := func(p *agenttest.Pad, n int) {
			p.Show(fmt.Sprintf("1345678901234%05d", n))
			synctest.Wait()
		}
		view := func() counter.View { v, _ := w.Agent.View(agenttest.W1); return v }
		show(w.Pads["w1"], 1)
		<-time.After(200 * time.Millisecond)
		show(w.Guns["w1"], 2)
		<-time.After(time.Second)
		synctest.Wait()
		if v := view(); v.Note != counter.NoteTwoCodes || v.Order.State() != "waiting" || len(w.Banks[agenttest.Full].Calls("charge")) > 0 {
			t.Errorf("%+v", v)
		}
		<-time.After(5 * time.Second)
		show(w.Guns["w1"], 3)
		<-time.After(299 * time.Millisecond)
		if v := view(); v.Order.State() != "waiting" {
			t.Error("a code is not held")
		}
		<-time.After(10 * time.Millisecond)
		synctest.Wait()
		if v := view(); v.Order.State() == "waiting" {
			t.Error("a single code is not taken")
		}
		facts, err := w.Agent.Facts(no)
		if err != nil || len(facts) < 2 || facts[1].Sent == nil || facts[1].Sent.Device != "w1-gun" {
			t.Errorf("%v %v", facts, err)
		}
	})
}

func lines(list []devices.Screen) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%s|%s|%s|%s|%s|%s", s.State, s.Title, s.Line, s.Amount, s.Speech, s.Note))
	}
	return strings.Join(out, "\n")
}

// A display goes with its order, says what is said, and is empty eight seconds
// after the result (DSP-01, DSP-02).
func TestDisplay(t *testing.T) {
	world(t, nil, func(t *testing.T, w *agenttest.World) {
		face := w.Faces[agenttest.W1]
		if s := face.Last(); s.State != devices.StateIdle || s.Title == "" || s.TitleEN == "" || s.Amount != "" || !s.Test {
			t.Errorf("%+v", s)
		}
		no := collect(t, w, "B1", platforms.ModeCharge)
		if s := face.Last(); s.State != "waiting" || s.Title != "请出示付款码" || s.Line != "张*丰" || s.Amount != "128.50" || s.Speech != "请出示付款码，收您一百二十八元五角" || s.TitleEN == "" {
			t.Errorf("%+v", s)
		}
		for _, device := range []string{"w1-pad", "w1-gun"} {
			w.Agent.Presence("w1", devices.Presence{Device: device, Err: devices.ErrGone})
		}
		synctest.Wait()
		if s := face.Last(); s.Note != counter.NoteScannerGone || s.Line != "扫码设备未连接，请稍候" || s.LineEN == "" {
			t.Errorf("%+v", s)
		}
		w.Agent.Presence("w1", devices.Presence{Device: "w1-pad", Present: true})
		w.Pads["w1"].Show("134567890123456789")
		synctest.Wait()
		if s := face.Last(); s.State != "paying" || s.Line != "张*丰" {
			t.Errorf("%+v", s)
		}
		w.Banks[agenttest.Full].Pay(no)
		for range 60 {
			<-time.After(time.Second)
			if face.Last().State == "paid" {
				break
			}
		}
		if s := face.Last(); s.State != "paid" || s.Line != "" || s.Speech != "支付成功，收款一百二十八元五角" {
			t.Errorf("%+v", s)
		}
		<-time.After(6 * time.Second)
		if s := face.Last(); s.State == devices.StateIdle {
			t.Error("the result leaves too early")
		}
		<-time.After(3 * time.Second)
		if s := face.Last(); s.State != devices.StateIdle || s.Amount != "" || s.Line != "" || s.QR != "" || s.Speech != "" {
			t.Errorf("something stays: %+v", s)
		}
		// The same screen is not shown twice.
		n := len(face.Shown())
		<-time.After(time.Minute)
		if got := len(face.Shown()); got != n {
			t.Errorf("%d screens while nothing happened:\n%s", got-n, lines(face.Shown()[n:]))
		}
		_ = collect(t, w, "B2", platforms.ModePresent)
		if s := face.Last(); s.State != "paying" || s.QR == "" || s.Speech != "请扫码支付，一百二十八元五角" {
			t.Errorf("%+v", s)
		}
	})
}

// A display that takes nothing, or fails, delays nobody, is told as away, and
// shows the latest when it is back.
func TestDisplayAway(t *testing.T) {
	world(t, nil, func(t *testing.T, w *agenttest.World) {
		face := w.Faces[agenttest.W1]
		face.Fail(nil, true)
		begin := time.Now()
		no := collect(t, w, "B1", platforms.ModeCharge)
		w.Pads["w1"].Show("134567890123456789")
		synctest.Wait()
		if o, err := w.Agent.Order(no); err != nil || o.State() != "paying" || time.Since(begin) > 0 {
			t.Errorf("%v %v after %s", o, err, time.Since(begin))
		}
		find := func() agent.Device {
			for _, d := range w.Agent.Devices() {
				if d.Name == "w1-display" {
					return d
				}
			}
			return agent.Device{}
		}
		<-time.After(5 * time.Second)
		if d := find(); d.Present || d.Reason != "display_failed" {
			t.Errorf("%+v", d)
		}
		face.Fail(errors.New("no paper"), false)
		<-time.After(5 * time.Second)
		face.Fail(nil, false)
		<-time.After(5 * time.Second)
		if d := find(); !d.Present || d.Reason != "" || face.Last().State != "paying" {
			t.Errorf("%+v %+v", d, face.Last())
		}
	})
}

// While every platform of a till is away, its screens say so.
func TestDisplayOffline(t *testing.T) {
	world(t, nil, func(t *testing.T, w *agenttest.World) {
		face := w.Faces[agenttest.W1]
		_ = collect(t, w, "B1", platforms.ModeCharge)
		w.Banks[agenttest.Full].Cut(true)
		<-time.After(30 * time.Second)
		synctest.Wait()
		if s := face.Last(); s.State != devices.StateOffline || s.QR != "" || s.Title != "网络中断，暂时无法扫码支付" {
			t.Errorf("%+v", s)
		}
		w.Banks[agenttest.Full].Cut(false)
		<-time.After(30 * time.Second)
		synctest.Wait()
		if s := face.Last(); s.State != "waiting" {
			t.Errorf("%+v", s)
		}
	})
}
