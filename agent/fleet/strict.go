package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// The bounds of a message that [Unmarshal] reads.
const (
	maxDepth  = 32
	maxNumber = 24 // characters of a number
)

// Unmarshal reads one JSON value more strictly than encoding/json does, so that
// no two readers can understand it differently: UTF-8 throughout, no name twice
// in one object, names of small ASCII letters, digits, underscores, dots and
// hyphens only (encoding/json takes "Version" for "version"), no name that v
// does not know, numbers of at most 24 characters, at most 32 levels, nothing
// behind the value. Errors quote none of the data.
func Unmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("cannot read the message: it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := strictValue(d, 1); err != nil {
		return fmt.Errorf("cannot read the message: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("cannot read the message: something follows it")
	}
	d = json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return fmt.Errorf("cannot read the message: %s is not a %s", kind.Field, kind.Type)
		}
		return errors.New("cannot read the message: it has a name that is not known here, or a value of a wrong form")
	}
	return nil
}

func strictValue(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return errors.New("it is not JSON")
	}
	switch t := t.(type) {
	case json.Number:
		if len(t) > maxNumber {
			return fmt.Errorf("a number has more than %d characters", maxNumber)
		}
	case json.Delim:
		seen := map[string]bool{}
		for d.More() {
			if t == '{' {
				if err := strictName(d, seen); err != nil {
					return err
				}
			}
			if err := strictValue(d, depth+1); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return errors.New("it is not JSON")
		}
	}
	return nil
}

func strictName(d *json.Decoder, seen map[string]bool) error {
	t, err := d.Token()
	name, ok := t.(string)
	if err != nil || !ok {
		return errors.New("it is not JSON")
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-' {
			return errors.New("a name has other characters than small letters, digits, underscores, dots and hyphens")
		}
	}
	if seen[name] {
		return errors.New("a name stands twice in one object")
	}
	seen[name] = true
	return nil
}
