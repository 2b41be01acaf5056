package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"payagent/platforms/internal/strictjson"
)

func TestParseReads(t *testing.T) {
	const doc = "\ufeff {\"a\" : \"x\\u4e2d\\ud83d\\ude00\\n/\", \"n\":88.88, \"o\":{\"z\":[1,{\"q\":null}],\"t\":true}, \"e\":{}, \"f\":[]} \n"
	v, err := strictjson.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Get("a").Text; got != "x中😀\n/" {
		t.Errorf("a: %q", got)
	}
	if n := v.Get("n"); n.Kind != strictjson.Number || n.Text != "88.88" || string(n.Raw) != "88.88" || doc[n.At:n.At+5] != "88.88" {
		t.Errorf("n: %+v", n)
	}
	if got := string(v.Get("o").Raw); got != `{"z":[1,{"q":null}],"t":true}` {
		t.Errorf("o: %s", got)
	}
	if items := v.Get("o").Get("z").Items(); len(items) != 2 || items[1].Get("q").Kind != strictjson.Null {
		t.Errorf("z: %+v", items)
	}
	if v.Get("A").Kind != strictjson.Missing || v.Get("none").Kind != strictjson.Missing {
		t.Error("a name that is not there is found")
	}
	members, err := strictjson.Members([]byte(doc))
	if err != nil || len(members) != 5 || members[2].Name != "o" || members[2].Value.Get("t").Kind != strictjson.Missing {
		t.Errorf("members: %+v, %v", members, err)
	}
}

func TestRefused(t *testing.T) {
	for name, doc := range map[string]string{
		"empty":              ``,
		"cut":                `{"a":1`,
		"cut in a text":      `{"a":"1`,
		"duplicate":          `{"a":1,"a":2}`,
		"duplicate, escaped": `{"a":1,"\u0061":2}`,
		"case":               `{"code":1,"Code":2}`,
		"case of Kelvin":     "{\"k\":1,\"\u212a\":2}",
		"case of long s":     "{\"s\":1,\"\u017f\":2}",
		"inner duplicate":    `{"o":[{"a":1,"a":2}]}`,
		"trailing":           `{"a":1}x`,
		"second document":    `{"a":1}{"a":2}`,
		"trailing comma":     `{"a":1,}`,
		"array comma":        `[1,]`,
		"leading comma":      `{,"a":1}`,
		"no comma":           `{"a":1 "b":2}`,
		"no colon":           `{"a" 1}`,
		"no quotes":          `{a:1}`,
		"single quotes":      `{'a':1}`,
		"comment":            `{"a":1/**/}`,
		"leading zero":       `{"a":01}`,
		"plus":               `{"a":+1}`,
		"bare point":         `{"a":.5}`,
		"no decimals":        `{"a":1.}`,
		"hex":                `{"a":0x10}`,
		"NaN":                `{"a":NaN}`,
		"huge exponent":      `{"a":1e999}`,
		"empty exponent":     `{"a":1e}`,
		"long number":        `{"a":` + strings.Repeat("9", 33) + `}`,
		"control":            "{\"a\":\"\x01\"}",
		"line break in text": "{\"a\":\"\n\"}",
		"bad UTF-8":          "{\"a\":\"\xff\"}",
		"lone high":          `{"a":"\ud800"}`,
		"lone low":           `{"a":"\udc00"}`,
		"high and text":      `{"a":"\ud800x"}`,
		"high and no low":    `{"a":"\ud800\u0041"}`,
		"bad escape":         `{"a":"\q"}`,
		"short escape":       `{"a":"\u12"}`,
		"deep":               strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
		"deep arrays":        strings.Repeat(`[`, 100000),
		"many":               `[` + strings.Repeat("1,", 5000) + `1]`,
		"long":               `{"a":"` + strings.Repeat("x", strictjson.MaxBytes) + `"}`,
		"no-break space":     "{\"a\":\u00a01}",
		"words":              `{"a":nullx}`,
		"Pascal":             `{"a":True}`,
	} {
		_, err := strictjson.Parse([]byte(doc))
		var at *strictjson.Error
		if !errors.As(err, &at) || at.At < 0 || at.At > len(doc) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := strictjson.Members([]byte(doc)); err == nil {
			t.Errorf("%s: Members accepts it", name)
		}
	}
	for _, doc := range []string{`[]`, `"a"`, `1`, `null`} {
		if _, err := strictjson.Parse([]byte(doc)); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		if _, err := strictjson.Members([]byte(doc)); err == nil {
			t.Errorf("%s has members", doc)
		}
	}
}

// The seed's own sample (004 §6.1) lacks a quote; the place is told.
func TestSeedSampleNamesThePlace(t *testing.T) {
	const doc = `{"memo":"备注","biz_code:"20170408"}`
	_, err := strictjson.Parse([]byte(doc))
	var at *strictjson.Error
	if !errors.As(err, &at) || at.At != strings.Index(doc, `20170408`) {
		t.Errorf("error %v", err)
	}
}

func TestScalar(t *testing.T) {
	v, err := strictjson.Parse([]byte(`{"s":"x","n":1.50,"z":null,"b":true,"o":{},"a":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"s": "x", "n": "1.50", "z": "", "none": ""} {
		if got, err := v.Get(name).Scalar(); got != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"b", "o", "a"} {
		if _, err := v.Get(name).Scalar(); err == nil {
			t.Errorf("%s is taken for a text", name)
		}
	}
}

func TestCompact(t *testing.T) {
	const doc = " { \"a b\" : \"x \\\" y \\\\\" ,\n\t\"n\" : [ 1 , 2 ] }\r\n"
	if got, want := string(strictjson.Compact([]byte(doc))), `{"a b":"x \" y \\","n":[1,2]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func seeds(f *testing.F) {
	for _, doc := range []string{
		`{"app_id":"2014072300007148","method":"lc.trade.cancel","code":"","biz_content":{"sub_code":"","trade_no":"2016082221001004590259242589","retry_flag":"N","action":"close"},"sign_type":"rsa"}`,
		`{"a":1,"a":2}`, `{"a":"\ud83d\ude00"}`, `[1,2.50,-3e7,null,true,false,"x"]`, "\ufeff{ \"K\" : { } }", `{"a":{"b":[{"c":[[]]}]}}`,
	} {
		f.Add([]byte(doc))
	}
}

// FuzzDifferential holds the reader to encoding/json: what is accepted must be
// accepted there too and say the same, and Members must agree with Parse.
func FuzzDifferential(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		v, err := strictjson.Parse(doc)
		members, shallowErr := strictjson.Members(doc)
		if err != nil {
			if shallowErr == nil {
				t.Fatalf("Members accepts what Parse refuses: %v", err)
			}
			return
		}
		bare := bytes.TrimPrefix(doc, []byte("\ufeff"))
		dec := json.NewDecoder(bytes.NewReader(bare))
		dec.UseNumber()
		var std any
		if err := dec.Decode(&std); err != nil {
			t.Fatalf("accepted, but encoding/json says: %v", err)
		}
		if !json.Valid(bare) {
			t.Fatal("accepted, but not valid")
		}
		same(t, v, std)
		var compact bytes.Buffer
		if err := json.Compact(&compact, bare); err != nil || !bytes.Equal(compact.Bytes(), strictjson.Compact(bare)) {
			t.Fatalf("compact: %s, want %s", strictjson.Compact(bare), compact.Bytes())
		}
		if v.Kind != strictjson.Object {
			return
		}
		if shallowErr != nil || len(members) != len(v.Members()) {
			t.Fatalf("Members: %d of %d, %v", len(members), len(v.Members()), shallowErr)
		}
		for i, m := range members {
			if full := v.Members()[i]; m.Name != full.Name || m.Value.Text != full.Value.Text || !bytes.Equal(m.Value.Raw, full.Value.Raw) || m.Value.At != full.Value.At {
				t.Fatalf("member %d differs", i)
			}
		}
	})
}

func same(t *testing.T, v strictjson.Value, std any) {
	t.Helper()
	switch s := std.(type) {
	case nil:
		if v.Kind != strictjson.Null {
			t.Fatal("null")
		}
	case bool:
		if v.Kind != strictjson.Bool || (v.Text == "true") != s {
			t.Fatal("bool")
		}
	case json.Number:
		if v.Kind != strictjson.Number || v.Text != s.String() {
			t.Fatalf("number %q, want %q", v.Text, s)
		}
	case string:
		if v.Kind != strictjson.String || v.Text != s || !utf8.ValidString(s) {
			t.Fatalf("string %q, want %q", v.Text, s)
		}
	case []any:
		if v.Kind != strictjson.Array || len(v.Items()) != len(s) {
			t.Fatal("array")
		}
		for i, e := range s {
			same(t, v.Items()[i], e)
		}
	case map[string]any:
		if v.Kind != strictjson.Object || len(v.Members()) != len(s) {
			t.Fatal("object")
		}
		for name, e := range s {
			same(t, v.Get(name), e)
		}
	}
}
