package bank

// Load rebuilds the books from a ledger written through Options.OnEntry, in
// the order in which it was written. Payers who had not decided yet go on
// where they were. The entries are not told to opts.OnEntry again.
func Load(opts Options, entries []Entry) *Bank {
	b := New(opts)
	for _, e := range entries {
		b.replay(e)
	}
	for _, rec := range b.book {
		b.watch(rec)
	}
	return b
}

func (b *Bank) replay(e Entry) {
	b.now = max(b.now, e.At)
	if e.Kind == "tombstone" {
		b.dead[e.Trade.OrderNo] = true
		return
	}
	rec := b.book[e.Trade.OrderNo]
	if rec == nil {
		rec = b.add(e.Trade)
	}
	rec.t = e.Trade
	b.remember(e.At, rec)
	switch e.Kind {
	case "asked", "scanned":
		if e.Kind == "asked" {
			b.asked[e.Trade.OrderNo]++
		}
		if e.Trade.State != Unpaid {
			return
		}
		rec.t.Refusal = ""
		if e.Payer.PayAfter >= 0 {
			rec.due = append(rec.due, attempt{at: e.At + e.Payer.PayAfter, p: e.Payer, scanned: e.Kind == "scanned"})
		}
	case "paid":
		rec.captures++
		rec.dropDue(e)
	case "refused":
		rec.dropDue(e)
	case "closed", "revoked":
		rec.due = nil
	case "refunded":
		b.refunds[e.RequestNo] = refund{e.Trade.OrderNo, e.Sum}
	}
}

// dropDue takes out the payer whose decision an entry records.
func (r *record) dropDue(e Entry) {
	for i, a := range r.due {
		if a.at == e.At {
			r.due = append(r.due[:i], r.due[i+1:]...)
			return
		}
	}
}
