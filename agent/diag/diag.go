// Package diag makes what IT hands to whoever helps: one zip with the version,
// the configuration, health, figures, devices, the last orders as sentences and
// where the program's goroutines stand. Nothing of a patient and no secret is
// in it, because none is in any of its sources; a test plants some and looks.
package diag

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/timeline"
)

// Sources are what a bundle is made from. What is nil is left out.
type Sources struct {
	Agent   *agent.Agent
	Version string
	Config  config.Config
	// Metrics writes further figures beside the agent's.
	Metrics []func(io.Writer) error
	Log     Log
	// More gives further files by name, as JSON.
	More map[string]func(ctx context.Context) (any, error)
}

// The bounds of a bundle.
const (
	lastOrders = 200
	lookBack   = 20_000 // records looked at for them
	logLines   = 5_000
)

// Bundle makes the zip; limit bounds it in bytes, and the log gives way first.
func (s Sources) Bundle(ctx context.Context, limit int) ([]byte, error) {
	for lines := logLines; ; lines /= 4 {
		data, err := s.bundle(ctx, lines)
		if err != nil || len(data) <= limit {
			return data, err
		}
		if lines == 0 {
			return nil, fmt.Errorf("cannot make the bundle: it has %d bytes, %d are sent", len(data), limit)
		}
	}
}

func (s Sources) bundle(ctx context.Context, lines int) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	add := func(name string, write func(w io.Writer) error) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Now().UTC()})
		if err == nil {
			err = write(w)
		}
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // one part that fails must not hide the others
			_, err = fmt.Fprintf(w, "\ncannot write this: %v\n", err)
		}
		return err
	}
	parts := []struct {
		name  string
		write func(w io.Writer) error
	}{
		{"version.txt", s.version}, {"config.json", func(w io.Writer) error { return asJSON(w, Redact(s.Config)) }},
		{"config-report.txt", func(w io.Writer) error { _, err := io.WriteString(w, s.report()); return err }},
		{"goroutines.txt", goroutines}, {"health.json", s.health}, {"devices.json", s.devices}, {"metrics.txt", s.metrics}, {"orders.txt", s.orders(ctx)},
		{"log.jsonl.gz", func(w io.Writer) error {
			if lines == 0 || s.Log.Path == "" {
				return nil
			}
			data, _, _, err := s.Log.Pack(ctx, LogQuery{Lines: lines}, 8<<20)
			if err == nil {
				_, err = w.Write(data)
			}
			return err
		}},
	}
	for _, p := range parts {
		if err := add(p.name, p.write); err != nil {
			return nil, fmt.Errorf("cannot write %s of the bundle: %w", p.name, err)
		}
	}
	for _, name := range keys(s.More) {
		err := add(name, func(w io.Writer) error {
			v, err := s.More[name](ctx)
			if err != nil {
				return err
			}
			return asJSON(w, v)
		})
		if err != nil {
			return nil, fmt.Errorf("cannot write %s of the bundle: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("cannot make the bundle: %w", err)
	}
	return out.Bytes(), nil
}

func keys(m map[string]func(context.Context) (any, error)) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func asJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (s Sources) version(w io.Writer) error {
	_, err := fmt.Fprintf(w, "payagent %s\n%s %s/%s\n%s\n", s.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format(time.RFC3339))
	if info, ok := debug.ReadBuildInfo(); ok && err == nil {
		for _, m := range info.Deps {
			if _, err = fmt.Fprintf(w, "%s %s\n", m.Path, m.Version); err != nil {
				break
			}
		}
	}
	return err
}

// report is the configuration's report for finance, without names and
// passwords.
func (s Sources) report() string {
	text := userInfo.ReplaceAllString(s.Config.Report(), "//[hidden]@")
	for _, t := range s.Config.Tills {
		if t.Operator.Name != "" {
			text = strings.ReplaceAll(text, t.Operator.Name, "[hidden]")
		}
	}
	return text
}

func (s Sources) health(w io.Writer) error {
	if s.Agent == nil {
		return nil
	}
	ready, why := s.Agent.Ready()
	return asJSON(w, map[string]any{"ready": ready, "reasons": why, "health": s.Agent.Health(), "alarms": s.Agent.Alarms(), "open": len(s.Agent.Open())})
}

func (s Sources) devices(w io.Writer) error {
	if s.Agent == nil {
		return nil
	}
	return asJSON(w, s.Agent.Devices())
}

func (s Sources) metrics(w io.Writer) error {
	if s.Agent == nil {
		return nil
	}
	if err := s.Agent.WriteMetrics(w, s.Version); err != nil {
		return err
	}
	for _, more := range s.Metrics {
		if err := more(w); err != nil {
			return err
		}
	}
	return nil
}

// orders writes the timelines of the orders that something happened to last.
func (s Sources) orders(ctx context.Context) func(io.Writer) error {
	return func(w io.Writer) error {
		if s.Agent == nil {
			return nil
		}
		last := s.Agent.LastEvent()
		from := last - min(last, lookBack)
		var numbers []string
		for from < last && ctx.Err() == nil {
			events, _, err := s.Agent.Events(from, 256)
			if err != nil {
				return err
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				from = e.Seq
				numbers = append(slices.DeleteFunc(numbers, func(no string) bool { return no == e.Order.No }), e.Order.No)
			}
			numbers = numbers[max(0, len(numbers)-lastOrders):]
		}
		for _, no := range slices.Backward(numbers) {
			facts, err := s.Agent.Facts(no)
			if err != nil {
				return err
			}
			lines := timeline.Text(timeline.Of(timeline.Bare(facts)))
			if _, err := fmt.Fprintf(w, "%s\n%s\n", no, lines); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
}

// argsOf are the values in a stack trace: words of memory that may be anything.
var argsOf = regexp.MustCompile(`\((?:0x|\{|_|\.\.\.)[^\n]*\)`)

// goroutines writes where every goroutine stands, without the values that its
// functions were called with.
func goroutines(w io.Writer) error {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	_, err := io.WriteString(w, argsOf.ReplaceAllString(string(buf), "(…)"))
	return err
}

// Redact is a configuration as it may be shown: secrets are in files and only
// their names are in it, and what may stand in an address (user and password)
// is taken out.
func Redact(c config.Config) any {
	data, err := json.Marshal(c)
	if err != nil {
		return map[string]string{"error": "the configuration cannot be written as JSON: " + err.Error()}
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil
	}
	return mask(v)
}

var userInfo = regexp.MustCompile(`//[^/@\s]*@`)

func mask(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if s, ok := x.(string); ok && s != "" && secretKey(k) {
				v[k] = "[hidden]"
				continue
			}
			if who, ok := x.(map[string]any); ok && k == "Operator" { // staff
				delete(who, "Name")
			}
			v[k] = mask(x)
		}
	case []any:
		for i := range v {
			v[i] = mask(v[i])
		}
	case string:
		return userInfo.ReplaceAllString(v, "//[hidden]@")
	}
	return v
}

// secretKey tells whether a key may hold a secret itself rather than the name
// of a file.
func secretKey(key string) bool {
	k := strings.ToLower(key)
	if strings.HasSuffix(k, "file") || strings.HasSuffix(k, "key_query") {
		return false
	}
	for _, s := range []string{"password", "secret", "token", "privatekey"} {
		if strings.Contains(k, s) {
			return true
		}
	}
	return false
}
