package listen

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"testing"
	"time"

	"payagent/agent/config"
)

// TestRenewed: a renewed certificate counts without a restart; one that is not
// whole yet leaves the old one in place; so do changed authorities of clients.
func TestRenewed(t *testing.T) {
	first, _ := certificate(t)
	second, _ := certificate(t)
	third, _ := certificate(t)
	clientsA, _ := certificate(t)
	clientsB, _ := certificate(t)
	dir := t.TempDir()
	at := config.Listener{Listen: []string{"127.0.0.1:0"}, TLS: config.TLS{Cert: dir + "/cert", Key: dir + "/key"}, ClientCA: dir + "/ca"}
	tick := time.Now()
	put := func(from, to string) {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		// Each change has a time of its own, as it has in life.
		tick = tick.Add(time.Second)
		if err == nil {
			err = os.Chtimes(to, tick, tick)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(first.Cert, at.TLS.Cert)
	put(first.Key, at.TLS.Key)
	put(clientsA.Cert, at.ClientCA)
	addr := serve(t, Options{Key: "door", At: at}, http.HandlerFunc(echo))
	// shown is the certificate that the server shows to a client, and whether it
	// lets that client in.
	shown := func(as config.TLS) (string, bool) {
		pair, err := tls.LoadX509KeyPair(as.Cert, as.Key)
		if err != nil {
			t.Fatal(err)
		}
		name := ""
		c := client(t, &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true,
			VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
				name = string(raw[0])
				return nil
			}})
		r, err := c.Get("https://" + addr)
		if err == nil {
			_ = r.Body.Close()
		}
		return name, err == nil
	}
	leaf := func(p config.TLS) string {
		pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pair.Certificate[0])
	}
	expect := func(what string, cert config.TLS, as config.TLS, in bool) {
		t.Helper()
		if got, ok := shown(as); got != leaf(cert) || ok != in {
			t.Errorf("%s: the right certificate %v, let in %v", what, got == leaf(cert), ok)
		}
	}
	expect("at first", first, clientsA, true)
	put(second.Cert, at.TLS.Cert)
	expect("half of a renewal", first, clientsA, true)
	put(second.Key, at.TLS.Key)
	expect("renewed", second, clientsA, true)
	if err := os.Remove(at.TLS.Key); err != nil {
		t.Fatal(err)
	}
	expect("the key is gone", second, clientsA, true)
	put(third.Key, at.TLS.Key)
	put(third.Cert, at.TLS.Cert)
	expect("renewed again", third, clientsA, true)
	expect("a stranger", third, clientsB, false)
	put(clientsB.Cert, at.ClientCA)
	expect("other clients", third, clientsB, true)
	expect("the old ones", third, clientsA, false)
}
