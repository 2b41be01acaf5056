package swap

import (
	"crypto/tls"
	"encoding/json"
	"testing"
)

// Open is open, for tests.
var Open = open

// Sign makes a message of any list.
func Sign(t testing.TB, l List, pair tls.Certificate) []byte {
	t.Helper()
	payload, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	data, err := sign(payload, pair)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
