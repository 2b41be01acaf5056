package https_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"payagent/uplink/https"
)

// loopback finds the interface of 127.0.0.1.
func loopback(t *testing.T) string {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Fatal("there is no loopback interface")
	return ""
}

// TestFrom: connections leave from the address that is configured, or by the
// interface; where it is not there nothing is sent.
func TestFrom(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	reach := func(from string) (string, error) {
		r, err := https.New(https.Config{BaseURL: "http://" + l.Addr().String(), AllowPlainHTTP: true, From: from, DialTimeout: time.Minute})
		if err != nil {
			return "", err
		}
		defer func() { _ = r.Close() }()
		if err := r.Reach(context.Background()); err != nil {
			return "", err
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		return host, err
	}
	if at, err := reach("127.0.0.7"); err != nil || at != "127.0.0.7" {
		t.Errorf("from an address: %s %v", at, err)
	}
	if at, err := reach(loopback(t)); err != nil || at != "127.0.0.1" {
		t.Errorf("by an interface: %s %v", at, err)
	}
	for _, from := range []string{"192.0.2.7", "nosuch0"} { // TEST-NET-1: nobody's
		if _, err := reach(from); err == nil || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("from %s: %v", from, err)
		}
	}
	if _, err := reach("no/such"); err == nil || !strings.Contains(err.Error(), "from") {
		t.Errorf("from what cannot be: %v", err)
	}
}

// TestFromInterfaceBinds: an interface that does not lead there carries nothing,
// though the system knows another way.
func TestFromInterfaceBinds(t *testing.T) {
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		r, err := https.New(https.Config{BaseURL: "http://" + l.Addr().String(), AllowPlainHTTP: true, From: i.Name, DialTimeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Reach(context.Background()); err == nil {
			t.Errorf("loopback was reached by %s", i.Name)
		}
		_ = r.Close()
	}
}
