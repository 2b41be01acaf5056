package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth bounds how deep a message is nested.
const maxDepth = 32

// Unmarshal reads one JSON value strictly: no key twice in one object, also
// not in other letters (encoding/json would take the last of both), no key that
// v does not know, nothing behind it. Errors quote nothing of the data.
func Unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := scan(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("cannot read the message: something follows the JSON value")
	}
	d = json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return fmt.Errorf("cannot read the message: %s is of the wrong kind", kind.Field)
		}
		return errors.New("cannot read the message: it has a key or a value that is not known here")
	}
	return nil
}

func scan(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return errors.New("cannot read the message: it is not JSON")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return errors.New("cannot read the message: it is nested too deep")
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			t, err := d.Token()
			key, ok := t.(string)
			if err != nil || !ok {
				return errors.New("cannot read the message: it is not JSON")
			}
			if key = strings.ToLower(key); seen[key] {
				return errors.New("cannot read the message: a key stands there twice")
			}
			seen[key] = true
		}
		if err := scan(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("cannot read the message: it is not JSON")
	}
	return nil
}
