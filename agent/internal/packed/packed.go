// Package packed reads embedded files, which .ci/build deflates in the programs
// that are shipped: pages, words and the description of the interface are half a
// megabyte of text.
package packed

import (
	"bytes"
	"compress/gzip"
	"io"
)

// Text gives a file as it was written, whether it was deflated or not.
func Text(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data // no text begins so
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return data
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return data
	}
	return text
}
