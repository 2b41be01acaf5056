package enrol

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Named is a certificate of the configuration.
type Named struct {
	Name string // e.g. fleet, door, platform.zhifu
	File string
}

// Watch says when certificates are about to end.
type Watch struct {
	Certs  []Named
	Now    func() time.Time
	Alarm  func(code string)
	Logger *slog.Logger

	mu   sync.Mutex
	told map[string]string // name → code that was raised last
	left map[string]float64
}

// Left tells how many days a certificate in a PEM file has; negative: it has
// ended. valid is false where the clock says that it does not count yet.
func Left(file string, now time.Time) (days float64, valid bool, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false, fmt.Errorf("cannot read the certificate: %w", err)
	}
	c, err := parseCert(data)
	if err != nil {
		return 0, false, fmt.Errorf("cannot read the certificate in %s: %w", file, err)
	}
	return c.NotAfter.Sub(now).Hours() / 24, !now.Before(c.NotBefore), nil
}

// Level is the alarm for a number of days; empty for none.
func Level(days float64) string {
	switch {
	case days <= 0:
		return "certificate_expired"
	case days <= 1:
		return "certificate_1_day"
	case days <= 7:
		return "certificate_7_days"
	case days <= 30:
		return "certificate_30_days"
	}
	return ""
}

// Look looks at every certificate once and raises the alarms that are new.
func (w *Watch) Look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told == nil {
		w.told, w.left = map[string]string{}, map[string]float64{}
	}
	for _, c := range w.Certs {
		days, valid, err := Left(c.File, w.Now())
		if err != nil {
			w.Logger.Error("a certificate cannot be read", "certificate", c.Name, "error", err)
			delete(w.left, c.Name)
			continue
		}
		w.left[c.Name] = days
		code := Level(days)
		if !valid {
			continue // the clock is wrong, and that is said elsewhere
		}
		if code != w.told[c.Name] {
			w.told[c.Name] = code
			if code != "" {
				w.Logger.Warn("a certificate is about to end, or has", "certificate", c.Name, "file", c.File, "days", int(days))
				w.Alarm(code)
			}
		}
	}
}

// Run looks every hour until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for {
		w.Look()
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}

// help gives the kind of each figure and what it means.
func help() map[string][2]string {
	return map[string][2]string{
		"payagent_certificate_days_left": {"gauge", "Days until a certificate ends, by certificate; negative: it has ended."}, // certificate
	}
}

// WriteMetrics writes the days left, by certificate.
func (w *Watch) WriteMetrics(out io.Writer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	const name = "payagent_certificate_days_left"
	text := help()[name]
	head := fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n", name, text[1], name, text[0])
	for _, c := range w.Certs {
		days, ok := w.left[c.Name]
		if !ok {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s%s{certificate=%q} %.2f\n", head, name, c.Name, days); err != nil {
			return err
		}
		head = ""
	}
	return nil
}
