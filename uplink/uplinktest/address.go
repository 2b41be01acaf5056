package uplinktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreeAddress gives an address of this machine for a program that is to listen
// there. It stays free while that program is started, or started anew: its port
// is below those that the system hands out to whoever names none.
func FreeAddress(t testing.TB) string {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func freeAddress() (address string, err error) {
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp4", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}
