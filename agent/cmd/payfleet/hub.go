package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"payagent/agent/facade"
	"payagent/agent/finance"
	"payagent/agent/fleet/hub"
	"payagent/agent/listen"
	"payagent/agent/reconcile"
	"payagent/agent/seal"
	"payagent/platforms/fwc/fwcserve"
	"payagent/uplink/mqtt"
)

const hubUsage = `payfleet hub — the fleet's memory of payments: reconciliation for the whole hospital   全院对账中心

  payfleet hub            --file hub.yaml      run it                                                       运行
  payfleet hub check      --file hub.yaml      read the settings and say what they amount to                检查配置
  payfleet hub key        --key-file hub.key   make the key where there is none; print its public half, for fleet.hub_key of the boxes   密钥
  payfleet hub reconcile  --file hub.yaml --day 2026-11-22 [--site SITE] [--statement FILE] [--his FILE] [--format csv|gbk|json] [--out FILE]
                          compare a day of the whole hospital; exit code 3: something differs, 4: events are missing   全院日终对账
  payfleet hub quarantine --file hub.yaml [--raw]   events of boxes that are newer than this hub, kept aside; exit code 4: there are some   读不懂而暂存的事件

  See docs/hub.md.
`

// hubOptions are the flags.
type hubOptions struct {
	file, key, day, site, statement, his, format, out string
	raw                                               bool
}

// hubCommand runs payfleet hub ….
func hubCommand(ctx context.Context, args []string, c console) error {
	verb := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	var o hubOptions
	f := flag.NewFlagSet("hub", flag.ContinueOnError)
	f.StringVar(&o.file, "file", "", "settings `file` of the hub")
	f.StringVar(&o.key, "key-file", "", "private key `file`")
	f.StringVar(&o.day, "day", "", "`day` (UTC+8), as 2026-11-22")
	f.StringVar(&o.site, "site", "", "`hospital`, where the settings name several")
	f.StringVar(&o.statement, "statement", "", "the platform's statement, a CSV `file`")
	f.StringVar(&o.his, "his", "", "HIS's own list, a CSV `file`")
	f.StringVar(&o.out, "out", "", "`file` for the result")
	f.StringVar(&o.format, "format", "csv", "csv, gbk or json")
	f.BoolVar(&o.raw, "raw", false, "with the events themselves")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	do, ok := map[string]func(context.Context, hubOptions, *hubConfig, console) error{"run": hubRun, "check": hubCheck, "reconcile": hubReconcile, "quarantine": hubQuarantine}[verb]
	switch {
	case verb == "key" && o.key != "" && len(words) == 0:
		return hubKeys().show(o.key, c.out)
	case !ok || o.file == "" || len(words) > 0:
		return fmt.Errorf("%w\n\n%s", errUsage, hubUsage)
	}
	cfg, err := loadHub(o.file)
	if err != nil {
		return err
	}
	return do(ctx, o, cfg, c)
}

func hubCheck(_ context.Context, _ hubOptions, o *hubConfig, c console) error {
	s, err := o.settings()
	if err != nil {
		return err
	}
	sites := "every site that the broker lets it read"
	if len(o.Sites) > 0 {
		sites = strings.Join(o.Sites, ", ")
	}
	where := "the file " + o.StoreFile
	if o.Postgres != "" {
		where = "PostgreSQL"
	}
	text := fmt.Sprintf("broker %s, topics %s/…/e\nsites: %s\nkeeps orders %d days and what is sealed of patients %d days in %s\npublic key, for fleet.hub_key: %s\n",
		o.Conn.Broker, o.Conn.Root, sites, o.KeepDays, o.PersonDays, where, s.Key.Public().Text())
	if o.Books.At.listener().On() {
		text += fmt.Sprintf("answers IF_Get_Hospital_Trade_List and HIS_IF_Query for %s at %v\n", o.site(), o.Books.At.Listen)
		if o.Books.IncludeUnbooked {
			text += "  WARNING: lists what HIS did not book; the platform is then compared with itself\n"
		}
	}
	if o.TrustGoodbye {
		text += "  WARNING: a till that said good-bye counts as complete; if it works on without the broker, lists are short\n"
	}
	for _, a := range o.Accepted {
		text += fmt.Sprintf("  answered although events are missing: %s %s (%s)\n", a.Box, a.Day, a.Why)
	}
	_, err = io.WriteString(c.out, text)
	return err
}

// hubRun runs the hub until ctx ends.
func hubRun(ctx context.Context, _ hubOptions, o *hubConfig, c console) (err error) {
	var level slog.Level
	if o.Log != "" {
		if err := level.UnmarshalText([]byte(o.Log)); err != nil {
			return fmt.Errorf("cannot use log: %q; write debug, info, warn or error", o.Log)
		}
	}
	log := slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: level}))
	settings, err := o.settings()
	if err != nil {
		return err
	}
	settings.Logger = log
	store, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	busConfig, err := o.busConfig()
	if err != nil {
		return err
	}
	busConfig.Logger = log
	bus, err := mqtt.Open(busConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	h, err := hub.New(settings, store, bus)
	if err != nil {
		return err
	}
	log.Info("the hub runs", "public_key", settings.Key.Public().Text())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	jobs := []func(context.Context) error{h.Run}
	if o.Books.At.listener().On() {
		b := o.Books
		handler, err := fwcserve.New(h.Books(o.site()), fwcserve.Config{Namespace: b.Namespace, ActionPrefix: b.ActionPrefix, ParamName: b.ParamName,
			Token: facade.Secret(b.TokenFile, 1, log), RequireToken: b.RequireToken, RefundSign: b.RefundSign, EndExclusive: b.EndInclusive != nil && !*b.EndInclusive,
			PayTypes: b.PayTypeNames, Root: b.RootElement, MaxRange: b.MaxRange, IncludeUnbooked: b.IncludeUnbooked, Logger: log})
		if err != nil {
			return fmt.Errorf("books: %w", err)
		}
		jobs = append(jobs, func(ctx context.Context) error {
			return listen.Serve(ctx, listen.Options{Key: "books", At: b.At.listener(), Programs: true, Answer: 5 * time.Minute, Logger: log}, func([]string) http.Handler { return handler })
		})
	}
	if o.Health.listener().On() {
		mux := http.NewServeMux()
		mux.Handle("GET /", h.Handler())
		mux.HandleFunc("POST /reconcile", func(w http.ResponseWriter, r *http.Request) { reconcileOver(w, r, h, o) })
		jobs = append(jobs, func(ctx context.Context) error {
			return listen.Serve(ctx, listen.Options{Key: "health", At: o.Health.listener(), Answer: 5 * time.Minute, Logger: log}, func([]string) http.Handler { return mux })
		})
	}
	failed := make(chan error, len(jobs))
	for _, job := range jobs {
		go func() {
			failed <- job(ctx)
			stop()
		}()
	}
	for range jobs {
		err = errors.Join(err, <-failed)
	}
	return err
}

// compared is what a comparison came to.
type compared struct {
	totals  reconcile.Totals
	missing []hub.Missing
}

// reconcileHub compares and writes.
func reconcileHub(ctx context.Context, h *hub.Hub, o *hubConfig, q hubOptions, statement, his io.Reader, w io.Writer) (out compared, err error) {
	format, err := finance.ParseFormat(q.format)
	if err != nil {
		return out, err
	}
	day, err := time.ParseInLocation("2006-01-02", q.day, time.FixedZone("UTC+8", 8*60*60))
	if err != nil {
		return out, fmt.Errorf("%w: write --day as 2026-11-22", errUsage)
	}
	if q.site == "" {
		q.site = o.site()
	}
	if q.site == "" {
		return out, fmt.Errorf("%w: name the hospital with --site", errUsage)
	}
	options := hub.DayOptions{Site: q.site, Options: reconcile.Options{Day: day}}
	for _, f := range []struct {
		from io.Reader
		to   **reconcile.File
	}{{statement, &options.Statement}, {his, &options.HIS}} {
		if f.from == nil {
			continue
		}
		if *f.to, err = reconcile.Parse(f.from); err != nil {
			return out, err
		}
	}
	options.NoHIS = o.NoHIS && options.HIS == nil
	d := finance.NewDayWriter(w, format, day)
	if out.totals, out.missing, err = h.Reconcile(ctx, options, d.Row); err != nil {
		return out, err
	}
	return out, d.End(out.totals)
}

// reconcileOver answers a comparison that another process asks for, because the
// file of the store is open here. What it came to stands in headers.
func reconcileOver(w http.ResponseWriter, r *http.Request, h *hub.Hub, o *hubConfig) {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		http.Error(w, "this is for payfleet hub reconcile only", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 160<<20) // two statements
	if err := r.ParseMultipartForm(16 << 20); err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }() // temporary files
	q := hubOptions{day: r.FormValue("day"), site: r.FormValue("site"), format: r.FormValue("format")}
	part := func(name string) io.Reader {
		f, _, err := r.FormFile(name)
		if err != nil {
			return nil
		}
		return f
	}
	var body bytes.Buffer
	out, err := reconcileHub(r.Context(), h, o, q, part("statement"), part("his"), &body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("X-Payfleet-Exit", fmt.Sprint(int(out.code())))
	w.Header().Set("X-Payfleet-Missing", out.gaps())
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body.Bytes()) // who asked has gone
}

func (c compared) gaps() string {
	var all []string
	for _, m := range c.missing {
		all = append(all, m.String())
	}
	return strings.Join(all, "; ")
}

func (c compared) code() exitCode {
	switch {
	case len(c.missing) > 0:
		return 4
	case c.totals.Wrong():
		return 3
	}
	return 0
}

// hubReconcile compares a day, by itself or, where the hub runs on a file, by
// asking it.
func hubReconcile(ctx context.Context, q hubOptions, o *hubConfig, c console) (err error) {
	var statement, his io.Reader
	for _, f := range []struct {
		name string
		to   *io.Reader
	}{{q.statement, &statement}, {q.his, &his}} {
		if f.name == "" {
			continue
		}
		file, err := os.Open(f.name)
		if err != nil {
			return fmt.Errorf("cannot read the statement: %w", err)
		}
		defer file.Close()
		*f.to = file
	}
	var body bytes.Buffer
	var code exitCode
	var gaps string
	store, err := o.openStore(ctx)
	switch {
	case hubBusy(err):
		if code, gaps, err = askHub(ctx, q, o, statement, his, &body); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, store.Close()) }()
		settings, err := o.settings()
		if err != nil {
			return err
		}
		h, err := hub.New(settings, store, nil)
		if err != nil {
			return err
		}
		if err := h.Load(ctx); err != nil {
			return err
		}
		out, err := reconcileHub(ctx, h, o, q, statement, his, &body)
		if err != nil {
			return err
		}
		code, gaps = out.code(), out.gaps()
	}
	if q.out != "" {
		err = seal.WriteFile(q.out, body.Bytes())
	} else {
		_, err = c.out.Write(body.Bytes())
	}
	if err != nil {
		return err
	}
	if gaps != "" {
		_, _ = fmt.Fprintf(c.err, "对账中心缺少部分事件，差异可能只是尚未收到。\nThe hub lacks events of that day; differences may be what has not arrived: %s\n", gaps)
	}
	if code != 0 {
		return code
	}
	return nil
}

// askHub asks the hub that runs.
func askHub(ctx context.Context, q hubOptions, o *hubConfig, statement, his io.Reader, to io.Writer) (exitCode, string, error) {
	if !o.Health.listener().On() {
		return 0, "", errors.New("cannot open the hub's file while the hub runs, nor ask it: it has no health.listen")
	}
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	for name, v := range map[string]string{"day": q.day, "site": q.site, "format": q.format} {
		if err := m.WriteField(name, v); err != nil {
			return 0, "", err
		}
	}
	for name, from := range map[string]io.Reader{"statement": statement, "his": his} {
		if from == nil {
			continue
		}
		part, err := m.CreateFormFile(name, name+".csv")
		if err != nil {
			return 0, "", err
		}
		if _, err := io.Copy(part, from); err != nil {
			return 0, "", err
		}
	}
	if err := m.Close(); err != nil {
		return 0, "", err
	}
	at := url.URL{Scheme: "http", Host: o.Health.Listen[0], Path: "/reconcile"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), &form)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", m.FormDataContentType())
	resp, err := (&http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Minute}).Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("cannot ask the running hub: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000)) // what there is of it
		return 0, "", fmt.Errorf("cannot compare the day: %s", strings.TrimSpace(string(text)))
	}
	if _, err := io.Copy(to, resp.Body); err != nil {
		return 0, "", fmt.Errorf("cannot read the hub's answer: %w", err)
	}
	var code int
	if _, err := fmt.Sscan(resp.Header.Get("X-Payfleet-Exit"), &code); err != nil {
		return 0, "", errors.New("cannot understand the hub's answer: is it another program?")
	}
	return exitCode(code), resp.Header.Get("X-Payfleet-Missing"), nil
}
