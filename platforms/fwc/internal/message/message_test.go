package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"payagent/platforms/internal/strictxml"
)

func ops() []string {
	return []string{OpPay, OpQuery, OpCancel, OpRefund, OpPresent, OpQRCancel}
}

// anyText is text that XML can carry, without blanks around it.
func anyText() *rapid.Generator[string] {
	return rapid.Map(rapid.StringOf(rapid.RuneFrom([]rune("aZ09 <>&\"'\r\n\t门诊]>😀/"))), strings.TrimSpace)
}

// Both directions, for any values: what is written is what is read.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var head Fields
		for _, name := range []string{"AccessToken", "OutTradeNo", "Caption", "OrderType"} {
			head = append(head, Field{Name: name, Value: anyText().Draw(t, name)})
		}
		doc, err := WriteRequest(head)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadRequest(doc)
		if diff := cmp.Diff(head, got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		op := rapid.SampledFrom(ops()).Draw(t, "op")
		said := Result{Success: "1", Message: anyText().Draw(t, "message"), SubCode: "X", SubMessage: anyText().Draw(t, "sub")}
		result := Fields{{Name: "TradeNo", Value: anyText().Draw(t, "trade")}}
		root, err := strictxml.ParseText(WriteReply(op, head, said, result))
		if err != nil {
			t.Fatal(err)
		}
		r, err := ReadReply(root, ResultName(op))
		if err != nil || r.Result != said {
			t.Fatalf("%+v %v", r, err)
		}
		if v, err := r.Body.Value("TradeNo"); err != nil || v != result[0].Value {
			t.Fatalf("%q %v", v, err)
		}
		if v, err := r.Head.Value("OutTradeNo"); err != nil || v != head[1].Value || len(r.Head.All("OrderType")) != 0 {
			t.Fatalf("%q %v", v, err)
		}
	})
}

func TestWhatIsNoMessage(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing": "", "other root": "<y><head/></y>", "no head": "<xml><body/></xml>", "two heads": "<xml><head/><head/></xml>",
		"a twin": "<xml><head><A>1</A><a>2</a></head></xml>", "deep": "<xml><head><A><B/></A></head></xml>", "a namespace": `<xml><head><A xmlns="u">1</A></head></xml>`,
		"an odd name": "<xml><head><a-b.c>1</a-b.c></head></xml>", "an attribute": `<xml><head><A b="c">1</A></head></xml>`,
	} {
		if f, err := ReadRequest(doc); err == nil {
			t.Errorf("%s: %v", name, f)
		}
	}
	if _, err := WriteRequest(Fields{{Name: "A", Value: "\x01"}}); err == nil {
		t.Error("a character that XML cannot carry was written")
	}
}

// FuzzReadRequest: no bytes make it panic, and what is read can be echoed and
// read again.
func FuzzReadRequest(f *testing.F) {
	f.Add("<xml><head><AccessToken>a</AccessToken><OutTradeNo> 1 </OutTradeNo></head><body/><sign/></xml>")
	f.Fuzz(func(t *testing.T, doc string) {
		head, err := ReadRequest(doc)
		if err != nil {
			return
		}
		root, err := strictxml.ParseText(WriteReply(OpQuery, head, Result{Success: "0"}, nil))
		if err != nil {
			t.Fatalf("the echo of %q cannot be read: %v", doc, err)
		}
		if _, err := ReadReply(root); err != nil {
			t.Fatal(err)
		}
	})
}
