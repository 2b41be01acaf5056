package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/outage"
	"payagent/agent/cmd/paysim/internal/pages"
	"payagent/agent/cmd/paysim/internal/scanbox"
	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/lc/lctest"
)

// serveOptions are the flags of serve, and what tests put in their place.
type serveOptions struct {
	listen, platforms string
	data              string
	agent, tokenFile  string
	ptys              []string // [NAME=]PATH
	tills             []string
	scale             float64
	tombstones        bool
	findByNumber      bool
	his               string // manner in which the pretend HIS books, or none
	notifyByBody      bool
	notifyAll         bool
	now               func() time.Time
	ready             func(Addresses)
}

// Addresses tell where a pretend world is. They are printed, and written to
// paysim.json in the data folder.
type Addresses struct {
	Pages     string            `json:"pages"`
	Platforms map[string]string `json:"platforms"` // name → the usual endpoint
	Boxes     map[string]string `json:"boxes"`     // name → path of the link
	TokenFile string            `json:"fwc_token_file"`
	// What a platform with driver lc is configured with.
	LCAppID       string `json:"lc_app_id"`
	LCKeyFile     string `json:"lc_private_key_file"`
	LCPlatformKey string `json:"lc_platform_key_file"`
	LCAuthURL     string `json:"lc_auth_url"`
	Ledger        string `json:"ledger"`
}

func serveCommand(ctx context.Context, args []string, c console) error {
	o := serveOptions{now: time.Now}
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.StringVar(&o.listen, "listen", "127.0.0.1:8790", "`address` of the pages")
	f.StringVar(&o.platforms, "platforms", "127.0.0.1:8791", "`address` of the platforms")
	f.StringVar(&o.data, "data", "", "`folder` of the truth; a new one below the system's temporary folder by default")
	f.StringVar(&o.agent, "agent", "http://127.0.0.1:8780", "the agent's `address`")
	f.StringVar(&o.tokenFile, "agent-token-file", "", "`file` with the agent's token; read for every request")
	f.Func("pty", "`[NAME=]PATH` of a link for the agent's serial driver; once per scan box", func(v string) error {
		o.ptys = append(o.ptys, v)
		return nil
	})
	tills := f.String("tills", "counter1,counter2", "`names` of the agent's tills, for the pretend HIS")
	f.Float64Var(&o.scale, "time-scale", 1, "how many `times` as fast as real time payers are")
	f.BoolVar(&o.tombstones, "tombstones", false, "the cancel of an unknown number closes it for ever")
	f.BoolVar(&o.findByNumber, "find-by-number", true, "SmartPay finds orders by our number too")
	f.StringVar(&o.his, "his", string(his.Prompt), "how the pretend HIS books what is paid: book, late, silent, fail, twice, or none at all")
	f.BoolVar(&o.notifyByBody, "notify-by-body", false, "the open gateway sends notices in the body, not in the address")
	f.BoolVar(&o.notifyAll, "notify-all", false, "the open gateway also notifies TRADE_FINISHED and WAIT_BUYER_PAY")
	if err := parse(f, args); err != nil {
		return err
	}
	o.tills = list(*tills)
	o.ready = func(a Addresses) {
		fmt.Fprintf(c.out, "测试 TEST: the pretend world, no real money\npages      %s/  %s/phone  %s/his\n", a.Pages, a.Pages, a.Pages)
		for _, name := range platformNames() {
			fmt.Fprintf(c.out, "platform   %s\n", a.Platforms[name])
		}
		for name, path := range a.Boxes {
			fmt.Fprintf(c.out, "scan box   %s %s\n", name, path)
		}
		fmt.Fprintf(c.out, "truth      %s\n", a.Ledger)
	}
	return serve(ctx, o, c)
}

// serve runs the pretend world until the context ends or the ledger fails.
func serve(ctx context.Context, o serveOptions, c console) (err error) {
	for _, addr := range []string{o.listen, o.platforms} {
		if err := onLoopback(addr); err != nil {
			return err
		}
	}
	if err := localURL("agent", o.agent); err != nil {
		return err
	}
	if len(o.tills) == 0 {
		return errors.New("cannot go without a till: name the agent's with -tills")
	}
	if o.data == "" {
		if o.data, err = os.MkdirTemp("", "paysim-"); err != nil {
			return fmt.Errorf("cannot make a folder for the truth; name one with -data: %w", err)
		}
	}
	w, err := world.Open(world.Options{Dir: o.data, Now: o.now, Rand: rand.Reader, Scale: o.scale, Tombstones: o.tombstones})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if n := w.Cut(); n > 0 {
		fmt.Fprintf(c.err, "paysim: the ledger had a damaged tail of %d bytes; it lies in %s.cut now, all before it is kept\n", n, world.LedgerName)
	}
	gate, err := outage.Listen(o.platforms)
	if err != nil {
		return err
	}
	defer func() { _ = gate.Close() }()
	boxes, err := plug(o.ptys)
	defer func() {
		for _, b := range boxes {
			err = errors.Join(err, b.Close())
		}
	}()
	if err != nil {
		return err
	}
	books, err := his.OpenBooks(filepath.Join(o.data, booksName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, books.Close()) }()
	return run(ctx, o, c, w, gate, boxes, books)
}

// booksName is the file of HIS's own books in a world's folder.
const booksName = "his.jsonl"

// plug opens the scan boxes; those that were opened are given also on error.
func plug(ptys []string) ([]pages.Box, error) {
	var boxes []pages.Box
	for i, p := range ptys {
		name, path, named := strings.Cut(p, "=")
		if !named {
			name, path = fmt.Sprintf("box%d", i+1), p
		}
		b, err := scanbox.Open(path, nil)
		if err != nil {
			return boxes, err
		}
		boxes = append(boxes, pages.Box{Name: name, Box: b})
	}
	return boxes, nil
}

// noClerk is -his where nobody books, because the load does.
const noClerk = "none"

func run(ctx context.Context, o serveOptions, c console, w *world.World, gate *outage.Gate, boxes []pages.Box, books *his.Books) error {
	client, err := his.NewClient(o.agent, o.tokenFile, nil)
	if err != nil {
		return err
	}
	clerk := his.NewClerk(client, books, o.now, pause)
	if o.his != noClerk {
		if err := clerk.Behave(his.Conduct{Manner: his.Manner(o.his)}); err != nil {
			return fmt.Errorf("cannot use -his: %w", err)
		}
	}
	open, err := openGateway(o.data, "http://"+gate.Addr().String()+"/lc", c.err)
	if err != nil {
		return err
	}
	open.byBody, open.all = o.notifyByBody, o.notifyAll
	mux, wires := platformsMux(w, o.findByNumber, open)
	face, err := pages.New(pages.Parts{
		World: w, Gate: gate, Desk: his.NewDesk(client, o.now), Clerk: clerk, Boxes: boxes, Wires: wires, Tills: o.tills, Agent: o.agent,
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s; choose another -listen: %w", o.listen, err)
	}
	quiet := log.New(c.err, "paysim: ", 0)
	// A request's context ends with the server, so that long looks at the
	// agent and answers held back on purpose do not keep it alive.
	base, end := context.WithCancel(ctx)
	defer end()
	under := func(net.Listener) context.Context { return base }
	front := &http.Server{Handler: face, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet, BaseContext: under}
	back := &http.Server{Handler: gate.Wrap(w.Guard(mux)), ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet, BaseContext: under, ConnState: gate.ConnState}
	booked := make(chan struct{})
	go func() {
		defer close(booked)
		if o.his != noClerk {
			clerk.Run(base)
		}
	}()
	defer func() { end(); <-booked }()
	ended := make(chan error, 2)
	go func() { ended <- front.Serve(ln) }()
	go func() { ended <- back.Serve(gate) }()
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		open.deliver(base, w)
	}()
	addr, err := tell(o, ln, gate, boxes, open)
	if err == nil {
		o.ready(addr)
		select {
		case <-ctx.Done():
		case <-w.Failed():
			err = w.Sync()
		case err = <-ended:
			ended <- err
		}
	}
	end()
	_, _, _ = front.Close(), back.Close(), gate.Close()
	<-delivered
	for range 2 {
		if e := <-ended; err == nil && !errors.Is(e, http.ErrServerClosed) && !errors.Is(e, net.ErrClosed) {
			err = fmt.Errorf("cannot serve any more: %w", e)
		}
	}
	return err
}

// tell writes down where everything is, and the pretend platform's token.
func tell(o serveOptions, ln net.Listener, gate *outage.Gate, boxes []pages.Box, open *gateway) (Addresses, error) {
	at := "http://" + gate.Addr().String()
	a := Addresses{
		Pages: "http://" + ln.Addr().String(),
		Platforms: map[string]string{
			"smartpay": at + "/smartpay/WSGW/services/ServiceGateWay",
			"fwc":      at + "/fwc/linkingif.asmx",
			"lc":       at + "/lc/gateway",
		},
		LCAppID: lctest.AppID, LCKeyFile: open.merchantFile, LCPlatformKey: open.platformFile, LCAuthURL: at + "/lc/oauth2/medicareAuth",
		Boxes: map[string]string{}, TokenFile: filepath.Join(o.data, "fwc.token"), Ledger: filepath.Join(o.data, world.LedgerName),
	}
	for _, b := range boxes {
		a.Boxes[b.Name] = b.Link()
	}
	text, err := json.MarshalIndent(a, "", "  ")
	if err == nil {
		err = os.WriteFile(a.TokenFile, []byte(fwctest.Token+"\n"), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(o.data, "paysim.json"), append(text, '\n'), 0o600)
	}
	if err != nil {
		return a, fmt.Errorf("cannot write where the pretend world is; check -data: %w", err)
	}
	return a, nil
}
