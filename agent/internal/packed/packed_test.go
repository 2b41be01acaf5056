package packed

import (
	"bytes"
	"compress/gzip"
	"testing"
)

// A text is the same, deflated or not; what only looks deflated stays as it is.
func TestText(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte("页 page")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	cut := b.Bytes()[:b.Len()-5]
	for _, x := range []struct{ in, want []byte }{{[]byte("页 page"), []byte("页 page")}, {b.Bytes(), []byte("页 page")}, {nil, nil}, {cut, cut}, {cut[:2], cut[:2]}} {
		if got := Text(x.in); !bytes.Equal(got, x.want) {
			t.Errorf("%q: %q, want %q", x.in, got, x.want)
		}
	}
}
