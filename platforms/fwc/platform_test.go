package fwc_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcsuite"
	"payagent/platforms/platformtest"
)

// TestPlatformWithoutSockets: the adapter does not notice what carries it.
func TestPlatformWithoutSockets(t *testing.T) {
	s := fwcsuite.Subject(fwcsuite.Config(fwc.SOAP11))
	s.Transport = func(_ testing.TB, srv *httptest.Server) http.RoundTripper { return wire.Direct(srv.Config.Handler) }
	platformtest.Test(t, s)
}

func TestPlatform(t *testing.T) {
	for _, tr := range []fwc.Transport{fwc.SOAP11, fwc.SOAP12, fwc.RawXMLPost, fwc.FormXML} {
		t.Run(string(tr), func(t *testing.T) { platformtest.Test(t, fwcsuite.Subject(fwcsuite.Config(tr))) })
	}
}
