package fleet_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/signed"
)

func signer(id string, n byte, roles ...string) (signed.Private, signed.Key) {
	p := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return signed.Private{ID: id, Key: p}, signed.Key{ID: id, Roles: roles, Public: p.Public().(ed25519.PublicKey)}
}

var issued = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func manifest() fleet.Manifest {
	return fleet.Manifest{Product: "payagent", Version: "1.4.0", Floor: "1.2.0", Issued: issued, Expires: issued.AddDate(0, 3, 0), Store: 1,
		Files: []fleet.File{
			{Name: "payagent-linux-amd64", OS: "linux", Arch: "amd64", URLs: []string{"https://mirror.example/payagent-linux-amd64"}, Size: 10, SHA256: strings.Repeat("ab", 32)},
			{Name: "payagent-windows-386.exe", OS: "windows", Arch: "386", Cgo: true, Size: 10, SHA256: strings.Repeat("cd", 32)}}}
}

func TestManifest(t *testing.T) {
	a, ka := signer("rel-1", 1, fleet.RoleRelease)
	b, kb := signer("rel-2", 2, fleet.RoleRelease, fleet.RoleOperate)
	c, kc := signer("ops", 3, fleet.RoleOperate)
	keys := []signed.Key{ka, kb, kc}
	data, err := fleet.SignManifest(manifest(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := fleet.OpenManifest(data, keys, issued.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if f, err := m.For("linux", "amd64", false); err != nil || f.Name != "payagent-linux-amd64" {
		t.Error(f, err)
	}
	for _, kind := range [][2]string{{"linux", "386"}, {"windows", "amd64"}, {"", ""}} {
		if _, err := m.For(kind[0], kind[1], false); !errors.Is(err, fleet.ErrContents) {
			t.Errorf("a file for %v: %v", kind, err)
		}
	}
	if _, err := m.For("linux", "amd64", true); err == nil {
		t.Error("a pure build was taken for a cgo one")
	}
	one, _ := fleet.SignManifest(manifest(), a)
	wrong, _ := fleet.SignManifest(manifest(), a, c)
	config, _ := signed.Seal(fleet.TypeConfig, []byte("{}"), a, b)
	for name, x := range map[string]struct {
		data []byte
		want error
	}{"one key": {one, fleet.ErrTwoKeys}, "second key of another rôle": {wrong, fleet.ErrTwoKeys}, "other type": {config, signed.ErrNotSigned}} {
		if _, err := fleet.OpenManifest(x.data, keys, issued); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fleet.OpenManifest(data, keys, m.Expires.Add(time.Second)); !errors.Is(err, fleet.ErrExpired) {
		t.Error(err)
	}
	if _, err := fleet.OpenManifest(data, keys, time.Time{}); err != nil {
		t.Error("what is installed must not expire:", err)
	}
	second, err := signed.Add(one, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.OpenManifest(second, keys, issued); err != nil {
		t.Error("signed on two machines:", err)
	}
}

func TestManifestRefused(t *testing.T) {
	for name, spoil := range map[string]func(*fleet.Manifest){
		"product":        func(m *fleet.Manifest) { m.Product = "payfleet" },
		"version":        func(m *fleet.Manifest) { m.Version = "1.4" },
		"floor":          func(m *fleet.Manifest) { m.Floor = "" },
		"floor above":    func(m *fleet.Manifest) { m.Floor = "1.4.1" },
		"no issue":       func(m *fleet.Manifest) { m.Issued = time.Time{} },
		"expiry before":  func(m *fleet.Manifest) { m.Expires = m.Issued },
		"never expires":  func(m *fleet.Manifest) { m.Expires = m.Issued.AddDate(9, 0, 0) },
		"no store":       func(m *fleet.Manifest) { m.Store = 0 },
		"no file":        func(m *fleet.Manifest) { m.Files = nil },
		"twice the same": func(m *fleet.Manifest) { m.Files = append(m.Files, m.Files[0]) },
		"path":           func(m *fleet.Manifest) { m.Files[0].Name = "../payagent" },
		"dots":           func(m *fleet.Manifest) { m.Files[0].Name = ".." },
		"no machine":     func(m *fleet.Manifest) { m.Files[0].OS = "" },
		"no size":        func(m *fleet.Manifest) { m.Files[0].Size = 0 },
		"endless":        func(m *fleet.Manifest) { m.Files[0].Size = fleet.MaxProgram + 1 },
		"hash":           func(m *fleet.Manifest) { m.Files[0].SHA256 = strings.Repeat("AB", 32) },
		"short hash":     func(m *fleet.Manifest) { m.Files[0].SHA256 = "ab" },
		"plain http":     func(m *fleet.Manifest) { m.Files[0].URLs = []string{"http://mirror.example/x"} },
		"user in URL":    func(m *fleet.Manifest) { m.Files[0].URLs = []string{"https://u:p@mirror.example/x"} },
		"notes":          func(m *fleet.Manifest) { m.Notes = strings.Repeat("x", 5000) },
	} {
		m := manifest()
		spoil(&m)
		if err := m.Check(); !errors.Is(err, fleet.ErrContents) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := fleet.SignManifest(m); !errors.Is(err, fleet.ErrContents) {
			t.Errorf("%s was signed", name)
		}
	}
}

func TestUnmarshalIsStrict(t *testing.T) {
	type small struct {
		A int    `json:"a"`
		B string `json:"b"`
	}
	var s small
	if err := fleet.Unmarshal([]byte(` {"a":1,"b":"x"} `), &s); err != nil || s != (small{1, "x"}) {
		t.Fatal(s, err)
	}
	for _, bad := range []string{``, `{`, `{"a":1}{}`, `{"a":1}x`, `{"a":1,"a":2}`, `{"A":1}`, `{"c":1}`, `{"a":"1"}`, `{"a":1e400}`,
		`{"a":1111111111111111111111111}`, `{"ſ":1}`, "{\"b\":\"\xff\"}", strings.Repeat("[", 40) + strings.Repeat("]", 40), `{"b":"x",}`, `[1]`} {
		if err := fleet.Unmarshal([]byte(bad), &small{}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestVersions(t *testing.T) {
	order := []string{"dev", "0.0.1", "0.9.0", "0.10.0", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0-rc.x", "1.0.0", "1.0.1", "2.0.0"}
	for i, a := range order {
		for j, b := range order {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := fleet.CompareVersions(a, b); got != want {
				t.Errorf("%s against %s: %d", a, b, got)
			}
		}
	}
	for _, bad := range []string{"", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.-3", "1.2.3-", "1.2.3-RC", "1.2.3-a/b", "100000.0.0", " 1.2.3", "+1.2.3"} {
		if v, err := fleet.ParseVersion(bad); err == nil {
			t.Errorf("%q was read as %v", bad, v)
		}
	}
	for _, good := range []string{"0.0.0", "1.2.3", "1.2.3-rc.1", "99999.99999.99999"} {
		if v, err := fleet.ParseVersion(good); err != nil || v.String() != good {
			t.Error(good, v, err)
		}
	}
}

func desired() fleet.Desired {
	return fleet.NewDesired(7, "H1", []string{"B1", "B2"}, "site: {name: x}\n", issued, issued.AddDate(0, 0, 7), "")
}

func TestDesired(t *testing.T) {
	a, ka := signer("conf-1", 1, fleet.RoleConfig)
	b, kb := signer("conf-2", 2, fleet.RoleConfig)
	c, kc := signer("rel", 3, fleet.RoleRelease)
	keys := []signed.Key{ka, kb, kc}
	at := fleet.Place{Root: "payagent", Site: "H1", Box: "B2"}
	data, err := fleet.SignConfig(desired(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	d, n, err := fleet.OpenDesired(data, keys, at, issued)
	if err != nil || n != 2 || d.Text != desired().Text {
		t.Fatal(d, n, err)
	}
	mixed, _ := fleet.SignConfig(desired(), a, c)
	if _, n, err := fleet.OpenDesired(mixed, keys, at, issued); err != nil || n != 1 {
		t.Error("a key of another rôle counted:", n, err)
	}
	other, _ := fleet.SignConfig(desired(), c)
	if _, _, err := fleet.OpenDesired(other, keys, at, issued); !errors.Is(err, signed.ErrNotSigned) {
		t.Error(err)
	}
	for _, place := range []fleet.Place{{Site: "H1", Box: "B3"}, {Site: "H2", Box: "B1"}} {
		if _, _, err := fleet.OpenDesired(data, keys, place, issued); !errors.Is(err, fleet.ErrContents) {
			t.Errorf("taken at %v: %v", place, err)
		}
	}
	if _, _, err := fleet.OpenDesired(data, keys, at, d.Expires.Add(1)); !errors.Is(err, fleet.ErrExpired) {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*fleet.Desired){
		"version": func(d *fleet.Desired) { d.Version = 0 },
		"ahead":   func(d *fleet.Desired) { d.Version = 1 << 60 },
		"text":    func(d *fleet.Desired) { d.Text += " " },
		"empty":   func(d *fleet.Desired) { d.Text, d.SHA256 = "", fleet.HashText(nil) },
		"boxes":   func(d *fleet.Desired) { d.Boxes = nil },
		"name":    func(d *fleet.Desired) { d.Boxes = []string{"+"} },
		"site":    func(d *fleet.Desired) { d.Site = "" },
		"expiry":  func(d *fleet.Desired) { d.Expires = d.Issued },
		"note":    func(d *fleet.Desired) { d.Note = strings.Repeat("x", 5000) },
	} {
		d := desired()
		spoil(&d)
		if err := d.Check(); !errors.Is(err, fleet.ErrContents) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	for _, v := range []any{manifest(), desired()} {
		data, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := fleet.ParseManifest(data); err == nil && m.Check() != nil {
			t.Error("a manifest that does not make sense was taken")
		}
		if d, err := fleet.ParseDesired(data); err == nil && d.SHA256 != fleet.HashText([]byte(d.Text)) {
			t.Error("a text with another hash was taken")
		}
	})
}
