// Package pgstore keeps a hub's memory in PostgreSQL, in tables that people can
// read with SQL: orders, bookings, refunds, events (schema.sql).
package pgstore

import (
	"bytes"
	"cmp"
	"context"
	_ "embed" // the tables
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"payagent/agent/fleet/hub"
)

// The steps of the schema, one after the other; a step that was released is
// never changed.
//
//go:embed schema.sql
var first string

//go:embed schema2.sql
var second string

//go:embed schema3.sql
var third string

// Store is a hub.Store in PostgreSQL.
type Store struct{ pool *pgxpool.Pool }

// lockKey is the advisory lock under which tables are made and batches written,
// so that two hubs on one database never mix.
const lockKey = 0x7061796875620001

// Open connects and brings the tables up to date. address is a connection
// string or URL of PostgreSQL; it is never shown.
func Open(ctx context.Context, address string) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("cannot read the address of the database; write postgres://user@host/name, the password in the same file")
	}
	cfg.MaxConns = 8
	cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot open the database: %w", err)
	}
	s := &Store{pool}
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("cannot prepare the tables of the hub: %w", err)
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lockKey)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS hub_schema (version int NOT NULL)"); err != nil {
			return err
		}
		version := 0
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM hub_schema").Scan(&version); err != nil {
			return err
		}
		steps := []string{first, second, third}
		if version > len(steps) {
			return fmt.Errorf("they are of a newer payfleet (version %d, this one knows %d); install that", version, len(steps))
		}
		for i, step := range steps[version:] {
			if _, err := tx.Exec(ctx, step); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "INSERT INTO hub_schema VALUES ($1)", version+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close implements hub.Store.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// Put implements hub.Store.
func (s *Store) Put(ctx context.Context, b hub.Batch) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lockKey)); err != nil {
			return err
		}
		orders, err := merged(ctx, tx, b.Orders)
		if err != nil {
			return err
		}
		q := &pgx.Batch{}
		for _, x := range b.Streams {
			q.Queue(`INSERT INTO streams VALUES ($1,$2,$3,$4,$5,$6,$7) ON CONFLICT (site, box, stream)
				DO UPDATE SET epoch = $4, seq = $5, last_at = $6, until_at = $7`, x.Site, x.Box, x.Name, x.Epoch, int64(x.Seq), x.Last, x.Until)
		}
		for _, x := range b.Holes {
			q.Queue(`INSERT INTO holes VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT (site, box, stream, epoch, from_seq, reason)
				DO UPDATE SET to_seq = $6, after_at = $7, before_at = $8`, x.Site, x.Box, x.Name, x.Epoch, int64(x.From), int64(x.To), x.After, x.Before, x.Reason)
		}
		for _, x := range b.Events {
			q.Queue(`INSERT INTO events VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT DO NOTHING`, x.Site, x.Box, x.Stream, x.Epoch, int64(x.Seq), plain(x.Type), plain(x.Subject), x.Time, x.Data)
		}
		for _, x := range b.Held {
			q.Queue(`INSERT INTO quarantine VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT (site, box, stream, epoch, seq) DO UPDATE SET why = $8, raw = $9`,
				x.Site, x.Box, x.Stream, x.Epoch, int64(x.Seq), x.At, x.Received, plain(x.Why), x.Raw)
		}
		for _, x := range b.Release {
			q.Queue("DELETE FROM quarantine WHERE site = $1 AND box = $2 AND stream = $3 AND epoch = $4 AND seq = $5", x.Site, x.Box, x.Stream, x.Epoch, int64(x.Seq))
		}
		for _, o := range orders {
			if err := queue(q, o); err != nil {
				return err
			}
		}
		if !b.ForgetPersons.IsZero() {
			q.Queue("UPDATE orders SET sealed = '', sealed_in = '' WHERE changed_at < $1 AND sealed <> ''", b.ForgetPersons)
			old, err := held(ctx, tx, "at < $1", b.ForgetPersons)
			if err != nil {
				return err
			}
			for _, x := range old {
				if raw := hub.WithoutSealed(x.Raw); !bytes.Equal(raw, x.Raw) {
					q.Queue("UPDATE quarantine SET raw = $6 WHERE site = $1 AND box = $2 AND stream = $3 AND epoch = $4 AND seq = $5", x.Site, x.Box, x.Stream, x.Epoch, int64(x.Seq), raw)
				}
			}
		}
		if !b.ForgetAll.IsZero() {
			q.Queue("DELETE FROM orders WHERE changed_at < $1", b.ForgetAll)
			q.Queue("DELETE FROM events WHERE at < $1", b.ForgetAll)
			q.Queue("DELETE FROM holes WHERE before_at < $1", b.ForgetAll)
			q.Queue("DELETE FROM quarantine WHERE at < $1", b.ForgetAll)
		}
		return tx.SendBatch(ctx, q).Close()
	})
	if err != nil {
		return fmt.Errorf("cannot write to the database: %w", err)
	}
	return nil
}

type at struct{ site, box, no string }

func place(o hub.Order) at { return at{o.Site, o.Box, o.Facts.OutTradeNo} }

// merged gives what to write of the orders that come: each once.
func merged(ctx context.Context, tx pgx.Tx, list []hub.Order) ([]hub.Order, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var sites, boxes, nos []string
	for _, o := range list {
		sites, boxes, nos = append(sites, o.Site), append(boxes, o.Box), append(nos, o.Facts.OutTradeNo)
	}
	known := map[at]hub.Order{}
	rows, err := tx.Query(ctx, selectOrders+` WHERE (site, box, out_trade_no) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))`, sites, boxes, nos)
	if err != nil {
		return nil, err
	}
	if err := scan(rows, func(o hub.Order) error {
		known[place(o)] = o
		return nil
	}); err != nil {
		return nil, err
	}
	var out []hub.Order
	index := map[at]int{}
	for _, o := range list {
		if old, ok := known[place(o)]; ok {
			o = hub.Merge(old, o)
		}
		known[place(o)] = o
		if i, ok := index[place(o)]; ok {
			out[i] = o
			continue
		}
		index[place(o)] = len(out)
		out = append(out, o)
	}
	return out, nil
}

// queue adds the statements that put one order in its place.
func queue(q *pgx.Batch, o hub.Order) error {
	f := o.Facts
	facts, err := json.Marshal(f)
	if err != nil {
		return err
	}
	q.Queue(`INSERT INTO orders VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25)
		ON CONFLICT (site, box, out_trade_no) DO UPDATE SET state=$4, booking=$5, till=$6, platform=$7, merchant=$8, channel=$9, order_type=$10, cost_type=$11,
		trade_no=$12, amount_fen=$13, refunded_fen=$14, created_at=$15, paid_at=$16, ended_at=$17, days=$18, changed_at=$19, epoch=$20, seq=$21, rev=$22,
		facts=$23, sealed=$24, sealed_in=$25`,
		o.Site, o.Box, f.OutTradeNo, plain(f.State), plain(f.Booking), plain(f.Till), plain(f.Platform), plain(f.Merchant), plain(f.Channel), plain(f.OrderType), plain(f.CostType),
		plain(f.TradeNo), f.AmountFen, f.RefundedFen,
		f.CreatedAt, f.PaidAt, f.EndedAt, o.Days(), o.Changed, o.Epoch, int64(o.Seq), o.Rev, facts, o.Sealed, o.SealedIn)
	for _, table := range []string{"bookings", "refunds"} {
		q.Queue("DELETE FROM "+table+" WHERE site=$1 AND box=$2 AND out_trade_no=$3", o.Site, o.Box, f.OutTradeNo)
	}
	for i, e := range f.Entries {
		q.Queue("INSERT INTO bookings VALUES ($1,$2,$3,$4,$5,$6,$7,$8)", o.Site, o.Box, f.OutTradeNo, i, plain(e.HisFlowID), plain(e.RefundNo), e.AmountFen, e.BookedAt)
	}
	for i, r := range f.Refunds {
		q.Queue("INSERT INTO refunds VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)", o.Site, o.Box, f.OutTradeNo, i, plain(r.RefundNo), r.AmountFen, plain(r.State), r.Auto, plain(r.Via), r.AskedAt, r.EndedAt)
	}
	return nil
}

// plain is a text as PostgreSQL takes it, which has no zero character. It is for
// people; the facts themselves are in the column of that name, as they came.
func plain(s string) string { return strings.ReplaceAll(s, "\x00", "\ufffd") }

const selectOrders = "SELECT site, box, epoch, seq, rev, changed_at, facts, sealed, sealed_in FROM orders"

func scan(rows pgx.Rows, yield func(hub.Order) error) error {
	defer rows.Close()
	for rows.Next() {
		var o hub.Order
		var facts []byte
		var seq int64
		if err := rows.Scan(&o.Site, &o.Box, &o.Epoch, &seq, &o.Rev, &o.Changed, &facts, &o.Sealed, &o.SealedIn); err != nil {
			return err
		}
		o.Seq, o.Changed = uint64(seq), o.Changed.UTC()
		if err := json.Unmarshal(facts, &o.Facts); err != nil {
			return err
		}
		if err := yield(o); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Read implements hub.Store.
func (s *Store) Read(ctx context.Context, q hub.Query, yield func(hub.Item) error) error {
	if q.Streams {
		return s.streams(ctx, q, yield)
	}
	if q.Held {
		list, err := held(ctx, s.pool, "$1 = '' OR site = $1", q.Site)
		if err != nil {
			return fmt.Errorf("cannot read from the database: %w", err)
		}
		for i := range list {
			if err := yield(hub.Item{Held: &list[i]}); err != nil {
				return err
			}
		}
		return nil
	}
	where, args := " WHERE ($1 = '' OR site = $1) AND out_trade_no = $2", []any{q.Site, q.No}
	if q.No == "" {
		where, args = " WHERE ($1 = '' OR site = $1) AND days && $2", []any{q.Site, hub.DaysBetween(q.From, q.To)}
	}
	rows, err := s.pool.Query(ctx, selectOrders+where, args...)
	if err != nil {
		return fmt.Errorf("cannot read from the database: %w", err)
	}
	var list []hub.Order
	if err := scan(rows, func(o hub.Order) error { list = append(list, o); return nil }); err != nil {
		return fmt.Errorf("cannot read from the database: %w", err)
	}
	// Not by the database, whose order depends on its locale.
	slices.SortFunc(list, func(x, y hub.Order) int {
		return cmp.Or(cmp.Compare(x.Site, y.Site), cmp.Compare(x.Box, y.Box), cmp.Compare(x.Facts.OutTradeNo, y.Facts.OutTradeNo))
	})
	for i := range list {
		if err := yield(hub.Item{Order: &list[i]}); err != nil {
			return err
		}
	}
	return nil
}

// asker is a pool or a transaction.
type asker interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// held reads what is held, in order.
func held(ctx context.Context, from asker, where string, arg any) (list []hub.Held, err error) {
	rows, err := from.Query(ctx, "SELECT site, box, stream, epoch, seq, at, received_at, why, raw FROM quarantine WHERE "+where, arg)
	if err != nil {
		return nil, err
	}
	var x hub.Held
	var seq int64
	if _, err = pgx.ForEachRow(rows, []any{&x.Site, &x.Box, &x.Stream, &x.Epoch, &seq, &x.At, &x.Received, &x.Why, &x.Raw}, func() error {
		y := x
		y.Seq, y.At, y.Received, y.Raw = uint64(seq), x.At.UTC(), x.Received.UTC(), slices.Clone(x.Raw)
		list = append(list, y)
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(x, y hub.Held) int {
		return cmp.Or(cmp.Compare(x.Site, y.Site), cmp.Compare(x.Box, y.Box), cmp.Compare(x.Stream, y.Stream), cmp.Compare(x.Epoch, y.Epoch), cmp.Compare(x.Seq, y.Seq))
	})
	return list, nil
}

func (s *Store) streams(ctx context.Context, q hub.Query, yield func(hub.Item) error) error {
	var items []hub.Item
	rows, err := s.pool.Query(ctx, "SELECT site, box, stream, epoch, seq, last_at, until_at FROM streams WHERE $1 = '' OR site = $1", q.Site)
	if err == nil {
		var x hub.Stream
		var seq int64
		_, err = pgx.ForEachRow(rows, []any{&x.Site, &x.Box, &x.Name, &x.Epoch, &seq, &x.Last, &x.Until}, func() error {
			y := x
			y.Seq, y.Last, y.Until = uint64(seq), x.Last.UTC(), x.Until.UTC()
			items = append(items, hub.Item{Stream: &y})
			return nil
		})
	}
	if err == nil {
		rows, err = s.pool.Query(ctx, "SELECT site, box, stream, epoch, from_seq, to_seq, after_at, before_at, reason FROM holes WHERE $1 = '' OR site = $1", q.Site)
	}
	if err == nil {
		var x hub.Hole
		var from, to int64
		_, err = pgx.ForEachRow(rows, []any{&x.Site, &x.Box, &x.Name, &x.Epoch, &from, &to, &x.After, &x.Before, &x.Reason}, func() error {
			y := x
			y.From, y.To, y.After, y.Before = uint64(from), uint64(to), x.After.UTC(), x.Before.UTC()
			items = append(items, hub.Item{Hole: &y})
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("cannot read from the database: %w", err)
	}
	for _, i := range items {
		if err := yield(i); err != nil {
			return err
		}
	}
	return nil
}
