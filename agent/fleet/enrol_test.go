package fleet_test

import (
	"strings"
	"testing"

	"payagent/agent/fleet"
)

func TestCode(t *testing.T) {
	c := fleet.Code{Authority: fleet.Fingerprint([]byte("key")), ID: [4]byte{1, 2, 3, 4}, Secret: [12]byte{9, 8, 7}}
	text := c.String()
	if len(text) != 65 || !c.Names([]byte("key")) || c.Names([]byte("other")) {
		t.Errorf("%q has %d characters", text, len(text))
	}
	typed := strings.NewReplacer("0", "o", "1", "l", "-", " ").Replace(strings.ToLower(text))
	for _, s := range []string{text, typed, strings.ReplaceAll(text, "-", "")} {
		if got, err := fleet.ParseCode(s); err != nil || got != c {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	// Every single mistyped character is noticed.
	for i := range text {
		if text[i] == '-' {
			continue
		}
		b := []byte(text)
		if b[i]++; b[i] == ':' {
			b[i] = 'A'
		}
		if got, err := fleet.ParseCode(string(b)); err == nil && got != c {
			t.Errorf("%q was taken", b)
		}
	}
	for _, s := range []string{"", "A", text[:len(text)-1], text + "0", "用"} {
		if _, err := fleet.ParseCode(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	var r fleet.EnrolRequest
	if err := fleet.Unmarshal([]byte(` {"code":"a","site":"s","box":"b","csr":"c"} `), &r); err != nil || r.Box != "b" {
		t.Error(r, err)
	}
	for _, bad := range []string{``, `{`, `{"csr":"a","csr":"b"}`, `{"csr":"a","CSR":"b"}`, `{"csr":"a"} {}`, `{"more":1}`, `{"csr":1}`, `[]x`, `{"csr":` + strings.Repeat("[", 40)} {
		if err := fleet.Unmarshal([]byte(bad), &fleet.EnrolRequest{}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	f.Add(fleet.Code{}.String())
	f.Fuzz(func(t *testing.T, s string) {
		c, err := fleet.ParseCode(s)
		if err != nil {
			return
		}
		if again, err := fleet.ParseCode(c.String()); err != nil || again != c {
			t.Errorf("%q", s)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"csr":"a","if_due":true}`))
	f.Fuzz(func(t *testing.T, data []byte) { _ = fleet.Unmarshal(data, &fleet.RenewRequest{}) })
}
