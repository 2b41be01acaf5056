package sealed_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"payagent/agent/fleet"
	"payagent/agent/fleet/sealed"
	"payagent/platforms"
)

func person() sealed.Person {
	return sealed.Person{Name: platforms.Hide("司马金丝雀"), CardNo: platforms.Hide("C7788"), MedicalCard: platforms.Hide("M1")}
}

func here() fleet.Place { return fleet.Place{Root: "payagent", Site: "H1", Box: "B1"} }

func TestSealAndOpen(t *testing.T) {
	key, err := sealed.NewPrivate()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if key, err = sealed.ParsePrivate(raw); err != nil {
		t.Fatal(err)
	}
	public, err := sealed.ParsePublic(key.Public().Text())
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := public.Sealer(here())
	if err != nil {
		t.Fatal(err)
	}
	text, err := sealer.Seal("e-1", person())
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := sealer.Seal("e-1", person()); again[48:] == text[48:] {
		t.Error("the same twice looks the same")
	}
	if next, err := sealer.Seal("e-2", sealed.Person{Name: platforms.Hide("二")}); err != nil {
		t.Error(err)
	} else if who, err := key.Open(here(), "e-2", next); err != nil || who.Name.Reveal() != "二" {
		t.Error("the second of the same sealer", err)
	}
	got, err := key.Open(here(), "e-1", text)
	if err != nil || got.Name.Reveal() != person().Name.Reveal() || got.CardNo.Reveal() != "C7788" || got.MedicalCard.Reveal() != "M1" {
		t.Fatal(err)
	}
	other, _ := sealed.NewPrivate()
	box := here()
	box.Box = "B2"
	site := here()
	site.Site = "H2"
	for name, open := range map[string]func() (sealed.Person, error){
		"another key":   func() (sealed.Person, error) { return other.Open(here(), "e-1", text) },
		"another event": func() (sealed.Person, error) { return key.Open(here(), "e-2", text) },
		"another box":   func() (sealed.Person, error) { return key.Open(box, "e-1", text) },
		"another site":  func() (sealed.Person, error) { return key.Open(site, "e-1", text) },
		"no base64":     func() (sealed.Person, error) { return key.Open(here(), "e-1", text+"!") },
		"cut":           func() (sealed.Person, error) { return key.Open(here(), "e-1", text[:8]) },
	} {
		if who, err := open(); err == nil || !who.Empty() {
			t.Errorf("%s opened it", name)
		} else if strings.Contains(err.Error(), "C7788") {
			t.Errorf("%s: %v", name, err)
		}
	}
	data, _ := base64.StdEncoding.DecodeString(text)
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, err := key.Open(here(), "e-1", base64.StdEncoding.EncodeToString(changed)); err == nil {
			t.Errorf("byte %d changed, and it opened", i)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v %s", key, key, key, key); strings.Contains(s, string(raw)) || !strings.Contains(s, "hidden") {
		t.Error("the key shows itself", s)
	}
}

func TestNothingToSeal(t *testing.T) {
	key, _ := sealed.NewPrivate()
	sealer, err := key.Public().Sealer(here())
	if err != nil {
		t.Fatal(err)
	}
	if text, err := sealer.Seal("e", sealed.Person{}); text != "" || err != nil {
		t.Error(text, err)
	}
	if who, err := key.Open(here(), "e", ""); err != nil || !who.Empty() {
		t.Error(err)
	}
	if _, err := sealer.Seal("e", sealed.Person{Name: platforms.Hide(strings.Repeat("x", 5000))}); err == nil || strings.Contains(err.Error(), "xxx") {
		t.Error("a name without bounds", err)
	}
	for _, bad := range []string{"", "x", "AAAA", strings.Repeat("A", 44)} {
		if _, err := sealed.ParsePublic(bad); err == nil {
			t.Errorf("%q was taken as a key", bad)
		}
	}
	if _, err := sealed.ParsePrivate([]byte("short")); err == nil {
		t.Error("a short private key was taken")
	}
}

func FuzzOpen(f *testing.F) {
	key, err := sealed.ParsePrivate(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	sealer, err := key.Public().Sealer(here())
	if err != nil {
		f.Fatal(err)
	}
	text, _ := sealer.Seal("e", person())
	f.Add(text)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if who, err := key.Open(here(), "e", text); err != nil && !who.Empty() {
			t.Error("an error and a person")
		}
	})
}
