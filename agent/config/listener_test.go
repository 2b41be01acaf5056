package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// What a listener of its own must be, wherever it stands.
func TestListener(t *testing.T) {
	for name, c := range map[string]struct {
		l    Listener
		want string // part of the one problem; empty for none
	}{
		"off":                 {Listener{}, ""},
		"loopback":            {Listener{Listen: []string{"127.0.0.1:1", "[::1]:1"}}, ""},
		"LAN with TLS":        {Listener{Listen: []string{"10.0.0.5:1"}, TLS: TLS{"c", "k"}, ClientCA: "a", Allow: []string{"10.0.0.0/8", "10.1.2.3", "2001:db8::/32"}}, ""},
		"LAN as told":         {Listener{Listen: []string{"10.0.0.5:1"}, AcceptPlainHTTP: true}, ""},
		"LAN without TLS":     {Listener{Listen: []string{"10.0.0.5:1"}}, "needs tls"},
		"every network":       {Listener{Listen: []string{"0.0.0.0:1"}}, "every network"},
		"a name":              {Listener{Listen: []string{"localhost:1"}}, "not IP:port"},
		"no port":             {Listener{Listen: []string{"127.0.0.1:0"}}, "not IP:port"},
		"twice":               {Listener{Listen: []string{"127.0.0.1:1", "127.0.0.1:1"}}, "twice"},
		"half a pair":         {Listener{TLS: TLS{Cert: "c"}}, "both cert and key"},
		"clients without TLS": {Listener{ClientCA: "a"}, "need tls"},
		"no network":          {Listener{Allow: []string{"10.0.0"}}, "neither a network"},
		"bits behind":         {Listener{Allow: []string{"10.1.2.3/8"}}, "behind its mask"},
		"a zone":              {Listener{Allow: []string{"fe80::1%eth0"}}, "neither a network"},
	} {
		v := validator{probs: &problems{}}
		v.listener("books", c.l)
		got := ""
		if err := v.probs.err(""); err != nil {
			got = err.Error()
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || c.want != "" && !strings.Contains(got, "books.") {
			t.Errorf("%s: %s", name, got)
		}
		if c.l.On() != (len(c.l.Listen) > 0) {
			t.Errorf("%s: on is %v", name, c.l.On())
		}
	}
}

// An embedded section's keys stand among those around it, in the file and in
// the list of keys.
func TestEmbeddedListener(t *testing.T) {
	var c struct {
		Listener
		Own string
	}
	var probs problems
	d := decoder{probs: &probs, lines: map[string]int{}}
	d.into(parseNode([]byte("listen: [\"127.0.0.1:1\"]\nallow: [10.0.0.0/8]\nclient_ca: a\ntls: {cert: c, key: k}\nown: x\n"), &probs), reflect.ValueOf(&c).Elem(), "")
	if err := probs.err(""); err != nil || fmt.Sprint(c) != "{{[127.0.0.1:1] {c k} a [10.0.0.0/8] false} x}" {
		t.Errorf("%v %v", c, err)
	}
	var keys []Key
	walk(reflect.ValueOf(&c).Elem(), "books", &keys)
	var paths []string
	for _, k := range keys {
		paths = append(paths, k.Path)
	}
	if got := strings.Join(paths, " "); got != "books.listen books.tls.cert books.tls.key books.client_ca books.allow books.accept_plain_http books.own" {
		t.Error(got)
	}
}
