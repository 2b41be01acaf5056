// Package fleettest holds messages of boxes to the schemas in docs/mqtt.md. It
// is for tests only.
package fleettest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/uplink"
)

// Docs are the schemas of the page, by what they are of: topic=…, batch=…,
// data=…, payload=…, result=….
type Docs struct {
	root    string
	schemas map[string]map[string]any
	seen    map[string]int
}

// Read takes the schemas out of the page.
func Read(page, root string) (*Docs, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, fmt.Errorf("cannot read the page: %w", err)
	}
	d := &Docs{root: root, schemas: map[string]map[string]any{}, seen: map[string]int{}}
	for _, m := range regexp.MustCompile("(?s)```json ([a-z]+=\\S+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		var schema map[string]any
		if err := json.Unmarshal([]byte(m[2]), &schema); err != nil {
			return nil, fmt.Errorf("cannot read the schema %s: %w", m[1], err)
		}
		d.schemas[m[1]] = schema
	}
	if len(d.schemas) < 20 {
		return nil, fmt.Errorf("only %d schemas were found", len(d.schemas))
	}
	return d, nil
}

// Check holds one message to the page; an empty one clears what is retained.
func (d *Docs) Check(m uplink.Message) error {
	_, levels, ok := fleet.Split(d.root, m.Topic)
	if !ok {
		return fmt.Errorf("%s is below no box", m.Topic)
	}
	below := strings.Join(levels, "/")
	for name, schema := range d.schemas {
		filter, is := strings.CutPrefix(name, "topic=")
		if !is || !uplink.Fits(filter, below) {
			continue
		}
		if len(m.Payload) == 0 {
			d.seen[name]++
			return nil
		}
		if batch := "batch=" + filter; d.schemas[batch] != nil && m.Payload[0] == '[' {
			return d.batch(batch, m)
		}
		d.seen[name]++
		if err := d.valid(m.Topic, schema, m.Payload); err != nil {
			return err
		}
		return d.inside(levels, m)
	}
	return fmt.Errorf("the page has nothing about %s", m.Topic)
}

// batch checks a message that holds several, and each of them.
func (d *Docs) batch(name string, m uplink.Message) error {
	d.seen[name]++
	if err := d.valid(m.Topic, d.schemas[name], m.Payload); err != nil {
		return err
	}
	for one, err := range fleet.Events(m.Payload) {
		if err == nil {
			err = d.Check(uplink.Message{Topic: m.Topic, Payload: one})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inside checks what is within a message.
func (d *Docs) inside(levels []string, m uplink.Message) error {
	switch {
	case levels[0] == fleet.LevelEvent:
		var e fleet.Event
		if err := json.Unmarshal(m.Payload, &e); err != nil {
			return err
		}
		for _, kind := range []string{"data=payagent.order", "data=payagent.alarm", "data=payagent.gap"} {
			if strings.HasPrefix(e.Type, strings.TrimPrefix(kind, "data=")+".") {
				d.seen[kind]++
				return d.valid(m.Topic+" data", d.schemas[kind], e.Data)
			}
		}
		return fmt.Errorf("%s: the page has no event %s", m.Topic, e.Type)
	case levels[0] == fleet.LevelOpen:
		var x struct {
			Payload []byte `json:"payload"`
		}
		if err := json.Unmarshal(m.Payload, &x); err != nil {
			return err
		}
		d.seen["payload=open"]++
		return d.valid(m.Topic+" payload", d.schemas["payload=open"], x.Payload)
	case levels[len(levels)-1] == "req":
		var e signed.Envelope
		if err := json.Unmarshal(m.Payload, &e); err != nil {
			return err
		}
		payload, err := signedPayload(e)
		if err != nil {
			return err
		}
		d.seen["payload=command"]++
		return d.valid(m.Topic+" payload", d.schemas["payload=command"], payload)
	case levels[0] == fleet.LevelCommand && (levels[1] == fleet.VerbDiag || levels[1] == fleet.VerbLogUpload) && levels[len(levels)-1] == "state":
		var s fleet.CommandState
		if err := json.Unmarshal(m.Payload, &s); err != nil || s.Result == nil {
			return err
		}
		d.seen["result=pieces"]++
		return d.valid(m.Topic+" result", d.schemas["result=pieces"], s.Result)
	}
	return nil
}

// Unseen lists what the page has and no message was of.
func (d *Docs) Unseen() []string {
	var list []string
	for name := range d.schemas {
		if d.seen[name] == 0 {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func (d *Docs) valid(where string, schema map[string]any, data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := Valid(schema, v); err != nil {
		return fmt.Errorf("%s: %w\n%s", where, err, data)
	}
	return nil
}

// Valid holds a value to a schema, as far as the page uses JSON schema.
func Valid(schema map[string]any, v any) error {
	if list, ok := schema["enum"].([]any); ok && !slices.Contains(list, v) {
		return fmt.Errorf("%v is none of %v", v, list)
	}
	switch kind, _ := schema["type"].(string); kind {
	case "":
		return nil
	case "string":
		s, ok := v.(string)
		if ok && schema["format"] == "date-time" {
			_, err := time.Parse(time.RFC3339, s)
			ok = err == nil
		}
		return must(ok, kind, v)
	case "boolean":
		_, ok := v.(bool)
		return must(ok, kind, v)
	case "number":
		_, ok := v.(float64)
		return must(ok, kind, v)
	case "integer":
		n, ok := v.(float64)
		return must(ok && n == math.Trunc(n), kind, v)
	case "array":
		list, ok := v.([]any)
		if least, is := schema["minItems"].(float64); is && len(list) < int(least) {
			return fmt.Errorf("%d are fewer than %v", len(list), least)
		}
		if most, is := schema["maxItems"].(float64); is && len(list) > int(most) {
			return fmt.Errorf("%d are more than %v", len(list), most)
		}
		items, _ := schema["items"].(map[string]any)
		for i, x := range list {
			if err := Valid(items, x); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return must(ok, kind, v)
	case "object":
		return object(schema, v)
	default:
		return fmt.Errorf("the schema has the type %q", kind)
	}
}

func object(schema map[string]any, v any) error {
	m, ok := v.(map[string]any)
	if !ok {
		return must(false, "object", v)
	}
	required, _ := schema["required"].([]any)
	for _, k := range required {
		if _, ok := m[k.(string)]; !ok {
			return fmt.Errorf("%v is missing", k)
		}
	}
	props, _ := schema["properties"].(map[string]any)
	for k, x := range m {
		sub, known := props[k].(map[string]any)
		if !known {
			more, has := schema["additionalProperties"]
			if more == false {
				return fmt.Errorf("%s is not on the page", k)
			}
			if sub, known = more.(map[string]any); !has || !known {
				continue
			}
		}
		if err := Valid(sub, x); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return nil
}

func must(ok bool, kind string, v any) error {
	if !ok {
		return fmt.Errorf("%v is no %s", v, kind)
	}
	return nil
}

func signedPayload(e signed.Envelope) ([]byte, error) {
	var out []byte
	return out, json.Unmarshal([]byte(`"`+e.Payload+`"`), &out)
}
