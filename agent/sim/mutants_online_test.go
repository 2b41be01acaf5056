package sim

const (
	fInsured = "agent/counter/insured.go"
	fWord    = "agent/order/notice.go"
)

// onlineMutants are the broken rules of messages, pages and insurance.
func onlineMutants() []mutant {
	return []mutant{
		{"N01", "a message is believed where the platform has a query", w("PAY-15", "I6"), []edit{
			{fWord, "	case !t.NoQuery:\n", "	case !t.NoQuery && n.Answer.Status != platforms.Paid:\n"},
			{fWord, "	case n.Evidence && !n.ByBrowser:\n", "	case !n.ByBrowser:\n"}}},
		{"N02", "what the payer's browser brought back is believed", w("PAY-15", "I6"), []edit{
			{fWord, "	case n.Evidence && !n.ByBrowser:\n", "	default:\n"}}},
		{"N03", "a message about another amount is believed", w("I9"), []edit{
			{fWord, "	bad := platforms.Bind(o.Ref(), a)\n", "	var bad error\n"},
			{fWord, "a.OrderNo != o.No, !a.HasAmount || a.Amount != o.Amount:", "a.OrderNo != o.No:"}}},
		{"N04", "the state of an authorisation is not compared", w("PAY-17"), []edit{
			{fInsured, "	return !ours.Empty() && subtle.ConstantTimeCompare([]byte(ours.Reveal()), []byte(came.Reveal())) == 1\n",
				"	return !ours.Empty() && subtle.ConstantTimeCompare(nil, nil) == 1 && !came.Empty()\n"}}},
		{"N05", "a state serves twice", w("PAY-17"), []edit{
			{fInsured, "	x.o.Private.Pass.State, x.o.Private.Pass.Address = platforms.Hidden{}, platforms.Hidden{}\n", ""},
			{fInsured, " || x.o.Insured.Stop != order.StopAuthorise:", " || x.o.Insured.Stop == order.StopSent:"},
			{fInsured, "	if c.stop(x, order.InsuredStep{Stop: order.StopToken}) {\n", "	if c.stop(x, order.InsuredStep{Stop: order.StopToken}); true {\n"}}},
		{"N06", "a flood of messages is a flood of queries", w("PAY-15"), []edit{
			{fWord, "	return max(now.Mono, now.due(o.Loop.LastAsk, wakeEvery))\n", "	return now.Mono\n"}}},
		{"N07", "a platform without a query is asked", w("PAY-15"), []edit{
			{fLoop, "	case t.NoQuery:\n		return o.nextTold(p, t, now)\n", ""}}},
		{"N08", "what was told before a cancel that was lost is believed", w("I6", "I1"), []edit{
			{fJudge, "(t.PaidIsSticky || t.NoQuery || ", "(t.PaidIsSticky || "},
			{fWord, "	if l.Told != nil && !o.CancelOpen && !o.CancelLost {", "	if l.Told != nil && !o.CancelOpen {"}}},
		{"N09", "a message about an order that is long over is acknowledged before anybody asked", w("I10"), []edit{
			{fNotice, "	if x.fetched && x.o.Loop.Woken {\n", "	if false {\n"}}},
		{"N10", "a message about an order that is over wakes nobody", w("I10"), []edit{
			{fNotice, "	default:\n		x = c.add(logged[0])\n", "	case logged[0].State().Final():\n		c.reply(Reply{ID: e.Reply, Code: CodeDone})\n		return\n	default:\n		x = c.add(logged[0])\n"}}},
		{"N11", "who pays by insurance is in the log", w("I11"), []edit{
			{fInsured, "	if c.stop(x, order.InsuredStep{Stop: order.StopToken}) {\n", "	if c.stop(x, order.InsuredStep{Stop: order.StopToken, Message: e.AuthCode.Reveal()}) {\n"}}},
		{"N12", "an order without a query waits for ever", w("I5"), []edit{
			{fWord, "	if !want {\n		return later(when)\n", "	if !want || t.NoQuery {\n		return later(max(when, when+1) + 1<<60)\n"}}},
		{"N13", "a page that was never shown holds its order for ever", w("I5"), []edit{
			{fLoop, "!o.hearsay() && l.CancelsNo >= 1", "!o.hearsay() && l.CancelsNo < 0"}}},
	}
}
