package hub

import "testing"

// FuzzRead: whatever arrives is refused or fits its topic and itself.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"E-1","source":"/payagent/H1/A","type":"payagent.order.paid.v1","time":"2026-03-14T12:00:00+08:00","datacontenttype":"application/json","epoch":"E","sequence":1,"previous":0,"data":{"order":{"out_trade_no":"1","state":"paid","amount_fen":1,"platform":"p","merchant":"m","amount_confirmed":true,"refunded_fen":0},"rev":1}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"E-5","source":"/payagent/H1/A","type":"payagent.gap.v1","time":"2026-03-14T12:00:00+08:00","datacontenttype":"application/json","epoch":"E","sequence":5,"previous":0,"data":{"from":1,"to":5,"reason":"pruned"}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := read("p", "p/H1/A/e/orders", data)
		if err != nil {
			return
		}
		if a.event.Source != "/payagent/H1/A" || a.event.Previous >= a.event.Sequence || a.order == nil && a.gap == nil {
			t.Fatalf("%+v", a)
		}
		v, next, _ := judge(Stream{}, a)
		if v == take && (next.Epoch != a.event.Epoch || next.Seq != a.event.Sequence) {
			t.Fatalf("%+v", next)
		}
		if e, _ := a.facts(); e.Seq == 0 {
			t.Fatal("an event without a place")
		}
	})
}
