package box

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"payagent/agent"
	"payagent/agent/diag"
	"payagent/agent/fleet"
	"payagent/devices"
)

// noArgs is the schema of verbs without arguments.
const noArgs = `{"type":"object","additionalProperties":false}`

// Args reads a command's arguments strictly; none is an empty object. Its
// errors are ready for the command's state.
func Args(c fleet.Command, v any) error {
	if len(c.Args) == 0 {
		return nil
	}
	if err := fleet.Unmarshal(c.Args, v); err != nil {
		return Fail("bad_args", err.Error()+"; see cap/"+c.Verb)
	}
	return nil
}

// Restart is the verb restart: the process ends and the service manager starts
// it again.
func Restart() Verb {
	return Verb{Name: fleet.VerbRestart, Schema: noArgs, Disturbs: true,
		Do: func(_ context.Context, c fleet.Command, r Runner) (any, error) {
			if err := Args(c, &struct{}{}); err != nil {
				return nil, err
			}
			r.Restart("the fleet ordered it: " + c.ID)
			return nil, nil
		},
		// That it runs again is the proof.
		Resume: func(context.Context, fleet.Command, json.RawMessage) (any, error) {
			return map[string]bool{"restarted": true}, nil
		}}
}

// ResolveNow is the verb orders.resolve_now: queries that are owed are made now.
func ResolveNow(a *agent.Agent) Verb {
	return Verb{Name: fleet.VerbResolveNow, Schema: noArgs,
		Do: func(ctx context.Context, c fleet.Command, _ Runner) (any, error) {
			if err := Args(c, &struct{}{}); err != nil {
				return nil, err
			}
			owed := len(a.Open())
			if err := a.ResolveAll(ctx); err != nil {
				return nil, err
			}
			return map[string]int{"orders": owed}, nil
		}}
}

// testLimit bounds the test of one device.
const testLimit = 10 * time.Second

// TestDevices is the verb devices.test: displays show their test screen, and
// each other device does the actions that are named. Without arguments every
// display is tried and every scanner is asked for a sign of life.
func TestDevices(a *agent.Agent) Verb {
	const schema = `{"type":"object","additionalProperties":false,"properties":{` +
		`"device":{"type":"string","description":"its name; all where it is missing"},` +
		`"action":{"type":"string","description":"one of the actions in dev/<till>.<device>; show for displays where it is missing"}}}`
	type result struct {
		Device  string `json:"device"`
		Action  string `json:"action,omitempty"`
		Present bool   `json:"present"`
		OK      bool   `json:"ok"`
		Error   string `json:"error,omitempty"`
	}
	return Verb{Name: fleet.VerbDevicesTest, Schema: schema,
		Do: func(ctx context.Context, c fleet.Command, r Runner) (any, error) {
			var args struct {
				Device string `json:"device"`
				Action string `json:"action"`
			}
			if err := Args(c, &args); err != nil {
				return nil, err
			}
			list := []result{}
			bad := false
			for _, d := range a.Devices() {
				if args.Device != "" && args.Device != d.Name {
					continue
				}
				x := result{Device: d.Till + "." + d.Name, Action: args.Action, Present: d.Present, OK: d.Present}
				if x.Action == "" && d.Kind == agent.KindDisplay {
					x.Action = agent.ShowTest
				}
				if x.Action != "" {
					call, stop := context.WithTimeout(ctx, testLimit)
					err := a.TestDevice(call, d.Name, x.Action)
					stop()
					x.OK, x.Error = err == nil, whyNot(err)
				} else if !d.Present {
					x.Error = d.Reason
				}
				bad = bad || !x.OK
				list = append(list, x)
			}
			if len(list) == 0 {
				return nil, Fail("no_device", "there is no device of that name; see dev/")
			}
			if bad && args.Device != "" {
				return nil, Fail("device_failed", list[0].Device+": "+list[0].Error)
			}
			return map[string]any{"devices": list}, nil
		}}
}

// whyNot is a stable word for why a device's test failed.
func whyNot(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, agent.ErrInUse):
		return "in_use"
	case errors.Is(err, devices.ErrNoAction):
		return "no_action"
	case errors.Is(err, devices.ErrGone):
		return "gone"
	}
	return "failed"
}

// UploadLog is the verb log.upload: lines of the agent's log file, packed. The
// log holds no patient and no secret by what may be written to it.
func UploadLog(log diag.Log) Verb {
	const schema = `{"type":"object","additionalProperties":false,"properties":{` +
		`"from":{"type":"string","format":"date-time"},"to":{"type":"string","format":"date-time"},` +
		`"pattern":{"type":"string","maxLength":200,"description":"regular expression (RE2) that lines must match"},` +
		`"lines":{"type":"integer","minimum":1,"maximum":200000,"description":"the newest so many; 10000 where it is missing"}}}`
	return Verb{Name: fleet.VerbLogUpload, Schema: schema,
		Do: func(ctx context.Context, c fleet.Command, r Runner) (any, error) {
			var q diag.LogQuery
			if err := Args(c, &q); err != nil {
				return nil, err
			}
			data, lines, cut, err := log.Pack(ctx, q, maxData)
			if err != nil {
				return nil, Fail("no_log", err.Error())
			}
			return send(ctx, r, data, fleet.Pieces{Format: "gzip", Lines: lines, Cut: cut})
		}}
}

// Diagnose is the verb diag: the bundle that payagent diag writes.
func Diagnose(s diag.Sources) Verb {
	return Verb{Name: fleet.VerbDiag, Schema: noArgs,
		Do: func(ctx context.Context, c fleet.Command, r Runner) (any, error) {
			if err := Args(c, &struct{}{}); err != nil {
				return nil, err
			}
			data, err := s.Bundle(ctx, maxData)
			if err != nil {
				return nil, err
			}
			return send(ctx, r, data, fleet.Pieces{Format: "zip"})
		}}
}

func send(ctx context.Context, r Runner, data []byte, p fleet.Pieces) (any, error) {
	sum := sha256.Sum256(data)
	p.Bytes, p.SHA256 = len(data), hex.EncodeToString(sum[:])
	var err error
	p.Pieces, err = r.Data(ctx, data)
	return p, err
}
