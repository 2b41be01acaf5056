package lc_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"payagent/platforms/bank/wire"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lcsuite"
	"payagent/platforms/lc/lctest"
	"payagent/platforms/platformtest"
)

// keysOf makes the keys of one size once for all tests.
var keysOf = map[int]func() (lcsuite.Keys, error){
	1024: sync.OnceValues(func() (lcsuite.Keys, error) { return lcsuite.NewKeys(1024) }),
	2048: sync.OnceValues(func() (lcsuite.Keys, error) { return lcsuite.NewKeys(2048) }),
}

func keys(t testing.TB, bits int) lcsuite.Keys {
	t.Helper()
	k, err := keysOf[bits]()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPlatform(t *testing.T) {
	k := keys(t, 1024)
	strict := lcsuite.Config(k)
	strict.VerifyReply = lc.VerifyStrict
	off := lcsuite.Config(k)
	off.VerifyReply, off.CancelShown, off.AmountForm = lc.VerifyOff, lc.CancelClose, lc.AmountNumber
	k2 := keys(t, 2048)
	big := lcsuite.Config(k2)
	big.Hash, big.ExcludeSignType = "sha256", true
	for _, s := range []platformtest.Subject{
		lcsuite.Subject("warn", k, lcsuite.Config(k), nil),
		lcsuite.Subject("strict, numbers", k, strict, func(o *lctest.Options) { o.Numbers = true }),
		lcsuite.Subject("off, close, numbers", k, off, nil),
		lcsuite.Subject("2048 bits, SHA-256, no sign_type", k2, big, func(o *lctest.Options) { o.SHA256, o.ExcludeSignType = true, true }),
	} {
		// Without sockets: what the adapter meets on them is what the first has.
		if s.Name != "lc/warn" {
			s.Transport = func(_ testing.TB, srv *httptest.Server) http.RoundTripper { return wire.Direct(srv.Config.Handler) }
		}
		t.Run(s.Name, func(t *testing.T) { platformtest.Test(t, s) })
	}
}
