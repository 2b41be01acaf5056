package plainjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"payagent/agent/order"
)

// same holds Read to json.Unmarshal, and gives whether encoding/json was needed.
func same[T any](t *testing.T, data string) (plain bool) {
	t.Helper()
	r := New[T]()
	var want T
	var got, alone T
	wrong := json.Unmarshal([]byte(data), &want)
	// What was there before does not shine through.
	filled := reflect.ValueOf(&got).Elem()
	fill(filled, 7)
	err := r.Read([]byte(data), &got)
	if fmt.Sprint(err) != fmt.Sprint(wrong) {
		t.Fatalf("%s: %v, not %v", data, err, wrong)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %+v, not %+v", data, got, want)
	}
	if plain = r.plain([]byte(data), &alone); plain && wrong != nil {
		t.Fatalf("%s was read, although %v", data, wrong)
	}
	return plain
}

// fill gives every field that JSON has a value.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("值", n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n + 1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n+i)
		}
	case reflect.Uint8:
		v.SetUint(uint64(n))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n+i)
			}
		}
	}
}

// TestFacts: every field of a fact, whatever is added, is read without
// encoding/json, alone and with all others.
func TestFacts(t *testing.T) {
	var whole order.Fact
	fill(reflect.ValueOf(&whole).Elem(), 1)
	try := func(f order.Fact) {
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if !same[order.Fact](t, string(data)) {
			t.Errorf("%s is left to encoding/json", data)
		}
	}
	try(whole)
	try(order.Fact{})
	all := reflect.ValueOf(whole)
	for i := range all.NumField() {
		var one order.Fact
		reflect.ValueOf(&one).Elem().Field(i).Set(all.Field(i))
		try(one)
	}
}

type inner struct {
	N int8   `json:"n"`
	S string `json:"s,omitempty"`
}

type embeds struct{ inner }

type self string

func (s *self) UnmarshalJSON(data []byte) error { *s = self("self " + string(data)); return nil }

type value struct {
	A     string   `json:"a"`
	B     int64    `json:"b"`
	C     *inner   `json:"c"`
	D     []inner  `json:"d"`
	E     []byte   `json:"e"`
	F     bool     `json:"f"`
	G     []string `json:"g"`
	Name  string
	Gone  int     `json:"-"`
	Float float64 `json:"float"`
	Self  self    `json:"self"`
	Quote int     `json:"quote,string"`
}

// samples are texts that both read, or both do not.
func samples() []string {
	return []string{
		`{}`, `{"a":"x"}`, `{"a":""}`, `{"a":"患者","b":-12,"c":{"n":3},"d":[{"n":1},{"n":2,"s":"y"}],"e":"AQI=","f":true,"g":["p","q"],"Name":"z"}`,
		`{"b":0}`, `{"b":-0}`, `{"b":00}`, `{"b":01}`, `{"b":-}`, `{"b":1.5}`, `{"b":1e3}`, `{"b":999999999999999999}`, `{"b":9223372036854775807}`, `{"b":9223372036854775808}`,
		`{"c":{"n":127}}`, `{"c":{"n":128}}`, `{"c":null}`, `{"c":{}}`, `{"d":[]}`, `{"d":null}`, `{"d":[{}]}`, `{"d":[{},]}`, `{"d":[`, `{"e":""}`, `{"e":"A"}`, `{"e":"AQI"}`, `{"e":null}`,
		`{"f":false}`, `{"f":tru}`, `{"f":1}`, `{"g":[]}`, `{"g":["a" ,"b"]}`, `{"a":"\u003c"}`, `{"a":"tab	"}`, "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", `{"a":"x`, `{"a":x}`, `{"a":1}`,
		`{"b":1,"a":"x"}`, `{"a":"x","a":"y"}`, `{"A":"x"}`, `{"unknown":1}`, `{"a":"x","unknown":{"n":[1]}}`, `{"c":{"n":1},"c":{"s":"x"}}`, ` {"a":"x"}`, `{"a":"x"} `, `{"a":"x"}x`, `{"a":"x",}`, `{,}`,
		`{"Gone":1}`, `{"-":1}`, `{"float":1.5}`, `{"self":"x"}`, `{"quote":"5"}`, `{"quote":5}`, ``, `null`, `[]`, `"x"`, `{`, `{"`, `{"a`, `{"a":`, `{"a":"x"`, `{"b":1`, `{"b":`,
	}
}

func TestSame(t *testing.T) {
	type plainer struct {
		A string   `json:"a"`
		B int64    `json:"b"`
		C *inner   `json:"c"`
		D []inner  `json:"d"`
		E []byte   `json:"e"`
		F bool     `json:"f"`
		G []string `json:"g"`
		N string   `json:"Name"`
	}
	fast := 0
	for _, s := range samples() {
		same[value](t, s)
		same[embeds](t, s)
		same[inner](t, s)
		if same[plainer](t, s) {
			fast++
		}
	}
	if fast < 12 {
		t.Error(fast, "of the samples were read without encoding/json")
	}
	if !same[inner](t, `{"n":-128,"s":"x"}`) || same[embeds](t, `{"n":1}`) || same[value](t, `{"quote":"5"}`) || same[value](t, `{"float":1}`) || same[value](t, `{"self":1}`) {
		t.Error("something is read, or not read, by itself")
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range samples() {
		f.Add([]byte(s))
	}
	var whole order.Fact
	fill(reflect.ValueOf(&whole).Elem(), 1)
	data, err := json.Marshal(whole)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		same[order.Fact](t, string(data))
		same[value](t, string(data))
	})
}

func BenchmarkRead(b *testing.B) {
	var whole order.Fact
	fill(reflect.ValueOf(&whole).Elem(), 1)
	data, err := json.Marshal(whole)
	if err != nil {
		b.Fatal(err)
	}
	r := New[order.Fact]()
	for name, read := range map[string]func([]byte, *order.Fact) error{"plain": r.Read, "json": func(data []byte, f *order.Fact) error { return json.Unmarshal(data, f) }} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var f order.Fact
				if err := read(data, &f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
