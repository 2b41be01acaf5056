package ca_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
	"payagent/uplink/uplinktest"
)

// hang is when a test gives up on something that never comes.
const hang = time.Minute

// mosquitto starts Debian's broker with the authority's files.
func mosquitto(t *testing.T, dir string) (address string, reload func()) {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto" // not on everybody's path
	}
	address = uplinktest.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\ncafile %[2]s/authority.pem\ncertfile %[2]s/out/localhost.pem\nkeyfile %[2]s/out/localhost.key\ncrlfile %[2]s/crl.pem\nrequire_certificate true\nuse_identity_as_username true\n", port, dir)
	// Started as root it would give up its rights, and with them these files.
	if os.Getuid() == 0 {
		text += "user root\n"
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(path, "-c", conf)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return address, func() {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Error(err)
		}
	}
}

// connect speaks as much MQTT as shows whether a broker lets a client in.
func connect(address string, c *tls.Config) error {
	conn, err := (&net.Dialer{Timeout: hang}).Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(hang))
	secure := tls.Client(conn, c)
	if _, err := secure.Write([]byte("\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05box-1")); err != nil {
		return err
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(secure, answer); err != nil {
		return err
	}
	if answer[0] != 0x20 || answer[3] != 0 {
		return fmt.Errorf("refused: % x", answer)
	}
	return nil
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: does not come", what)
		}
	}
}

// TestMosquitto: the broker that hospitals have takes what the authority
// issues, both ways, and no more after it was revoked.
func TestMosquitto(t *testing.T) {
	a, dir := newAuthority(t)
	out := filepath.Join(dir, "out")
	key, server, err := a.Server([]string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"localhost.key": key, "localhost.pem": []byte(server.PEM)} {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Certificate())
	client := func(a *ca.Authority, box string) *tls.Config {
		k := newKey(t)
		e, err := a.Sign(fleet.EnrolRequest{CSR: csr(t, k, box)}, "H1", box)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{pairOf(t, e.Certificate, k)}}
	}
	address, reload := mosquitto(t, dir)
	first, second := client(a, "box-1"), client(a, "box_2")
	until(t, "the broker", func() bool { return connect(address, first) == nil })
	if err := connect(address, second); err != nil {
		t.Error(err)
	}
	stranger, _ := newAuthority(t)
	if connect(address, client(stranger, "box-1")) == nil {
		t.Error("a box of another authority was let in")
	}
	if connect(address, &tls.Config{RootCAs: roots, ServerName: "localhost"}) == nil {
		t.Error("a box without a certificate was let in")
	}
	if _, err := a.Revoke("box-1", "stolen"); err != nil {
		t.Fatal(err)
	}
	reload()
	until(t, "the end of a revoked certificate", func() bool { return connect(address, first) != nil })
	if err := connect(address, second); err != nil {
		t.Error("a certificate that was not revoked:", err)
	}
}

func pairOf(t *testing.T, cert string, k *ecdsa.PrivateKey) tls.Certificate {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
