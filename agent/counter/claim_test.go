package counter

import (
	"testing"
	"time"

	"payagent/platforms"
)

func claimWorld(t *testing.T) *world {
	cfg := testConfig()
	cfg.Recognise = platforms.DefaultRules().Recognise
	cfg.Tills["w1"] = Till{Name: "w1", TwoCodes: 300 * time.Millisecond,
		Devices: map[string]Device{"pad": {Role: RolePad}, "gun": {Role: RoleGun}, "cards": {Role: RoleGun, NoPay: true}}}
	cfg.Tills["w2"] = Till{Name: "w2", Devices: map[string]Device{"pad2": {Role: RolePad}}}
	w := &world{t: t, c: New(cfg)}
	w.now.Boot = "b"
	w.step(Recover{})
	return w
}

func (w *world) ask(ev Event, want string) Reply {
	w.t.Helper()
	r := one[Reply](w.t, w.step(ev))
	if r.Code != want {
		w.t.Fatalf("%T: %s, want %s", ev, r.Code, want)
	}
	return r
}

func has[T Effect](list []Effect) (found []T) {
	for _, e := range list {
		if x, ok := e.(T); ok {
			found = append(found, x)
		}
	}
	return found
}

func read(device, text string) Scan {
	return Scan{Till: "w1", Device: device, Code: Code{Text: platforms.Hide(text), Hash: "h" + text}}
}

func TestClaims(t *testing.T) {
	w := claimWorld(t)
	w.ask(Claim{Reply: 1, Till: "w2", Session: "a"}, CodeNoScanner)
	w.ask(Claim{Reply: 1, Till: "none", Session: "a"}, CodeUnknownTill)
	w.ask(Release{Reply: 1, Till: "w1", Session: "a"}, CodeNotHolder)
	if r := w.ask(Claim{Reply: 1, Till: "w1", Session: "a", Lease: 5 * time.Hour}, CodeClaimed); r.Claim.Left != MaxLease {
		t.Errorf("%+v", r.Claim)
	}
	if r := w.ask(Claim{Reply: 1, Till: "w1", Session: "a"}, CodeClaimed); r.Claim.Left != DefaultLease {
		t.Errorf("%+v", r.Claim)
	}
	w.ask(Claim{Reply: 1, Till: "w1", Session: "b"}, CodeAsked)
	w.ask(Claim{Reply: 1, Till: "w1", Session: "b"}, CodeAsked)
	w.ask(Claim{Reply: 1, Till: "w1", Session: "c"}, CodeScannerAsked)
	w.ask(Release{Reply: 1, Till: "w1", Session: "b"}, CodeReleased) // it changed its mind
	w.ask(Claim{Reply: 1, Till: "w1", Session: "c", Lease: 20 * time.Second}, CodeAsked)
	if at := w.c.Deadline(); at != w.now.Mono+RetainWithin {
		t.Errorf("due at %s", at)
	}
	w.now.Mono += RetainWithin - 1
	if got := has[Screen](w.step(Tick{})); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	w.now.Mono++
	if v := one[Screen](t, w.step(Tick{})).View; v.Holder != "c" || v.AskedBy != "" || v.Scanner != ScannerClaimed {
		t.Errorf("%+v", v)
	}
	w.now.Mono += 20 * time.Second
	if v := one[Screen](t, w.step(Tick{})).View; v.Holder != "" || v.Scanner != ScannerClosed {
		t.Errorf("%+v", v)
	}
	// A claimed till without a scanner says so; a closed one has nothing to say.
	if v := one[Screen](t, w.step(Presence{Till: "w1"})).View; v.Scanner != ScannerClosed {
		t.Errorf("%+v", v)
	}
	if v := one[Screen](t, w.step(Claim{Reply: 1, Till: "w1", Session: "a"})).View; v.Scanner != ScannerFault {
		t.Errorf("%+v", v)
	}
}

func TestArmedIsNeverHandedOver(t *testing.T) {
	w := claimWorld(t)
	w.ask(Claim{Reply: 1, Till: "w1", Session: "a"}, CodeClaimed)
	w.ask(Claim{Reply: 1, Till: "w1", Session: "b"}, CodeAsked)
	w.open("N1", "B1") // the ask falls: the holder uses it
	w.until(w.now.Mono + time.Minute)
	w.ask(Claim{Reply: 1, Till: "w1", Session: "b"}, CodeScannerArmed)
	if r := w.ask(Claim{Reply: 1, Till: "w1", Session: "a"}, CodeClaimed); r.Claim.Holder != "a" || r.Claim.AskedBy != "" {
		t.Errorf("%+v", r.Claim)
	}
}

func TestCards(t *testing.T) {
	w := claimWorld(t)
	const card, pays = "9988776655", "134567890123456789"
	if got := has[Identity](w.step(read("gun", card))); len(got) > 0 {
		t.Error("a card goes to nobody")
	}
	w.now.Mono += time.Minute
	w.ask(Claim{Reply: 1, Till: "w1", Session: "a"}, CodeClaimed)
	i := one[Identity](t, w.step(read("gun", card)))
	if i.Session != "a" || i.Device != "gun" || i.Kind != platforms.KindDigits || i.Text.Reveal() != card {
		t.Errorf("%+v", i)
	}
	for _, s := range []Scan{read("gun", card), read("pad", "8"+card), read("nobody's", "7"+card), read("gun", pays), read("gun", "no digits"),
		read("gun", "hQVDUFYwMWEWTwegAAADMwEBAQE")} {
		if got := has[Identity](w.step(s)); len(got) > 0 {
			t.Errorf("%s: handed on", s.Device)
		}
	}
	w.open("N1", "B1")
	w.now.Mono += time.Minute
	out := w.step(read("cards", pays))
	if got := has[Screen](out); len(got) != 1 || got[0].View.Note != NoteNotForPayment {
		t.Errorf("%+v", out)
	}
	// The same code at the right scanner is not the same read.
	w.step(read("pad", pays))
	if got := has[Lookup](w.until(w.now.Mono + time.Second)); len(got) != 1 {
		t.Error("the code that was refused at the cards' scanner is not taken at the pad")
	}
}
