package door

import (
	"payagent/agent/counter"
	"payagent/agent/words"
)

func wordsForTest() words.Catalogue { return words.New() }

// refusals are the counter's replies that refuse.
func refusals() []string {
	return []string{counter.CodeKeyMismatch, counter.CodeBillPaid, counter.CodeBillOpen, counter.CodeTillBusy, counter.CodeUnknownTill, counter.CodeNumberUsed,
		counter.CodeUnreachable, counter.CodeTokenRefused, counter.CodeDiskLow, counter.CodeStopped, counter.CodeOverCap, counter.CodeNotPayable,
		counter.CodeWrongWallet, counter.CodeUsed, counter.CodeNotFound, counter.CodeUseRefunds, counter.CodeFinal, counter.CodeNoConfirm,
		counter.CodeNoRefunds, counter.CodeNotPaid, counter.CodeRefundOver, counter.CodeRefundUsed, counter.CodeUnsupported}
}
