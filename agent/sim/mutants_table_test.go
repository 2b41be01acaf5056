package sim

import "slices"

const (
	fApply   = "agent/order/apply.go"
	fJudge   = "agent/order/judge.go"
	fLoop    = "agent/order/loop.go"
	fReverse = "agent/order/reverse.go"
	fTime    = "agent/order/time.go"
	fVerdict = "agent/order/verdict.go"
	fAct     = "agent/counter/act.go"
	fAdvance = "agent/counter/advance.go"
	fCounter = "agent/counter/counter.go"
	fCreate  = "agent/counter/create.go"
	fTill    = "agent/counter/till.go"
	fClaim   = "agent/counter/claim.go"
	fBook    = "agent/order/booking.go"
	fPeople  = "agent/order/resolve.go"
	fDesk    = "agent/counter/people.go"
	fSaid    = "agent/counter/booking.go"
	fNotice  = "agent/counter/notice.go"
)

func w(names ...string) []string { return names }

// mutants are the broken rules: those of reliability.md §3.2 that the core can
// break (M…), and others (X…). B… are faults that this simulation found in the
// core, so that each stays found.
func mutants() []mutant {
	list := []mutant{
		{"M01", "the charge leaves before its intent is durable", w("I3"), []edit{{fCreate,
			"	x.o.Loop.PayOpen = true\n	p := c.platform(x)\n	ch := x.o.Charge()\n	ch.Code = got.Code\n	c.emit(Call{",
			"	x.o.Loop.PayOpen = true\n	p := c.platform(x)\n	ch := x.o.Charge()\n	ch.Code = got.Code\n	c.out = append([]Effect{}, c.out...)\n	defer func() { n := len(c.out) - 1; c.out = append([]Effect{c.out[n]}, c.out[:n]...) }()\n	c.emit(Call{"}}},
		{"M02", "a pay request is sent again after a time-out", w("I2"), []edit{{fCounter,
			"func (c *Counter) payDone(e PayDone) {\n",
			"func (c *Counter) payDone(e PayDone) {\n	if x := c.orders[e.Order]; x != nil && e.Err != nil && !platforms.NeverLeft(e.Err) && x.o.Outcome == \"\" {\n		c.emit(Call{Order: e.Order, Platform: x.o.Platform, Verb: e.Verb, Charge: x.o.Charge(), Timeout: time.Minute, NotAfter: order.Never})\n		return\n	}\n"}}},
		{"M03", "a new number while the old one is in doubt", w("I2"), []edit{{fCreate,
			"	case s == order.Paid || s.Final():\n		return \"\"", "	case s == order.Paid || s.Final() || s == order.InDoubt || s == order.Canceling:\n		return \"\""}}},
		{"M04", "a time-out ends as failed", w("I6", "I1"), []edit{{fJudge,
			"if !errors.Is(err, platforms.ErrNotCharged) || contradicted {", "if contradicted {"}}},
		{"M05", "TRADE_NOT_EXIST ends as failed", w("I6", "I1"), []edit{{fJudge,
			"		if o.FailedSaid && !l.askedBeforePay() {\n", "		if true {\n"}}},
		{"M06", "nobody looks for late money", w("I10"), []edit{{fLoop,
			"case l.Late >= len(p.LateWatch) || ", "case l.Late >= 0 || "}}},
		{"M07", "a cancel is not tried again", w("I5"), []edit{{fLoop,
			"if l.NoMoreCancel || l.Clash {", "if l.NoMoreCancel || l.Clash || l.Cancels > 0 {"}}},
		{"M08", "RetryFlag N counts as canceled", w("I6", "I1"), []edit{{fJudge,
			"	if err == nil {\n		if bad := platforms.BindCancel", "	if err == nil {\n		c.Done = c.Done || c.Retry == platforms.RetryNo\n		if bad := platforms.BindCancel"}}},
		{"M09", "an unclear refusal ends as failed", w("I6", "I1"), []edit{{fJudge,
			"		f.Answer.Status = platforms.Refused.String()\n		l.AskNow = true\n		return Verdict{Facts: []Fact{f}}",
			"		return Verdict{Facts: []Fact{f, o.ended(now, Failed, \"refused\", platforms.ActionNone, false)}}"}}},
		{"M10", "the amount of an answer is not compared", w("I9"), []edit{{fJudge,
			"	if bad := platforms.Bind(o.Ref(), a); bad != nil {\n		o.unheard()\n		return o.clash",
			"	ref := o.Ref()\n	ref.Amount = a.Amount\n	if bad := platforms.Bind(ref, a); bad != nil {\n		o.unheard()\n		return o.clash"}}},
		{"M11", "the order number of an answer is not compared", w("I6"), []edit{{fJudge,
			"	if bad := platforms.Bind(o.Ref(), a); bad != nil {\n		o.unheard()\n		return o.clash",
			"	ref := o.Ref()\n	ref.OrderNo = a.OrderNo\n	if bad := platforms.Bind(ref, a); bad != nil {\n		o.unheard()\n		return o.clash"}}},
		{"M11b", "the merchant of an answer is not compared", w("I6"), []edit{{fJudge,
			"	if bad := platforms.Bind(o.Ref(), a); bad != nil {\n		o.unheard()\n		return o.clash",
			"	ref := o.Ref()\n	ref.Merchant.Code = a.Merchant\n	if bad := platforms.Bind(ref, a); bad != nil {\n		o.unheard()\n		return o.clash"}}},
		{"M11c", "a cancel answer about another order is believed", w("I6"), []edit{{fJudge,
			"	if err == nil {\n		if bad := platforms.BindCancel(o.Ref(), c); bad != nil {", "	if err == nil {\n		if bad := platforms.BindCancel(o.Ref(), c); bad != nil && false {"}}},
		{"M14", "a refund that is tried again has a new number", w("I8"), []edit{{fAdvance,
			"platforms.Refund{RequestNo: request, Sum: r.Sum, Reason: r.Reason,", "platforms.Refund{RequestNo: request + string(rune('a'+x.o.Loop.RefundTries)), Sum: r.Sum, Reason: r.Reason,"}}},
		{"M15", "the sum of the refunds is not guarded", w("I8"), []edit{
			{fAct, "	case x.o.RefundClaims()+r.Sum > x.o.Amount:", "	case r.Sum > x.o.Amount:"},
			{fApply, "f.Refund == nil || o.RefundClaims()+f.Refund.Sum > o.Amount {", "f.Refund == nil {"}}},
		{"M16", "a commit error is ignored", w("I16"), []edit{{fCounter,
			"	case StorageFailed:\n		c.stopped = true", "	case StorageFailed:\n		c.stopped = false"}}},
		{"M17", "after a commit error things go on with the next event", w("I16"), []edit{{fCounter,
			"func (c *Counter) Step(now order.Now, ev Event) []Effect {\n", "func (c *Counter) Step(now order.Now, ev Event) []Effect {\n	c.stopped = false\n"}}},
		{"M18", "HIS hears accepted before it is durable", w("I4"), []edit{{fCreate,
			"	c.reply(Reply{ID: e.Reply, Code: code, Order: x.o.Clone()})\n}\n\n// begin", "	c.out = append([]Effect{Reply{ID: e.Reply, Code: code, Order: x.o.Clone()}}, c.out...)\n}\n\n// begin"}}},
		{"M19", "ages are taken from the wall clock", w("I15"), []edit{{fTime,
			"	return n.Mono - t.Mono\n", "	return time.Duration(n.Wall-t.Wall) * time.Millisecond\n"}}},
		{"M19b", "due times are taken from the wall clock", w("I15"), []edit{{fTime,
			"	return t.Mono + age\n", "	return n.Mono + age - time.Duration(n.Wall-t.Wall)*time.Millisecond\n"}}},
		{"M20", "a code's limit is not kept", w("I11"), []edit{{fCreate,
			"NotAfter: readAt + c.cfg.CodeLimit})", "NotAfter: order.Never})"}}},
		{"M22", "a used code is taken again", w("I11"), []edit{{fTill,
			"	for _, o := range used {\n", "	return \"\"\n	for _, o := range used {\n"}}},
		{"M22b", "one code, two tills at once", w("I11"), []edit{{fTill,
			"	if x := c.orders[c.codes[hash]]; x != nil {", "	if x := c.orders[c.codes[hash]]; false && x != nil {"}}},
		{"M28", "orders are accepted while the disk is nearly full", w("I17"), []edit{{fCreate,
			"	case c.diskLow:\n		return CodeDiskLow\n	case c.tills[s.Till]", "	case false:\n		return CodeDiskLow\n	case c.tills[s.Till]"}}},
		{"M33", "the screen changes before the commit", w("I21"), []edit{{fTill,
			"	c.emit(Screen{View: v})", "	c.out = append([]Effect{Screen{View: v}}, c.out...)"}}},
		{"M33b", "the event goes out before the commit", w("I6"), []edit{{fCounter,
			"		c.emit(Changed{Order: x.o.Clone()})", "		c.out = append([]Effect{Changed{Order: x.o.Clone()}}, c.out...)"}}},
		{"M34", "the QR stays after the end", w("I21"), []edit{{fApply,
			"o.EndedAt, o.QR = s, reason, at, \"\"", "o.EndedAt = s, reason, at"}}},
		{"M34b", "the QR stays while its cancel is wanted", w("I21"), []edit{{fVerdict,
			"o.State() != Paying || o.CancelAsked != nil {", "o.State() != Paying {"}}},
		{"M38", "canceled before the last query was answered", w("PAY-03"), []edit{{fLoop,
			"	if l.Heard && now.Age(l.LastHeard) <= freshFor {\n		return do(DoCancel, now.Mono)", "	if l.Heard || true {\n		return do(DoCancel, now.Mono)"}}},
		{"M39", "two windows, one bill, both sent", w("I2"), []edit{{fCreate,
			"	for _, no := range c.bills[bill] {\n", "	for _, no := range c.bills[bill][:0] {\n"}}},
		{"M40", "a verdict flips after the end", w("I7"), []edit{
			{fApply, "	if a.Verb != VerbCancel && a.Status == platforms.Paid.String() && (o.Outcome", "	if false && (o.Outcome"},
			{fApply, "		if o.Outcome != \"\" {\n			break // what", "		if o.Outcome == Paid {\n			break // what"},
			{fJudge, "	f := o.fact(KindLate, now)\n	f.Reason = \"paid_after_end\"\n	facts := []Fact{f}", "	facts := []Fact{o.answered(now, VerbQuery, a)}"}}},
		{"M42", "an open order is dropped from the log's open list", w("I4", "I5"), []edit{{fAdvance,
			"	c.emit(Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbQuery,", "	c.emit(Write{Order: x.o.No, Close: true})\n	c.emit(Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbQuery,"}}},
		{"M44", "memory keeps every key", w("I22"), []edit{{fCounter,
			"		delete(c.keys, k.Key)", "		_ = k"}}},
		{"M44b", "memory keeps every lookup", w("I22"), []edit{{fAct,
			"	delete(c.pending, f.Token)\n", ""}}},
		{"M45", "unknown number, canceled in vain once: not paid", w("I6", "I1"), []edit{{fLoop,
			"	return l.NotFound >= p.QuickCancels && now.Age(o.began()) >= p.NotFoundFinal", "	return l.NotFound >= 1"}}},
	}
	return slices.Concat(list, moreMutants(), scannerMutants(), onlineMutants(), bookingMutants(), swapMutants())
}

func moreMutants() []mutant {
	return []mutant{
		{"X01", "canceled before 15 s", w("PAY-03"), []edit{{fLoop,
			"		at = now.due(*o.SentAt, p.CancelNotBefore)\n	}\n	at0 := at\n", "	}\n	at0 := at\n"}}},
		{"X02", "a code of another wallet is sent", w("PAY-16"), []edit{{fTill,
			"	if s.Channel != \"\" && got.Channel != \"\" && got.Channel != s.Channel {", "	if false {"}}},
		{"X03", "a second order in front of a till", w("TILL"), []edit{{fCreate,
			"	if t := c.tills[s.Till]; t.front != \"\" {", "	if t := c.tills[s.Till]; t.front == \"-\" {"}}},
		{"X04", "a replayed key opens another order", w("ORD-09"), []edit{{fCreate,
			"f.Orders[idemKey(s.Key.Key)]); o != nil {", "f.Orders[idemKey(s.Key.Key)]); false && o != nil {"}}},
		{"X05", "in doubt, and nobody is told", w("I5"), []edit{{fAdvance,
			"		f.Reason = s.Reason\n		c.write(x, f, Write{})\n		c.emit(Alarm{Code: AlarmDoubt, Order: x.o.No, Platform: x.o.Platform})",
			"		f.Reason = s.Reason\n		c.write(x, f, Write{})"}}},
		{"X06", "a detached order is forgotten", w("I4", "I5"), []edit{{fAct,
			"			c.write(x, c.fact(x, order.KindDetached), Write{})\n", "			c.write(x, c.fact(x, order.KindDetached), Write{})\n			c.emit(Write{Order: x.o.No, Close: true})\n			c.remove(x)\n"}}},
		{"X07", "an expired queued order is taken up", w("OFF-09"), []edit{{fLoop,
			"end.At, end.Reason = now.due(o.CreatedAt, o.ValidFor), \"offline_expired\"", "end.At, end.Reason = Never, \"offline_expired\""}}},
		{"X08", "cash may be taken while in doubt", w("PAY-21"), []edit{{fVerdict,
			"	case InDoubt:\n		return Safety{Answer: No,", "	case InDoubt:\n		return Safety{Answer: Yes,"}}},
		{"X08b", "cash may be taken while paying", w("PAY-21"), []edit{{fVerdict,
			"	return Safety{Answer: Wait, Wait: o.settlesIn(p, now), Reason: \"cash_wait\"}", "	return Safety{Answer: Yes, Reason: \"cash_wait\"}"}}},
		{"X09", "paid is believed while a cancel is under way", w("I6", "I1"), []edit{{fJudge,
			"	return o.CancelOpen || o.CancelLost &&", "	return o.CancelLost &&"}}},
		{"X10", "paid is believed after an unproven revoke", w("I6", "I1"), []edit{{fJudge,
			"(t.PaidIsSticky || t.NoQuery || now.Age(o.Loop.LastCancel) < cancelSettles)", "(now.Age(o.Loop.LastCancel) < cancelSettles)"}}},
		{"X11", "late money is found and kept", w("I10"), []edit{{fAdvance,
			"	case order.DoReverse:\n		if !p.Refund {\n			c.cancel(x, p) // the only way this platform has\n			break\n		}\n",
			"	case order.DoReverse:\n		if !p.Refund {\n			return c.close(x)\n		}\n"}}},
		{"X12", "a call without a time-out", w("I22"), []edit{{fAdvance,
			"	l.Calling, l.Asked, l.AskNow, l.LastAsk = order.VerbQuery, true, false, c.now.Instant\n", "	l.Calling, l.Asked, l.AskNow, l.LastAsk = order.VerbQuery, true, false, c.now.Instant\n	p.Policy.CallTimeout = 0\n"}}},
		{"X13", "refunds follow each other at once", w("PAY-08"), []edit{{fReverse,
			"			at = max(at, now.due(r.EndedAt, p.RefundSpacing))\n", ""}}},
		{"X14", "the code goes into the log", w("I11"), []edit{{fCreate,
			"CodeHash: code.Hash}\n", "CodeHash: code.Text.Reveal()}\n"}}},
		{"X15", "the cancel leaves without its intent", w("I3"), []edit{{fAdvance,
			"		if !c.write(x, f, Write{Slot: slot}) {\n			return\n		}\n		x.o.Loop.CancelMine",
			"		x.o.Loop.CancelMine"}}},
		{"X16", "another amount opens a second order", w("I2"), []edit{{fCreate,
			"	return CodeBillOpen\n", "	return \"\"\n"}}},
		{"X17", "a paid bill is charged again", w("I2"), []edit{{fCreate,
			"	case s == order.Paid && !o.FullyReversed():\n		return CodeBillPaid", "	case s == order.Paid && o.Amount < 0:\n		return CodeBillPaid"}}},
		{"X18", "a refund answer with too small a sum is done", w("I8", "I1"), []edit{{fJudge,
			"	return \"\", \"\"\n}\n\n// StaleRefund", "	return RefundDone, \"\"\n}\n\n// StaleRefund"}}},
		{"X19", "the charge is another amount than the bill", w("I3", "I9"), []edit{{fCreate,
			"	ch.Code = got.Code\n", "	ch.Code = got.Code\n	ch.Amount++\n"}}},
		{"B01", "an order leaves memory under a lookup that missed its refund", w("I3", "I8"), []edit{{fCounter,
			"	x.endTok = c.token // a lookup", "	// a lookup"}}},
		{"B02", "alarms die with the process", w("I5"), []edit{{fAdvance,
			"		c.alarmAgain(x)\n", ""}}},
		{"B03", "a refusal is said over the same request's open order", w("PAY-21"), []edit{{fCreate,
			"	if c.stopped || !c.ready {\n		c.refuse(e, CodeStopped, nil)", "	if code := c.closedFor(e.Spec); code != \"\" && !c.mayQueue(e, code) {\n		c.refuse(e, code, nil)"}}},
		{"B04", "late money canceled without a fresh query", w("PAY-03"), []edit{{fReverse,
			"	if t.NoQuery || !l.Heard || now.Age(l.LastHeard) > freshFor {\n", "	if !l.Heard && l.LateTries == 0 {\n"}}},
		{"B05", "a lost cancel is forgotten over a restart", w("I6", "I1"), []edit{
			{fAdvance, "			o.Loop.CancelsLost = 1 // its", "			o.Loop.CancelsLost = 0 // its"},
			{fAdvance, "		x.o.Loop.CancelsLost++", "		x.o.Loop.CancelsLost += 0"}}},
		{"B06", "a cancel known from the slots only is forgotten", w("I6", "I1"), []edit{{fAdvance,
			"	if s.Verb == order.VerbCancel && !x.o.CancelOpen && !x.o.State().Final() {", "	if false {"}}},
		{"B07", "a held scan makes the deadline lie in the past", w("I22"), []edit{{fCounter,
			"t.held != nil && t.held.order != \"\" {", "t.held != nil {"}}},
		{"B08", "a confirmed order is sent after a storage error", w("I16"), []edit{
			{fAct, "	if c.stopped { // nothing it could write would last\n", "	if false {\n"},
			{fAct, "	x := c.orders[o.No]\n	if c.stopped {", "	x := c.orders[o.No]\n	if false {"}}},
		{"B09", "a handed code is as young as its lookup was slow", w("I11"), []edit{{fCreate,
			"c.charge(x, *got, *e.Handed, at, \"\")", "c.charge(x, *got, *e.Handed, c.now.Mono, \"\")"}}},
		{"B10", "money behind a failed end with a cancel is no late money", w("I10"), []edit{{fJudge,
			"t.PaidIsSticky && o.EndReason == canceledByProof {", "t.PaidIsSticky && o.CancelSent != nil {"}}},
		{"B11", "no more cancels of a number that was unknown", w("I5"), []edit{{fJudge,
			"		l.NoMoreCancel = false // that", "		// that"}}},
		{"B12", "a cancel answered without proof did nothing", w("I6", "I1"), []edit{{fJudge,
			"o.CancelLost || !c.Done && c.Retry != platforms.RetryNo}", "o.CancelLost}"}}},
		{"B14", "three quick reboots end the watch for late money", w("I10"), []edit{{fJudge,
			"now.Boot == o.WatchedBoot || l.Late < len(p.LateWatch)-1 {", "now.Boot == o.WatchedBoot {"}}},
		{"B30", "a flat no counts although nobody knew whether the number is known", w("I5"), []edit{{fJudge,
			"l.LastStatus != platforms.Unknown || o.Outcome == Paid", "true || o.Outcome == Paid"}}},
		{"B15", "cash while late money is not given back yet", w("PAY-21"), []edit{{fVerdict,
			"	if o.LateFound && !o.LateDone {\n", "	if false {\n"}}},
		{"B16", "a slot does not tell a QR from a code", w("I6"), []edit{{fNotice,
			"	case s.Mode.Shown():\n", "	case false:\n"}}},
		{"B13", "the pause lies between the query and the cancel of late money", w("I10"), []edit{{fReverse,
			"	if t.NoQuery || !l.Heard || now.Age(l.LastHeard) > freshFor {\n		at := now.Mono", "	if l.LateTries > 0 && now.Mono < now.due(l.LastTry, p.wait(l.LateTries-1)) {\n		return later(now.due(l.LastTry, p.wait(l.LateTries-1)))\n	}\n	if t.NoQuery || !l.Heard || now.Age(l.LastHeard) > freshFor {\n		at := now.Mono"}}},
	}
}

// scannerMutants are the broken rules of scanners.
func scannerMutants() []mutant {
	return []mutant{
		{"S01", "a payment code is handed to a client as a card", w("DEV-14"), []edit{{fClaim,
			"	if got.Payable {\n		return false\n	}\n", "	if got.Payable {\n		return true\n	}\n"}}},
		{"S02", "two codes at two scanners of a till are not two", w("DEV-05"), []edit{{fTill,
			"	if t.lastFor == x.o.No && t.lastHash != e.Code.Hash && ", "	if (t.held == nil || t.held.from == e.Device) && t.lastFor == x.o.No && t.lastHash != e.Code.Hash && "}}},
		{"S03", "a scanner is handed over while an order waits", w("DEV-18"), []edit{
			{fClaim, "	case t.armed:\n		code = CodeScannerArmed\n", ""},
			{fClaim, "	if t.armed && q.asker != \"\" {", "	if false {"}}},
		{"S04", "a scanner that takes no payments takes one", w("DEV-20"), []edit{{fTill,
			"	if got.Payable && barred {", "	if false {"}}},
		{"S05", "a code read too early is kept for the next order", w("DEV-01"), []edit{
			{fClaim, "	c.scanned(t, e.Device, ScanDropped)\n", "	if t.front == \"\" && got.Payable {\n		t.held = &heldScan{code: e.Code, from: e.Device, got: got, at: c.now.Mono}\n	}\n	c.scanned(t, e.Device, ScanDropped)\n"},
			{fTill, "		t.front, t.last, t.note, t.held, t.dirty = x.o.No, x.o.No, \"\", nil, true\n",
				"		t.front, t.last, t.note, t.dirty = x.o.No, x.o.No, \"\", true\n		if t.held != nil {\n			t.held.order = x.o.No\n		}\n"}}},
		{"S06", "a claim does not end", w("DEV-18"), []edit{{fClaim,
			"q.holder != \"\" && (now >= q.ends || ", "q.holder != \"\" && ("}}},
		{"S07", "a card read by the patient's scanner is handed on", w("DEV-14"), []edit{{fClaim,
			"t.cfg.Devices[e.Device].Role == RoleGun && identity(got)", "identity(got)"}}},
		{"S08", "a card's number goes into the log", w("I11"), []edit{{fClaim,
			"		c.scanned(t, e.Device, ScanIdentity)\n", "		c.scanned(t, e.Device, ScanIdentity)\n		if x := c.orders[t.front]; x != nil {\n			f := c.fact(x, \"key\")\n			f.Key = &order.IdemKey{Key: e.Code.Text.Reveal()}\n			c.write(x, f, Write{})\n		}\n"},
			{fClaim, "	\"payagent/platforms\"\n", "	\"payagent/agent/order\"\n	\"payagent/platforms\"\n"}}},
		{"S09", "the wrong scanner stands in the log", w("DEV-20"), []edit{{fTill,
			"c.charge(x, h.got, h.code, h.at, h.from)", "c.charge(x, h.got, h.code, h.at, \"scanner\")"}}},
		{"S10", "it passes at once to whoever asks", w("DEV-18"), []edit{{fClaim,
			"lease, c.now.Mono+RetainWithin\n", "lease, c.now.Mono\n"}}},
	}
}

// bookingMutants are the broken rules of what is done until HIS has booked a
// payment, of second persons, and of money that goes back.
func bookingMutants() []mutant {
	return []mutant{
		{"K01", "silence reverses a counter's payment, too", w("ORD-12"), []edit{{fBook,
			"	if o.Books.Silence <= 0 || !l.LinkUp {\n		return 0, false\n	}\n	return max(now.due(o.EndedAt, o.Books.Silence), now.due(l.LinkAt, o.Books.Silence)), true",
			"	_ = l\n	return now.due(o.EndedAt, 2*time.Minute), true"}}},
		{"K02", "silence counts although HIS cannot be reached", w("ORD-12"), []edit{{fBook,
			"	if o.Books.Silence <= 0 || !l.LinkUp {\n		return 0, false\n	}\n	return max(now.due(o.EndedAt, o.Books.Silence), now.due(l.LinkAt, o.Books.Silence)), true",
			"	if o.Books.Silence <= 0 {\n		return 0, false\n	}\n	_ = l\n	return now.due(o.EndedAt, o.Books.Silence), true"}}},
		{"K03", "HIS is not told before its silence reverses", w("ORD-12"), []edit{{fBook,
			"		if b.ToldAt == nil {\n", "		if false {\n"}, {fBook,
			"max(at, now.due(*b.ToldAt, toldBefore))", "at"}}},
		{"K04", "HIS says failed, and the money stays", w("ORD-12"), []edit{{fReverse,
			"	if o.booked() == BookFailed && o.Reversal() == nil && !o.FullyReversed() {", "	if o.booked() == BookFailed && o.Booking.Alarmed && o.Reversal() == nil {"}}},
		{"K05", "insurance and cash disagree, and the money goes back by itself", w("PAY-17", "ORD-12"), []edit{{fBook,
			"		case b.split():\n			next.State = BookSplit\n", "		case b.split():\n			next.State = BookFailed\n"}}},
		{"K06", "a booking is taken while the money goes back", w("ORD-11"), []edit{{fSaid,
			"	case w.OK && (r != nil && r.State != order.RefundRefused || o.FullyReversed()):\n		return CodeBookLate", "	case w.OK && r == nil && o.FullyReversed():\n		return CodeBookLate"}}},
		{"K07", "a number of HIS stands on two payments", w("ORD-11"), []edit{{fSaid,
			"	case c.flowUsed(o, w.FlowID, f):\n		return CodeFlowUsed\n	}\n	return CodeDone\n}\n\nfunc (c *Counter) bookRefundGuard", "	}\n	_ = f\n	return CodeDone\n}\n\nfunc (c *Counter) bookRefundGuard"}}},
		{"K08", "a success is taken after a failure", w("ORD-11", "I7"), []edit{
			{fSaid, "	case w.OK && o.Booking != nil && o.Booking.State == order.BookFailed:\n		return CodeBookFailed\n	case have != nil && o.Booking.State != order.BookSplit && !o.Booking.Assumed:", "	case have != nil && o.Booking.State == order.BookBooked:"},
			{fSaid, "	case w.OK && (r != nil && r.State != order.RefundRefused || o.FullyReversed()):", "	case w.OK && r != nil && o.FullyReversed() && o.Booking.State != order.BookFailed:"}}},
		{"K09", "nobody is told that HIS is silent", w("ORD-11"), []edit{{fAdvance,
			"		if x.o.Booking.Alarmed {\n", "		if false {\n"}}},
		{"K10", "an order that nobody books stays in memory", w("I22"), []edit{{fBook,
			"		sooner(do(DoClose, now.due(b.AlarmedAt, afterAlarm)))\n", ""}}},
		{"K11", "a large refund leaves on one person's word", w("SEC-06"), []edit{{fAct,
			"c.cfg.RefundAlone > 0 && x.o.RefundClaims()+r.Sum > c.cfg.RefundAlone", "false"}}},
		{"K12", "the maker approves", w("SEC-06"), []edit{{fDesk,
			"		case e.Decided.OK && maker == e.Decided.Operator.ID:\n			code = CodeSamePerson\n", "		case maker == \"nobody\":\n			code = CodeSamePerson\n"}}},
		{"K13", "a refund leaves without a query before it", w("PAY-08"), []edit{{fReverse,
			"		case !o.knownPaid(r) || now.Age(l.LastHeard) > freshFor:", "		case o.TradeNo == \"\" && (!o.knownPaid(r) || now.Age(l.LastHeard) > freshFor):"}}},
		{"K14", "a part was refunded, and all of it is canceled", w("ORD-12"), []edit{{fReverse,
			"	return late || o.RefundedSum()+o.Outside > 0\n", "	return late\n"}}},
		{"K15", "a reversal gives back what was refunded before", w("I8", "I7", "I1", "ORD-12"), []edit{{fSaid,
			"Sum: x.o.Amount - x.o.RefundClaims(), Operator", "Sum: x.o.Amount, Operator"}}},
		{"K16", "a reversal ends with its intent", w("ORD-12", "I8", "I1"), []edit{{fReverse,
			"	if r.State == RefundRequested {\n		r.State = RefundSent\n	}\n", "	if r.State == RefundRequested {\n		r.State = RefundSent\n	}\n	if r.Auto {\n		r.State = RefundDone\n	}\n"}}},
		{"K17", "cash may be taken while the money is on its way back", w("PAY-21"), []edit{{fVerdict,
			"			return Safety{Answer: Wait, Wait: 5 * time.Second, Reason: \"cash_reversing\"}", "			return Safety{Answer: Yes, Reason: \"cash_reversing\"}"}}},
		{"K18", "nobody looks at the platform after people decided", w("ORD-19"), []edit{{fPeople,
			"	if !o.resolved() || !against {\n", "	if !o.resolved() || against || !against {\n"}}},
		{"K19", "one person resolves", w("ORD-19"), []edit{{fDesk,
			"		case e.Decided.OK && maker == e.Decided.Operator.ID:\n			code = CodeSamePerson\n", "		case e.Decided.Refund != \"\" && maker == e.Decided.Operator.ID:\n			code = CodeSamePerson\n"}}},
		{"K20", "what people resolved moves by itself after the platform contradicted them", w("ORD-19"), []edit{
			{fLoop, "	case o.Reopened:\n", "	case false:\n"}, {fJudge, "	case o.Reopened:\n		return Verdict{} // people decide\n	}\n", "	}\n"}}},
	}
}
