package platforms_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"payagent/platforms"
)

const canary = "134567890123456789"

type nest struct {
	Code   platforms.AuthCode
	Name   platforms.Hidden
	Ptr    *platforms.Hidden
	List   []platforms.Hidden
	Any    any
	Map    map[string]platforms.Hidden
	inside platforms.Hidden
	deep   struct{ code platforms.AuthCode }
}

// embedding has a name because encoding/xml cannot begin with a nameless text.
type embedding struct{ platforms.AuthCode }

// everywhere gives values that hold the canary in every way a program might.
func everywhere() map[string]any {
	h := platforms.Hide(canary)
	code := platforms.AuthCode{Hidden: h, Kind: platforms.KindWeChat}
	n := nest{
		Code: code, Name: h, Ptr: &h, List: []platforms.Hidden{h}, Any: h,
		Map: map[string]platforms.Hidden{"k": h}, inside: h,
	}
	n.deep.code = code
	return map[string]any{
		"Hidden": h, "*Hidden": &h, "AuthCode": code, "*AuthCode": &code, "struct": n, "*struct": &n, "[]struct": []nest{n},
		"array": [1]platforms.AuthCode{code}, "map": map[string]any{"x": n},
		"Scanned": platforms.Scanned{Code: code, Payable: true}, "any": []any{any(code)},
		"Charge": platforms.Charge{Code: code, Patient: platforms.Patient{Name: h, CardNo: h, AdmissionNo: h, Phone: h}},
		"Answer": platforms.Answer{Buyer: h}, "unexported": struct{ h platforms.Hidden }{h}, "unexported pointer": struct{ h *platforms.Hidden }{&h},
		"embedded": embedding{code}, "error": fmt.Errorf("cannot charge %v: %w", code, errors.New("x")),
		"func": func() platforms.Hidden { return h },
	}
}

func leaks(t *testing.T, how, out string) {
	t.Helper()
	hexed := fmt.Sprintf("%x", canary)
	for _, form := range []string{canary, hexed, strings.ToUpper(hexed), strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
		if strings.Contains(out, form) {
			t.Errorf("%s gives the secret away: %s", how, out)
		}
	}
}

func TestNoVerbShowsTheText(t *testing.T) {
	for name, v := range everywhere() {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%+s", "%#s", "%q", "%+q", "%#q", "%x", "% x", "%#x", "%X", "%d", "%o", "%b", "%c", "%U", "%e", "%f", "%g", "%t", "%p", "%T", "%20.10s", "%-30v", "%!", "%z"} {
			leaks(t, name+" under "+verb, fmt.Sprintf(verb, v))
		}
		leaks(t, name+" under Sprint", fmt.Sprint(v))
		leaks(t, name+" under Sprintln", fmt.Sprintln(v))
		leaks(t, name+" in an error", fmt.Errorf("cannot: %v", v).Error())
	}
}

func TestNoEncoderShowsTheText(t *testing.T) {
	for name, v := range everywhere() {
		for how, encode := range map[string]func(any) ([]byte, error){
			"json": json.Marshal, "xml": xml.Marshal, "yaml": yaml.Marshal,
			"json indented": func(v any) ([]byte, error) { return json.MarshalIndent(v, "", " ") },
			"gob": func(v any) ([]byte, error) {
				var b bytes.Buffer
				err := gob.NewEncoder(&b).Encode(v)
				return b.Bytes(), err
			},
		} {
			// What cannot be encoded at all gives nothing away but its error.
			out, err := encode(v)
			leaks(t, name+" as "+how, string(out))
			if err != nil {
				leaks(t, name+" as "+how+", error", err.Error())
			}
		}
	}
}

func TestNoLogShowsTheText(t *testing.T) {
	for name, v := range everywhere() {
		var b bytes.Buffer
		opts := &slog.HandlerOptions{AddSource: true, Level: slog.LevelDebug}
		for _, h := range []slog.Handler{slog.NewJSONHandler(&b, opts), slog.NewTextHandler(&b, opts)} {
			l := slog.New(h)
			l.Info("x", "v", v, slog.Group("g", slog.Any("v", v)))
			l.With("w", v).WithGroup("h").Error("y", slog.Any("v", v))
		}
		log.New(&b, "", 0).Printf("%v %+v", v, v)
		if b.Len() == 0 {
			t.Fatal("nothing was logged")
		}
		leaks(t, name+" in a log", b.String())
	}
}

func TestAPanicDoesNotShowTheText(t *testing.T) {
	for name, v := range everywhere() {
		func() {
			defer func() { leaks(t, name+" in a panic", fmt.Sprint(recover())) }()
			panic(v)
		}()
	}
}

func TestTheMaskIsThere(t *testing.T) {
	h := platforms.Hide(canary)
	encoded, err := json.Marshal(struct{ Code platforms.AuthCode }{platforms.AuthCode{Hidden: h}})
	if err != nil || string(encoded) != `{"Code":"[hidden]"}` {
		t.Errorf("%s, %v", encoded, err)
	}
	if got := fmt.Sprintf("%v|%s|%q|%#v|%d", h, h, h, h, h); got != "[hidden]|[hidden]|[hidden]|[hidden]|[hidden]" {
		t.Error(got)
	}
	if h.String() != "[hidden]" || h.GoString() != "[hidden]" || h.LogValue().String() != "[hidden]" {
		t.Error("a method gives something else than the mask")
	}
}

func TestReveal(t *testing.T) {
	h := platforms.Hide(canary)
	if h.Reveal() != canary || h.Empty() {
		t.Error("the wire does not get the text")
	}
	var zero platforms.Hidden
	if !reflect.ValueOf(platforms.Hide("")).IsZero() || zero.Reveal() != "" || !zero.Empty() {
		t.Error("no text is not the zero Hidden")
	}
	zero.Forget() // must not panic
}

func TestForgetReachesAllCopies(t *testing.T) {
	code := platforms.AuthCode{Hidden: platforms.Hide(canary)}
	c := platforms.Charge{Code: code}
	code.Forget()
	if c.Code.Reveal() != "" || code.Reveal() != "" {
		t.Error("a copy still has the text")
	}
}
