package box_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"testing"
)

// openPack unpacks a zip (with what is packed inside of it) or gzip.
func openPack(t *testing.T, data []byte) [][]byte {
	t.Helper()
	if bytes.HasPrefix(data, []byte("PK")) {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		var out [][]byte
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil || len(text) == 0 {
				t.Fatal(f.Name, err)
			}
			out = append(out, text)
			if bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
				out = append(out, openPack(t, text)...)
			}
		}
		return out
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{text}
}
