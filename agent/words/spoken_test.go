package words_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"payagent/agent/words"
	"payagent/platforms"
)

// What is said can be understood: another reader gets the amount back.
func TestAmountSpokenReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fen := rapid.OneOf(rapid.Int64Range(0, 1<<40), rapid.Int64Range(0, 200_000), rapid.Map(rapid.Int64Range(0, 1_000_000), func(n int64) int64 { return n * 10_000 })).Draw(t, "fen")
		s := words.AmountSpoken(platforms.Fen(fen))
		if got := read(s); got != fen {
			t.Fatalf("%d says %s, which reads %d", fen, s, got)
		}
		if strings.Contains(s, "零零") || strings.HasPrefix(s, "一十") || strings.HasSuffix(s, "零") {
			t.Fatalf("%d says %s", fen, s)
		}
	})
}

func TestSpeech(t *testing.T) {
	for _, tc := range []struct {
		state       string
		present, qr bool
		want        string
	}{
		{"waiting", false, false, "请出示付款码，收您一百二十八元五角"},
		{"paying", true, true, "请扫码支付，一百二十八元五角"},
		{"paying", true, false, ""}, // the code is not there yet, or not any more
		{"paying", false, false, ""},
		{"paid", false, false, "支付成功，收款一百二十八元五角"},
		{"failed", true, false, "支付未成功，请看收费员"},
		{"in_doubt", false, false, "正在确认，请勿再次支付"},
		{"waiting", true, false, ""}, {"canceled", false, false, ""}, {"queued", false, false, ""},
	} {
		got := words.Speech(tc.state, tc.present, tc.qr, 12850)
		if got.ZH != tc.want || (got.EN == "") != (tc.want == "") {
			t.Errorf("%+v: %+v", tc, got)
		}
	}
}
