package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms/bank/wire"
	"payagent/platforms/lc/lctest"
)

// gatewayBits is the size of the pretend gateway's keys.
const gatewayBits = 2048

// gateway is what the pretend open gateway needs besides the books: keys of
// both sides, and somebody who delivers notices.
type gateway struct {
	merchant, own *rsa.PrivateKey
	// MerchantFile and PlatformFile are what the agent's configuration names.
	merchantFile, platformFile string

	at       string // address of the gateway, for the pages it leads payers to
	byBody   bool   // notices in the body; otherwise in the address
	all      bool   // notices also of TRADE_FINISHED and WAIT_BUYER_PAY
	outbox   chan lctest.Notice
	complain io.Writer
}

// openGateway reads the keys in a folder, or makes them.
func openGateway(dir, at string, complain io.Writer) (*gateway, error) {
	g := &gateway{at: at, outbox: make(chan lctest.Notice, 1024), complain: complain,
		merchantFile: filepath.Join(dir, "lc-merchant.key"), platformFile: filepath.Join(dir, "lc-platform.pub")}
	var err error
	if g.merchant, err = keyFile(g.merchantFile); err != nil {
		return nil, err
	}
	if g.own, err = keyFile(filepath.Join(dir, "lc-platform.key")); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&g.own.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("cannot write the gateway's public key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(g.platformFile, text, 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the gateway's public key; check -data: %w", err)
	}
	return g, nil
}

func keyFile(file string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := rsa.GenerateKey(rand.Reader, gatewayBits)
		if err != nil {
			return nil, fmt.Errorf("cannot make a key: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err == nil {
			err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot write a key; check -data: %w", err)
		}
		return key, nil
	}
	block, _ := pem.Decode(text)
	if err != nil || block == nil {
		return nil, fmt.Errorf("cannot read the key in %s; remove it, then a new one is made: %w", file, err)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("cannot use the key in %s; remove it, then a new one is made: %w", file, err)
	}
	return key, nil
}

// handler serves the gateway over the world's books.
func (g *gateway) handler(w *world.World, ctl *wire.Control) http.Handler {
	gate := lctest.New(w.Bank(), lctest.Options{
		Control: ctl, Merchant: &g.merchant.PublicKey, Key: g.own, SHA256: false, Epoch: w.Epoch(), QR: world.QRText,
		Goto:         func(no string) string { return g.at + "/goto/" + url.PathEscape(no) },
		NotifyByBody: g.byBody, NotifyFinished: g.all, NotifyWaiting: g.all,
		Deliver: func(n lctest.Notice) {
			select {
			case g.outbox <- n:
			default: // as lost as any message; the agent asks
			}
		},
	})
	w.Watch(gate.Entry)
	return gate.Handler()
}

// noticeTries is how often a notice is sent: after 0, 0.5, 1, 2 … seconds.
const noticeTries = 8

// deliver sends notices until the context ends, each again until its receiver
// says that it has it. Only this machine is a receiver.
func (g *gateway) deliver(ctx context.Context, w *world.World) {
	direct := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: direct, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var group sync.WaitGroup
	defer group.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-g.outbox:
			if w.Sync() != nil {
				return
			}
			if err := localURL("notify_url", n.URL); err != nil {
				fmt.Fprintf(g.complain, "paysim: a notice was not sent: %v\n", err)
				continue
			}
			group.Go(func() { g.send(ctx, client, n) })
		}
	}
}

func (g *gateway) send(ctx context.Context, client *http.Client, n lctest.Notice) {
	pause := time.Duration(0)
	for range noticeTries {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if taken, err := lctest.Send(ctx, client, n); taken && err == nil {
			return
		}
		pause = max(time.Second/2, 2*pause)
	}
	fmt.Fprintf(g.complain, "paysim: nobody took the notice %s of %s\n", n.Status, n.OrderNo)
}
