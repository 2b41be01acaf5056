package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/doctor"
	"payagent/agent/machine"
	"payagent/agent/seal"
	"payagent/agent/service"
	"payagent/agent/update"
	"payagent/agent/words"
	"payagent/platforms"
	"payagent/queue/bolt"
	"payagent/uplink"
	"payagent/uplink/https"
)

const doctorUsage = `payagent doctor — is this box well?   体检

  payagent doctor --config FILE [--json] [--only CHECK|GROUP]   every check, or one, or a group: config disk service clock net devices advice
  payagent doctor net --config FILE [--json]                    every hop of the network, and who to call   断在哪一跳、找谁
  payagent doctor sign --config FILE --platform P [--method M] [--biz FILE|-]   what is signed, to compare it with the platform   验签排查

  不改动任何东西，不发起收款；代理运行时也可执行。 It changes nothing and charges nothing, and works while the agent runs.
  退出码 exit code: 0 正常 well, 1 有警告 warnings, 2 有失败 failures.  各项检查 all checks: docs/doctor.md
`

// doctorCommand runs payagent doctor ….
func doctorCommand(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	only := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "sign":
			return signCommand(args[1:], in, out)
		case "net":
			only, args = doctor.GroupNet, args[1:]
		case "help":
			_, err := io.WriteString(out, doctorUsage)
			return err
		}
	}
	var file string
	var asJSON bool
	f := flag.NewFlagSet("doctor", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&file, "config", "", "configuration file")
	f.BoolVar(&asJSON, "json", false, "JSON")
	f.StringVar(&only, "only", only, "check or group")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err := io.WriteString(out, doctorUsage)
		return err
	case err != nil || f.NArg() > 0 || file == "":
		return fmt.Errorf("%w: name --config\n\n%s", errUsage, doctorUsage)
	}
	s, end := examine(file)
	defer end()
	r, ok := doctor.Run(ctx, s, only)
	if !ok {
		return fmt.Errorf("%w: there is no check or group %q; docs/doctor.md lists them", errUsage, only)
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(r)
	} else {
		err = r.Write(out)
	}
	if code := r.ExitCode(); err == nil && code != 0 {
		return exitCode(code)
	}
	return err
}

// examine puts together what the doctor looks at. end lets go of it.
func examine(file string) (_ *doctor.Subject, end func()) {
	c, err := loadConfig(file)
	s, end := examineConfig(file, c, err)
	if files, err := openFiles(file); err == nil {
		s.Aside = files.Aside()
	}
	return s, end
}

// examineConfig is examine of a configuration that was read already, or could
// not be.
func examineConfig(file string, c config.Config, err error) (_ *doctor.Subject, end func()) {
	s := &doctor.Subject{Version: buildVersion(), File: file, Unit: service.Name, System: doctor.ThisMachine(clock.Made()), Platforms: map[string]doctor.Way{}}
	if err == nil {
		err = checkMembers(c)
	}
	s.Config, s.ConfigErr = c, err
	if err != nil {
		return s, func() {}
	}
	s.Secrets = []string{keyDir(c), firstToken(c), c.HIS.Webhook.SecretFile, c.HIS.Webhook.ClientKey}
	for _, p := range c.Platforms {
		if o, err := lcSettings(p); p.Driver == "lc" && err == nil {
			s.Secrets = append(s.Secrets, o.PrivateKeyFile)
		}
	}
	s.Store = func() (doctor.Store, error) {
		i, err := bolt.Inspect(storeDir(c), storeVersion, checkBytes)
		return doctor.Store{Exists: i.Bytes >= 0, InUse: i.InUse, Fallback: i.Fallback, Aside: i.Aside}, err
	}
	s.Programs = func() (words.Text, error) { return lookForPrograms(c) }
	if update.Any(updatesDir(c.DataDir)) {
		s.Update = func() (words.Text, bool, error) { return updateState(c) }
	}
	running, err := newClient(c)
	if err == nil {
		_, err = running.once(context.Background(), http.MethodGet, "/v1/capabilities")
	}
	s.Running = err == nil
	s.Ready = func(ctx context.Context) (bool, []words.Text, error) { return askReady(ctx, running) }
	s.Devices = func(ctx context.Context) ([]doctor.Device, error) {
		if s.Running {
			return askDevices(ctx, running)
		}
		return lookForDevices(c)
	}
	s.Wear = func() (string, int, string) {
		w := machine.WearOf(c.DataDir)
		return w.Device, w.Percent, w.State
	}
	k := clockOf(c)
	s.Clock = k.Now
	relayed := &glance{c: c, clock: k}
	if s.Running {
		relayed.running = running
	}
	open := []io.Closer{relayed}
	for _, p := range c.Platforms {
		for i, way := range p.Ways() {
			if way.Uplink == config.MQTT {
				s.Platforms[way.Name] = relayed.way(p.Name, i > 0, way)
				continue
			}
			w, route := platformWay(c, p.Name, way, k)
			if s.Running && unseen(c, p.Name, way.ClientKey) {
				w.Ask = func(ctx context.Context) (time.Time, error) { return time.Time{}, relayed.askAgent(ctx, p.Name, i > 0) }
			}
			s.Platforms[way.Name] = w
			if route != nil {
				open = append(open, route)
			}
		}
	}
	if h := c.HIS.Webhook; h.On() {
		route, err := https.New(https.Config{BaseURL: baseOf(h.URL), AllowPlainHTTP: h.AllowPlainHTTP || h.Local(), CAFile: h.CAFile, PinsSPKI: h.Pins,
			ClientPair: seal.Pairs(h.ClientCert, h.ClientKey), ServerName: h.ServerName, Now: k.Now, Doubt: k.Doubt})
		s.HIS = &doctor.Way{Open: err}
		if err == nil {
			s.HIS.Look = route.Look
			open = append(open, route)
		}
	}
	return s, func() {
		for _, o := range open {
			_ = o.Close() // nothing is under way
		}
	}
}

// unseen tells whether only the service can see a platform's token, or the key
// of the certificate that is shown to it.
func unseen(c config.Config, platform, key string) bool {
	_, _, err := seal.SecretFile(key)
	found := errors.Is(err, seal.ErrNotService)
	for _, m := range merchantsOf(c, platform) {
		_, _, err := seal.SecretFile(m.TokenFile)
		found = found || errors.Is(err, seal.ErrNotService)
	}
	return found
}

// platformWay is one way to the platform of a name.
func platformWay(c config.Config, name string, p config.Platform, k *clock.Keeper) (doctor.Way, uplink.Route) {
	route, err := openWay(p, k, unconnected(c))
	if err != nil {
		return doctor.Way{Open: err}, nil
	}
	direct, ok := route.(*https.Route)
	if !ok {
		return doctor.Way{}, route
	}
	var ahead skew
	p.Name = name
	opened, err := openPlatform(c, p, dated{Route: route, skew: &ahead})
	if err != nil {
		return doctor.Way{Open: err}, route
	}
	w := doctor.Way{Look: direct.Look}
	if prober, ok := opened.(platforms.Prober); ok {
		w.Ask = func(ctx context.Context) (time.Time, error) {
			if err := prober.Probe(ctx); err != nil {
				return time.Time{}, err
			}
			if by, ok := ahead.get(); ok {
				return time.Now().Add(by), nil
			}
			return time.Time{}, nil
		}
	}
	return w, route
}

// askReady asks the running agent whether it can take a payment, and if so who
// has to wait all the same (door.limits).
func askReady(ctx context.Context, cl *client) (bool, []words.Text, error) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, cl.base+"/readyz", nil)
	if err != nil {
		return false, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(cl.token.Reveal()))
	resp, err := cl.rt.RoundTrip(r)
	if err != nil {
		return false, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var v struct {
		Ready   bool `json:"ready"`
		Reasons []struct {
			Name string     `json:"name"`
			Say  words.Text `json:"say"`
		} `json:"reasons"`
		Warnings []struct {
			Code string     `json:"code"`
			Say  words.Text `json:"say"`
		} `json:"warnings"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&v); err != nil {
		return false, nil, err
	}
	var why []words.Text
	for _, x := range v.Reasons {
		if x.Name != "" {
			x.Say.ZH, x.Say.EN = x.Name+"："+x.Say.ZH, x.Name+": "+x.Say.EN
		}
		why = append(why, x.Say)
	}
	for _, x := range v.Warnings {
		if v.Ready && (x.Code == "locked_out" || x.Code == "rate_limited") {
			why = append(why, x.Say)
		}
	}
	return v.Ready, why, nil
}

// askDevices asks the running agent, which holds the devices.
func askDevices(ctx context.Context, cl *client) ([]doctor.Device, error) {
	data, err := cl.once(ctx, http.MethodGet, "/v1/devices")
	if err != nil {
		return nil, err
	}
	var v struct {
		Devices []struct {
			Name, Kind string
			Present    bool
			Reason     *struct{ Code string }
			Place      *struct{ Driver, Port, Node, Class string }
		}
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	var list []doctor.Device
	for _, x := range v.Devices {
		d := doctor.Device{Name: x.Name, Scanner: x.Kind == "scanner", Present: x.Present}
		if x.Reason != nil {
			d.Reason = x.Reason.Code
		}
		if x.Place != nil {
			d.Driver, d.Port, d.Node, d.Class = x.Place.Driver, x.Place.Port, x.Place.Node, x.Place.Class
		}
		list = append(list, d)
	}
	return list, nil
}

// lookForDevices looks for the configured devices without opening any.
func lookForDevices(c config.Config) ([]doctor.Device, error) {
	p, err := planDevices(c)
	if err != nil {
		return nil, err
	}
	found, err := present()
	scanners := map[string]bool{}
	for _, s := range p.scanners {
		scanners[s.conf.Name] = true
	}
	var list []doctor.Device
	for _, row := range inventory(p, found) {
		if row.Name == "" {
			continue
		}
		d := doctor.Device{Name: row.Name, Scanner: scanners[row.Name], Present: row.Present, Class: row.Class, Driver: row.Driver, Node: row.Node, Port: row.Port}
		if row.Hint != nil {
			d.Hint = words.Text{ZH: row.Hint.ZH, EN: row.Hint.EN}
		}
		list = append(list, d)
	}
	return list, err
}

// updateState puts the state of the last update into words.
func updateState(c config.Config) (words.Text, bool, error) {
	base, err := os.Executable()
	if err != nil {
		base = ""
	}
	st, err := update.Open(update.Options{Dir: updatesDir(c.DataDir), Self: self(), Base: base}).State()
	if err != nil {
		return words.Text{}, false, err
	}
	switch {
	case st.Trial != "":
		return words.Text{ZH: fmt.Sprintf("版本 %s 正在试运行（第 %d 次启动）", st.Trial, st.Starts), EN: fmt.Sprintf("version %s is on trial (start %d)", st.Trial, st.Starts)}, false, nil
	case st.Last != nil && !st.Last.Good:
		return words.Text{ZH: fmt.Sprintf("版本 %s 试运行失败，已退回：%s", st.Last.Version, st.Last.Reason), EN: fmt.Sprintf("version %s did not prove itself and was given up: %s", st.Last.Version, st.Last.Reason)}, false, nil
	}
	return words.Text{ZH: "使用版本 " + st.Current, EN: "version " + st.Current + " is in use"}, true, nil
}
