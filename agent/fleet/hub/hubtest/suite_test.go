package hubtest_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet/hub"
	"payagent/agent/fleet/hub/boltstore"
	"payagent/agent/fleet/hub/hubtest"
	"payagent/agent/fleet/hub/pgstore"
)

func bolt(t *testing.T, tune func(*wrong)) hubtest.Member {
	return hubtest.Member{New: func() (func() (hub.Store, error), error) {
		dir := t.TempDir()
		n := 0
		return func() (hub.Store, error) {
			file := filepath.Join(dir, "hub.db")
			n++
			w := &wrong{opened: n}
			if tune != nil {
				tune(w)
			}
			if w.forgetful && n > 1 {
				file = filepath.Join(dir, "other.db")
			}
			s, err := boltstore.Open(file)
			if err != nil || tune == nil {
				return s, err
			}
			w.Store = s
			return w, nil
		}, nil
	}}
}

func TestBolt(t *testing.T) { hubtest.Test(t, bolt(t, nil)) }

func TestPostgres(t *testing.T) {
	address := hubtest.Postgres(t)
	hubtest.Test(t, hubtest.Member{New: func() (func() (hub.Store, error), error) {
		at := address()
		return func() (hub.Store, error) { return pgstore.Open(context.Background(), at) }, nil
	}})
}

// TestBusy: a second process is told, not mixed in.
func TestBusy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hub.db")
	s, err := boltstore.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := boltstore.Open(file); !errors.Is(err, boltstore.ErrBusy) {
		t.Error(err)
	}
}

// wrong is a right store with one thing broken.
type wrong struct {
	hub.Store
	opened                                                                                                                   int
	forgetful, lastWins, losesSealed, mixes, utc, greedy, half, keeps, hasty, deaf, everybody, picky, tidy, clings, rewrites bool
}

func (w *wrong) Put(ctx context.Context, b hub.Batch) error {
	switch {
	case w.half:
		_ = w.Store.Put(ctx, hub.Batch{Orders: b.Orders, Streams: b.Streams})
	case w.keeps:
		b.ForgetPersons, b.ForgetAll = time.Time{}, time.Time{}
	case w.hasty:
		b.ForgetPersons, b.ForgetAll = later(b.ForgetPersons), later(b.ForgetAll)
	}
	if w.picky { // as jsonb is
		for _, e := range b.Events {
			if bytes.Contains(e.Data, []byte(`\u0000`)) || bytes.Contains(e.Data, []byte(`\ud800`)) {
				return errors.New("unsupported Unicode escape sequence")
			}
		}
	}
	if w.clings {
		b.Release = nil
	}
	if w.rewrites {
		b.Held = slices.Clone(b.Held)
		for i := range b.Held {
			b.Held[i].Raw = bytes.TrimSpace(b.Held[i].Raw)
		}
	}
	if w.tidy {
		b.Orders = slices.DeleteFunc(slices.Clone(b.Orders), func(o hub.Order) bool { return strings.Contains(o.Facts.TradeNo, "\x00") })
	}
	for i := range b.Orders {
		o := &b.Orders[i]
		if w.lastWins {
			o.Epoch, o.Changed = o.Epoch+o.Changed.String(), time.Now().Add(time.Hour)
		}
		if w.losesSealed {
			o.Sealed, o.SealedIn = "", ""
		}
		if w.mixes {
			o.Box = "B1"
		}
	}
	return w.Store.Put(ctx, b)
}

func later(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.AddDate(0, 0, 8)
}

func (w *wrong) Read(ctx context.Context, q hub.Query, yield func(hub.Item) error) error {
	if w.utc && !q.From.IsZero() {
		q.From, q.To = q.From.Add(-8*time.Hour), q.To.Add(-8*time.Hour)
	}
	if w.greedy && !q.From.IsZero() {
		q.To = q.To.AddDate(0, 0, 1)
	}
	if w.everybody {
		q.Site = ""
	}
	return w.Store.Read(ctx, q, func(i hub.Item) error {
		err := yield(i)
		if w.deaf {
			return nil
		}
		return err
	})
}

// TestSuiteCanFail: each broken store is caught by the case about it.
func TestSuiteCanFail(t *testing.T) {
	for name, c := range map[string]struct {
		tune   func(*wrong)
		caught string
	}{
		"forgets":                 {func(w *wrong) { w.forgetful = true }, "durable"},
		"gives other sites":       {func(w *wrong) { w.everybody = true }, "durable"},
		"the last wins":           {func(w *wrong) { w.lastWins = true }, "newest-wins"},
		"loses what is sealed":    {func(w *wrong) { w.losesSealed = true }, "newest-wins"},
		"mixes boxes":             {func(w *wrong) { w.mixes = true }, "boxes-apart"},
		"has days of another":     {func(w *wrong) { w.utc = true }, "days"},
		"gives a day too many":    {func(w *wrong) { w.greedy = true }, "days"},
		"writes half a batch":     {func(w *wrong) { w.half = true }, "all-or-nothing"},
		"keeps patients":          {func(w *wrong) { w.keeps = true }, "forget-persons"},
		"forgets patients early":  {func(w *wrong) { w.hasty = true }, "forget-persons"},
		"keeps everything":        {func(w *wrong) { w.keeps = true }, "forget-all"},
		"drops what is young":     {func(w *wrong) { w.hasty = true }, "forget-all"},
		"releases nothing":        {func(w *wrong) { w.clings = true }, "held"},
		"rewrites what is held":   {func(w *wrong) { w.rewrites = true }, "held"},
		"keeps what is sealed":    {func(w *wrong) { w.keeps = true }, "held"},
		"refuses an odd text":     {func(w *wrong) { w.picky = true }, "any-text"},
		"drops an odd order":      {func(w *wrong) { w.tidy = true }, "any-text"},
		"goes on after the error": {func(w *wrong) { w.deaf = true }, "stop"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, x := range hubtest.Cases() {
				if x.Name == c.caught && hubtest.Run(bolt(t, c.tune), x) == nil {
					t.Errorf("%s did not notice", x.Name)
				}
			}
		})
	}
}
