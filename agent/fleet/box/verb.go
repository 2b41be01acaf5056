package box

import (
	"context"
	"encoding/json"
	"errors"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Verb is something that the fleet may order. The table of who may order it is
// fleet.RoleFor; a verb without a rôle is never carried out.
type Verb struct {
	Name string
	// Schema is the JSON schema of the arguments, shown at cap/<verb>.
	Schema string
	// Disturbs makes the command wait, as accepted, until the payment lock is
	// free or the command expires.
	Disturbs bool
	// Do carries the command out; its result goes to state, as JSON. An error
	// made by [Fail] carries a code; any other is told as "failed". It may block;
	// ctx ends with the box, and the command is taken up by Resume then.
	Do func(ctx context.Context, c fleet.Command, r Runner) (result any, err error)
	// Resume is called once after a restart for a command that was running;
	// note is the newest one that Do left, nil if there is none. Where Resume is
	// nil the command has failed.
	Resume func(ctx context.Context, c fleet.Command, note json.RawMessage) (result any, err error)
}

// Runner is what a command that is carried out may do besides its own work.
type Runner interface {
	// Progress tells how far it is, in percent, with words for people.
	Progress(percent int, text string)
	// Note makes v durable before a step that may end the process.
	Note(v any) error
	// Restart ends the process after everything is durable; the service manager
	// starts it again. Do returns right after it, and what it returns is not
	// looked at: Resume tells how it went.
	Restart(why string)
	// Data sends a large result in pieces to cmd/<verb>/<id>/data/<n>, n from 0.
	// It returns when the broker has them all.
	Data(ctx context.Context, all []byte) (pieces int, err error)
}

// Lock is the payment lock; agent.Quiet is one.
type Lock = trial.Lock

// Fail makes an error that carries a stable code for the state of a command,
// e.g. "bad_args", and words for people.
func Fail(code, text string) error { return trial.Refuse(code, "%s", text) }

// failureOf gives code and words of an error.
func failureOf(err error) (code, text string) {
	var r *trial.Refusal
	if errors.As(err, &r) {
		return r.Code, err.Error()
	}
	return "failed", err.Error()
}
