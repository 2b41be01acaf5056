package smartpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"payagent/platforms/internal/strictxml"
)

// wrapper is the JSON around a Resp that form gateways answer with:
// {"code":0, …, "result":"<Resp>…"}. Where code is not 0 the gateway refused
// the call itself and there is no Resp.
type wrapper struct {
	code      int
	msg       string
	result    string
	hasResult bool
}

var errWrapper = errors.New("cannot read the gateway's answer")

func badWrapper(why string) error {
	return fmt.Errorf("%w: %s; check the endpoint and the transport", errWrapper, why)
}

// readWrapper reads the JSON strictly: one object of at most 64 KiB, no two
// names that are equal or differ in case only, nothing behind it. Two readers
// could take such names for different things, and this decides about money.
func readWrapper(b []byte) (wrapper, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	switch {
	case len(b) > strictxml.MaxBytes:
		return wrapper{}, badWrapper("it is too long")
	case !utf8.Valid(b):
		return wrapper{}, badWrapper("it is not UTF-8")
	case !json.Valid(b):
		return wrapper{}, badWrapper("it is not one JSON value")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := noTwins(d, 0); err != nil {
		return wrapper{}, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || fields == nil {
		return wrapper{}, badWrapper("it is not a JSON object")
	}
	var w wrapper
	code, err := jsonInt(fields["code"])
	if err != nil {
		return wrapper{}, err
	}
	w.code = code
	if w.msg, _, err = jsonText(fields["msg"]); err != nil {
		return wrapper{}, err
	}
	w.result, w.hasResult, err = jsonText(fields["result"])
	return w, err
}

// noTwins walks one value that is known to be valid JSON.
func noTwins(d *json.Decoder, depth int) error {
	if depth > strictxml.MaxDepth {
		return badWrapper("it is nested too deep")
	}
	t, err := d.Token()
	if err != nil {
		return badWrapper("it is not JSON")
	}
	open, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			key, isText := name.(string)
			if err != nil || !isText {
				return badWrapper("it is not JSON")
			}
			if low := strings.ToLower(key); seen[low] {
				return badWrapper("it has a name twice")
			} else {
				seen[low] = true
			}
		}
		if err := noTwins(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// jsonInt reads an integer, written as a number or, as some versions do, as text.
func jsonInt(raw json.RawMessage) (int, error) {
	word := strings.Trim(string(raw), `"`)
	n, err := strconv.Atoi(word)
	if err != nil || strconv.Itoa(n) != word || len(word) > 9 {
		return 0, badWrapper("its code is missing or not an integer")
	}
	return n, nil
}

// jsonText reads a text that may be missing or null. Escapes that stand for no
// character are refused, because the decoder would replace them.
func jsonText(raw json.RawMessage) (text string, has bool, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", false, nil
	}
	if err := json.Unmarshal(raw, &text); err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", false, badWrapper("msg or result is not text")
	}
	return text, true, nil
}
