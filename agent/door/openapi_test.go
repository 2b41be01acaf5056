package door_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/door"
)

// spec is openapi.json with the part of JSON Schema 2020-12 that it uses. A
// keyword that this reader does not know is an error, so that nothing in the
// file goes unchecked.
type spec struct {
	root map[string]any
	mu   sync.Mutex
	seen map[string]bool // method path status
}

func loadSpec(t testing.TB) *spec {
	t.Helper()
	s := &spec{seen: map[string]bool{}}
	if err := json.Unmarshal(door.OpenAPI(), &s.root); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *spec) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = s.root
	for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		next, _ := at.(map[string]any)
		at = next[part]
	}
	m, _ = at.(map[string]any)
	return m
}

// match finds the path template of a request.
func (s *spec) match(path string) (string, bool) {
	paths := s.root["paths"].(map[string]any)
	if _, ok := paths[path]; ok {
		return path, true
	}
	for _, template := range slices.Sorted(maps.Keys(paths)) {
		form := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		if regexp.MustCompile("^" + form + "$").MatchString(path) {
			return template, true
		}
	}
	return "", false
}

// check holds an answer to the description. Paths and methods that are not in
// it may only be answered by the common problem.
func (s *spec) check(method, path string, status int, head http.Header, body []byte) error {
	var response map[string]any
	template, ok := s.match(path)
	if ok {
		paths := s.root["paths"].(map[string]any)
		op, _ := paths[template].(map[string]any)[strings.ToLower(method)].(map[string]any)
		responses, _ := op["responses"].(map[string]any)
		response = s.resolve(responses[fmt.Sprint(status)])
		if response != nil {
			s.mu.Lock()
			s.seen[fmt.Sprint(method, " ", template, " ", status)] = true
			s.mu.Unlock()
		} else if status < 400 {
			return fmt.Errorf("%s %s: %d is not described", method, template, status)
		}
	} else if status < 400 {
		return fmt.Errorf("%s is not described", path)
	}
	if response == nil {
		response = s.resolve(map[string]any{"$ref": "#/components/responses/Problem"})
	}
	headers, _ := response["headers"].(map[string]any)
	for name, v := range headers {
		h := s.resolve(v)
		got := head.Get(name)
		if got == "" {
			if h["required"] == true && status != 503 || h["required"] == true && status == 503 && !strings.Contains(string(body), "store_stopped") {
				return fmt.Errorf("header %s is missing", name)
			}
			continue
		}
		if err := s.schema(h["schema"], got, name); err != nil {
			return err
		}
	}
	for _, name := range []string{"Idempotent-Replayed", "Location"} {
		if _, ok := headers[name]; !ok && head.Get(name) != "" {
			return fmt.Errorf("header %s is not described for %s %s %d", name, method, template, status)
		}
	}
	content := response["content"].(map[string]any)
	kind, _, _ := strings.Cut(head.Get("Content-Type"), ";")
	media, ok := content[kind].(map[string]any)
	if !ok {
		return fmt.Errorf("%s %s %d: content type %q is not described", method, template, status, kind)
	}
	if kind != "application/json" && kind != "application/problem+json" {
		return nil
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return s.schema(media["schema"], v, "")
}

// component checks a value against a named schema.
func (s *spec) component(name string, data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	return s.schema(map[string]any{"$ref": "#/components/schemas/" + name}, v, name)
}

func (s *spec) schema(raw, v any, at string) error {
	m := s.resolve(raw)
	if m == nil {
		return fmt.Errorf("%s: there is no such schema: %v", at, raw)
	}
	for key, arg := range m {
		if err := s.keyword(m, key, arg, v, at); err != nil {
			return err
		}
	}
	return nil
}

func (s *spec) keyword(m map[string]any, key string, arg, v any, at string) error {
	text, isText := v.(string)
	number, isNumber := v.(float64)
	object, isObject := v.(map[string]any)
	list, isList := v.([]any)
	bad := func(format string, args ...any) error { return fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)) }
	switch key {
	case "description", "$schema", "contentEncoding":
	case "type":
		_, isBool := v.(bool)
		ok := map[string]bool{"string": isText, "integer": isNumber && number == math.Trunc(number), "object": isObject, "array": isList, "boolean": isBool}[arg.(string)]
		if !ok {
			return bad("%v is no %v", v, arg)
		}
	case "const":
		if v != arg {
			return bad("%v is not %v", v, arg)
		}
	case "enum":
		if !slices.Contains(arg.([]any), v) {
			return bad("%v is not one of %v", v, arg)
		}
	case "pattern":
		if isText && !regexp.MustCompile(arg.(string)).MatchString(text) {
			return bad("%q does not match %v", text, arg)
		}
	case "format":
		if arg != "date-time" {
			return bad("the format %v is not known to this test", arg)
		}
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return bad("%q is no time", text)
		}
	case "minLength", "maxLength":
		if n := float64(len([]rune(text))); isText && (key == "minLength" && n < arg.(float64) || key == "maxLength" && n > arg.(float64)) {
			return bad("%d characters", len(text))
		}
	case "minimum", "maximum":
		if isNumber && (key == "minimum" && number < arg.(float64) || key == "maximum" && number > arg.(float64)) {
			return bad("%v is out of bounds", number)
		}
	case "maxItems":
		if isList && float64(len(list)) > arg.(float64) {
			return bad("%d items", len(list))
		}
	case "items":
		for i, x := range list {
			if err := s.schema(arg, x, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "required":
		for _, name := range arg.([]any) {
			if _, ok := object[name.(string)]; isObject && !ok {
				return bad("%v is missing", name)
			}
		}
	case "properties":
		for name, sub := range arg.(map[string]any) {
			if x, ok := object[name]; ok {
				if err := s.schema(sub, x, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		known, _ := m["properties"].(map[string]any)
		for name, x := range object {
			if _, ok := known[name]; ok {
				continue
			}
			if arg == false {
				return bad("%s is not described", name)
			}
			if err := s.schema(arg, x, at+"."+name); err != nil {
				return err
			}
		}
	default:
		return bad("the keyword %s is not known to this test", key)
	}
	return nil
}

// unseen lists the answers that are described and that no test got.
func (s *spec) unseen() []string {
	var out []string
	for path, v := range s.root["paths"].(map[string]any) {
		for method, op := range v.(map[string]any) {
			for status := range op.(map[string]any)["responses"].(map[string]any) {
				name := strings.ToUpper(method) + " " + path + " " + status
				if status != "default" && !s.seen[name] {
					out = append(out, name)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// The description is whole: every reference leads somewhere, every schema uses
// only what the reader above knows, every operation has an id of its own.
func TestDescriptionIsSound(t *testing.T) {
	s := loadSpec(t)
	if s.root["openapi"] != "3.1.0" {
		t.Error("not OpenAPI 3.1")
	}
	used := map[string]bool{}
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				if s.resolve(v) == nil {
					t.Errorf("%s: %s leads nowhere", at, ref)
				}
			}
			for k, x := range v {
				walk(x, at+"/"+k)
			}
		case []any:
			for i, x := range v {
				walk(x, fmt.Sprint(at, "/", i))
			}
		}
	}
	walk(s.root, "")
	schemas := s.root["components"].(map[string]any)["schemas"].(map[string]any)
	for name, raw := range schemas {
		if !used["#/components/schemas/"+name] && name != "Gap" && name != "Till" {
			t.Errorf("nobody uses %s", name)
		}
		m := raw.(map[string]any)
		if props, ok := m["properties"].(map[string]any); ok {
			for _, r := range m["required"].([]any) {
				if props[r.(string)] == nil {
					t.Errorf("%s requires %v, which it does not describe", name, r)
				}
			}
		}
		for key, arg := range m {
			if err := s.keyword(m, key, arg, map[string]any{}, name); err != nil && strings.Contains(err.Error(), "not known to this test") {
				t.Error(err)
			}
		}
	}
	ids := map[string]bool{}
	for path, v := range s.root["paths"].(map[string]any) {
		for method, op := range v.(map[string]any) {
			id, _ := op.(map[string]any)["operationId"].(string)
			if id == "" || ids[id] {
				t.Errorf("%s %s has no id of its own", method, path)
			}
			ids[id] = true
		}
	}
}

// The reader sees wrong answers; otherwise the tests that use it prove nothing.
func TestReaderOfTheDescriptionSeesFaults(t *testing.T) {
	s := loadSpec(t)
	js, pj := http.Header{"Content-Type": {"application/json"}}, http.Header{"Content-Type": {"application/problem+json"}}
	if err := s.check("GET", "/healthz", 200, js, []byte(`{"status":"ok"}`)); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"value not in enum":      s.check("GET", "/healthz", 200, js, []byte(`{"status":"fine"}`)),
		"name too many":          s.check("GET", "/healthz", 200, js, []byte(`{"status":"ok","x":1}`)),
		"name missing":           s.check("GET", "/healthz", 200, js, []byte(`{}`)),
		"wrong type":             s.check("GET", "/v1/orders/1/refunds", 200, js, []byte(`{"refunds":[],"refunded_fen":"0","refundable_fen":0}`)),
		"fraction":               s.check("GET", "/v1/orders/1/refunds", 200, js, []byte(`{"refunds":[],"refunded_fen":0.5,"refundable_fen":0}`)),
		"negative":               s.check("GET", "/v1/orders/1/refunds", 200, js, []byte(`{"refunds":[],"refunded_fen":-1,"refundable_fen":0}`)),
		"item of wrong form":     s.check("GET", "/v1/orders", 200, js, []byte(`{"orders":[{}]}`)),
		"status not described":   s.check("GET", "/healthz", 202, js, []byte(`{"status":"ok"}`)),
		"path not described":     s.check("GET", "/v1/nothing", 200, js, []byte(`{}`)),
		"content type":           s.check("GET", "/healthz", 200, pj, []byte(`{"status":"ok"}`)),
		"problem of wrong form":  s.check("GET", "/v1/orders/1", 404, pj, []byte(`{}`)),
		"required header":        s.check("POST", "/v1/orders/1/refunds", 202, js, []byte(`{}`)),
		"time":                   s.schema(map[string]any{"format": "date-time"}, "now", ""),
		"pattern":                s.schema(map[string]any{"pattern": "^a$"}, "b", ""),
		"length":                 s.schema(map[string]any{"maxLength": 1.0}, "bb", ""),
		"const":                  s.schema(map[string]any{"const": "a"}, "b", ""),
		"reference to nothing":   s.schema(map[string]any{"$ref": "#/components/schemas/None"}, "b", ""),
		"keyword it cannot read": s.schema(map[string]any{"oneOf": []any{}}, "b", ""),
	} {
		if err == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}
