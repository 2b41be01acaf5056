package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

var errUsage = errors.New("wrong command line")

const usage = `paysim — the pretend world: no real money   测试用模拟环境

  paysim serve  [-listen 127.0.0.1:8790] [-platforms 127.0.0.1:8791] [-data DIR] [-agent http://127.0.0.1:8780]
                [-agent-token-file F] [-pty [NAME=]PATH]... [-tills a,b] [-time-scale 1] [-tombstones] [-find-by-number=true]
                [-his book|late|silent|fail|twice|none] [-notify-by-body] [-notify-all]
  paysim ledger [-world http://127.0.0.1:8790 | -data DIR] [-json]     the truth: what every payer is out of pocket
                [-compare]                                             platforms, agent and HIS's books side by side
  paysim scan   [-world URL] [-box NAME] [-suffix cr] [-style whole] TEXT|-   write a code to the scan box
  paysim net    [-world URL] [up|refuse|reset|blackhole]               show or set the platforms' network
  paysim his    create|show|wait|bill|check|cancel|detach|confirm|refund [-agent URL] [-agent-token-file F] …
  paysim demo   [-data DIR] [-door 127.0.0.1:8780] …     all of this with an agent of its own: one counter, one kiosk
  paysim fleet  [-n 20] [-broker 127.0.0.1:1883] [-listen 127.0.0.1:8785] [-data DIR]   pretend tills of a fleet, a broker and the console
  paysim load   -n N -c C [-agent URL] [-agent-token-file F] [-tills a,b] [-seed S] …
  paysim conform -program CMD | -person | -reference [-cases a,b] [-time-scale 1] [-wait 3m] [-data DIR] [-agent-binary F] [-door 127.0.0.1:0]
                [-vendor V] [-product P] [-report F] [-key F]           thirty cases for a HIS, with a signed report
  paysim conform list|verify|play [-public-key K] [-data DIR] [FILE]    the cases; check a report; the reference HIS

  paysim COMMAND -h tells more.
`

// helpAsked is what parse gives where somebody asks for help: not an error.
type helpAsked struct{ text string }

func (helpAsked) Error() string { return "help" }

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

func first(args []string) (string, []string) {
	if len(args) == 0 {
		return "", nil
	}
	return args[0], args[1:]
}

func usageError(name string) error {
	if name == "" {
		return fmt.Errorf("%w: name a command\n\n%s", errUsage, usage)
	}
	return fmt.Errorf("%w: there is no command %q\n\n%s", errUsage, name, usage)
}

// parse reads flags; asking for help gives the flags of the command.
func parse(f *flag.FlagSet, args []string) error {
	var text bytes.Buffer
	f.SetOutput(&text)
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return helpAsked{strings.TrimSpace(text.String())}
	} else if err != nil {
		return fmt.Errorf("%w: %s", errUsage, strings.TrimSpace(text.String()))
	}
	return nil
}

// onLoopback refuses addresses of anything but this machine (SIM-09): host is
// an IP literal with port, or localhost with port.
func onLoopback(hostport string) error {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return fmt.Errorf("cannot use the address %q: write host:port, such as 127.0.0.1:8790", hostport)
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("cannot use the address %q: the pretend world stays on loopback; write 127.0.0.1 and a port", hostport)
}

// localURL checks the address of something on this machine.
func localURL(flagName, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("cannot use -%s: write an address such as http://127.0.0.1:8780", flagName)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	if err := onLoopback(host); err != nil {
		return fmt.Errorf("cannot use -%s: %w", flagName, err)
	}
	return nil
}

func list(text string) []string {
	var all []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// chinaTime is the platforms' time zone.
func chinaTime() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// callWorld asks a running paysim serve.
func callWorld(ctx context.Context, base, method, path string, body, into any) error {
	if err := localURL("world", base); err != nil {
		return err
	}
	text := []byte(nil)
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("cannot write the request: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("cannot make the request: %w", err)
	}
	direct := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: direct}).Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach the pretend world; is paysim serve running? %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var p struct{ Error string }
		_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p) // the status stands for itself
		return fmt.Errorf("the pretend world says %s: %s", resp.Status, p.Error)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("cannot read the pretend world's answer: %w", err)
	}
	return nil
}

const defaultWorld = "http://127.0.0.1:8790"
