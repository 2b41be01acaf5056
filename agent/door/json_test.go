package door

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"payagent/agent/words"
	"payagent/platforms"
)

func TestParseObject(t *testing.T) {
	for _, good := range []string{"{}", ` {"a":1} `, `{"a":{"b":[{"c":true}]}}`, `{"a":"é","b":"\ud83d\ude00"}`, "\n{\"a\":-5}\t"} {
		if _, err := parseObject([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	deep := strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth)
	for name, bad := range map[string]string{
		"nothing": "", "spaces": "  ", "list": "[]", "text": `"a"`, "number": "1", "null": "null", "open": "{", "two": "{}{}", "rest": `{} x`, "comma": `{"a":1,}`,
		"same name": `{"a":1,"a":1}`, "case twin": `{"amount_fen":1,"Amount_Fen":2}`, "twin by escape": `{"bill":1,"bi\u006cl":2}`, "kelvin twin": "{\"k\":1,\"\u212a\":2}",
		"inner twin": `{"a":{"b":1,"B":2}}`, "twin in list": `{"a":[{"b":1,"b":2}]}`, "null inside": `{"a":null}`, "null in list": `{"a":[null]}`,
		"latin1": "{\"a\":\"\xe9\"}", "half pair": `{"a":"\ud83d"}`, "half pair name": `{"\udc00":1}`, "deep": deep, "very deep": strings.Repeat("[", 20000),
		"comment": `{"a":1/**/}`, "single quotes": `{'a':1}`, "NaN": `{"a":NaN}`, "plus": `{"a":+1}`, "zero": `{"a":01}`, "bom": "\ufeff{}", "nul": "{\"a\":\"\x00\"}", "name not text": `{1:1}`,
	} {
		if m, err := parseObject([]byte(bad)); !errors.Is(err, errMalformed) || m != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func TestErrorsRepeatNothing(t *testing.T) {
	const secret = "134567890123456789"
	for _, body := range []string{`{"auth_code":` + secret + `}`, `{"auth_code":"` + secret + `"`, `{"` + secret + `":1}`, `{"auth_code":["` + secret + `"]}`,
		`{"amount_fen":"` + secret + `"}`, `{"patient":{"` + secret + `":"x"}}`, `{"mode":"` + secret + strings.Repeat("x", 40) + `"}`} {
		m, err := parseObject([]byte(body))
		if err == nil {
			_, err = orderRequest(m)
		}
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAmountsAreWholeNumbers(t *testing.T) {
	for text, want := range map[string]platforms.Fen{"0": 0, "1": 1, "12850": 12850, "99999999": 99999999, "-5": -5} {
		f := newFields(map[string]any{"a": json.Number(text)})
		if got := f.fen("a"); got != want || *f.fault != nil {
			t.Errorf("%s: %d %v", text, got, *f.fault)
		}
	}
	for _, bad := range []any{json.Number("1.0"), json.Number("1e2"), json.Number("1E2"), json.Number("-0"), json.Number("0.1"), json.Number("100000000"), json.Number("-100000000"),
		json.Number("99999999999999999999999"), "1", true, map[string]any{}, []any{}} {
		f := newFields(map[string]any{"a": bad})
		if got := f.fen("a"); got != 0 || *f.fault == nil {
			t.Errorf("%v: %d", bad, got)
		}
	}
}

// Requests that ask for the same have the same canonical form; any other
// difference but the payment code's shows. The form is pinned: hashes of it
// are kept with the orders.
func TestCanonical(t *testing.T) {
	form := func(body string) string {
		m, err := parseObject([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return canonical("POST /v1/orders", m).Reveal()
	}
	a := form(`{"bill":"B","amount_fen":5,"auth_code":"1","details":[{"b":1,"a":"<"}]}`)
	if want := `{"body":{"amount_fen":5,"bill":"B","details":[{"a":"\u003c","b":1}]},"route":"POST /v1/orders"}`; a != want {
		t.Errorf("%s", a)
	}
	if b := form(` { "details" : [{"a":"\u003c","b":1}], "amount_fen":5, "bill":"\u0042" } `); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	seen := map[string]bool{a: true}
	for _, other := range []string{`{"bill":"B","amount_fen":6,"details":[{"b":1,"a":"<"}]}`, `{"bill":"B","amount_fen":5}`, `{"bill":"b","amount_fen":5,"details":[{"b":1,"a":"<"}]}`,
		`{"bill":"B","amount_fen":5,"details":[{"b":"1","a":"<"}]}`, `{"bill":"B","amount_fen":5,"details":[{"b":1},{"a":"<"}]}`, `{"bill":"B","amount_fen":5,"details":[{"b":1,"a":"<","auth_code":"1"}]}`} {
		if c := form(other); seen[c] {
			t.Errorf("%s counts as a request seen before", other)
		} else {
			seen[c] = true
		}
	}
}

func FuzzParseObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"bill":"B1","amount_fen":12850,"mode":"charge","order_type":"TREATMENT","till":"w1","patient":{"name":"张"},"details":[{"price_fen":1}]}`,
		`{"a":1,"A":2}`, `{"a":null}`, `{"a":"\ud800"}`, `[[[[[[[`, `{"amount_fen":1e9}`, "{\"a\":\"\xff\"}", `{"a":1}{"b":2}`, `{"k":1,"K":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseObject(body)
		if err != nil {
			if !errors.Is(err, errMalformed) || m != nil || len(err.Error()) > 200 {
				t.Fatalf("%v %v", m, err)
			}
			return
		}
		// What we read is what every reader must read.
		var other map[string]any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&other); err != nil {
			t.Fatalf("read what nobody else reads: %v", err)
		}
		one, _ := json.Marshal(m)
		two, _ := json.Marshal(other)
		if !bytes.Equal(one, two) {
			t.Fatalf("%s\n%s", one, two)
		}
		// And its canonical form is a fixed point.
		if again, err := parseObject(one); err != nil {
			t.Fatalf("%s: %v", one, err)
		} else if canonical("x", again).Reveal() != canonical("x", m).Reveal() {
			t.Fatal("the canonical form changes")
		}
		r, err := orderRequest(m)
		var field *platforms.FieldError
		if err != nil && !errors.As(err, &field) {
			t.Fatal(err)
		}
		if err == nil && (r.Amount > platforms.MaxFen || len(r.Bill) > 96 || privateSize(r) > maxPrivate) {
			t.Fatalf("%+v", r)
		}
		if _, err := refundRequest("1", m); err != nil && !errors.As(err, &field) {
			t.Fatal(err)
		}
		if _, _, err := actRequest(m); err != nil && !errors.As(err, &field) {
			t.Fatal(err)
		}
	})
}

// The bound on what is sealed holds for the worst texts: the record of such an
// order stays within the store's 64 KiB.
func TestPrivateSizeIsNoUnderestimate(t *testing.T) {
	for _, c := range []string{"x", `"`, "<", "张", "\u2028", `\`} {
		line := map[string]any{"goods_id": strings.Repeat(c, 64/len(c)), "goods_name": strings.Repeat(c, 256/len(c)), "body": strings.Repeat(c, 512/len(c)), "price_fen": json.Number("99999999")}
		m := map[string]any{"details": []any{}, "subject": strings.Repeat(c, 512/len(c))}
		for n := range 200 {
			if m["details"] = append(m["details"].([]any), line); n%20 != 0 {
				continue
			}
			r, _ := orderRequest(m)
			data, err := json.Marshal(r.Details)
			if err != nil {
				t.Fatal(err)
			}
			if real, said := len(data), privateSize(r); real > said {
				t.Fatalf("%q × %d lines: %d bytes, estimated %d", c, len(r.Details), real, said)
			}
		}
	}
}

func TestMaskName(t *testing.T) {
	for name, want := range map[string]string{"": "", "张": "*", "张三": "张*", "张三丰": "张*丰", "欧阳娜娜": "欧**娜", "Li": "L*", "Ann Lee": "A*****e"} {
		if got := words.Masked(name); got != want {
			t.Errorf("%s is shown as %s, want %s", name, got, want)
		}
	}
}
