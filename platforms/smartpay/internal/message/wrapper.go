package message

import (
	"errors"
	"fmt"
	"strconv"

	"payagent/platforms/internal/strictjson"
)

// Wrapper is the JSON around a Resp that form gateways answer with:
// {"code":0, …, "result":"<Resp>…"}. Where code is not 0 the gateway refused
// the call itself and there is no Resp.
type Wrapper struct {
	Code      int
	Msg       string
	Result    string
	HasResult bool
}

var errWrapper = errors.New("cannot read the gateway's answer")

// BadWrapper is the error for a wrapper that cannot be used.
func BadWrapper(why string) error {
	return fmt.Errorf("%w: %s; check the endpoint and the transport", errWrapper, why)
}

// ReadWrapper reads the JSON strictly: it decides about money.
func ReadWrapper(b []byte) (Wrapper, error) {
	v, err := strictjson.Parse(b)
	if err != nil {
		return Wrapper{}, BadWrapper(err.Error())
	}
	if v.Kind != strictjson.Object {
		return Wrapper{}, BadWrapper("it is not a JSON object")
	}
	var w Wrapper
	if w.Code, err = wholeCode(v.Get("code")); err != nil {
		return Wrapper{}, err
	}
	if w.Msg, _, err = text(v.Get("msg")); err != nil {
		return Wrapper{}, err
	}
	w.Result, w.HasResult, err = text(v.Get("result"))
	return w, err
}

// wholeCode reads an integer, written as a number or, as some versions do, as
// text.
func wholeCode(v strictjson.Value) (int, error) {
	n, err := strconv.Atoi(v.Text)
	if err != nil || strconv.Itoa(n) != v.Text || len(v.Text) > 9 || v.Kind != strictjson.Number && v.Kind != strictjson.String {
		return 0, BadWrapper("its code is missing or not an integer")
	}
	return n, nil
}

// text reads a text that may be missing or null.
func text(v strictjson.Value) (text string, has bool, err error) {
	switch v.Kind {
	case strictjson.Missing, strictjson.Null:
		return "", false, nil
	case strictjson.String:
		return v.Text, true, nil
	}
	return "", false, BadWrapper("msg or result is not text")
}
