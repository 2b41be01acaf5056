package main

import (
	"context"
	"encoding/json"
	"errors"

	"payagent/agent/config"
	"payagent/agent/desired"
	"payagent/agent/fleet"
	fleetbox "payagent/agent/fleet/box"
	"payagent/agent/trial"
	"payagent/agent/update"
)

// verbs are what the fleet may order about program and configuration.
func (x *exchange) verbs(b *assembly, c config.Config) []fleetbox.Verb {
	return []fleetbox.Verb{
		{Name: fleet.VerbUpdate, Schema: update.Schema,
			// It waits for the tills itself: fetching disturbs nobody.
			Do: func(ctx context.Context, cmd fleet.Command, r fleetbox.Runner) (any, error) {
				if x.trying() {
					return nil, fleetbox.Fail("busy", "cannot update: something new must prove itself first; order it again in two minutes")
				}
				client, err := downloads(c)
				if err != nil {
					return nil, err
				}
				return nil, asFailure(x.updates.Order(ctx, cmd.Args, b.service, r, func(f fleet.File) []update.Source { return update.Addresses(client, f) }))
			},
			Resume: func(ctx context.Context, _ fleet.Command, note json.RawMessage) (any, error) {
				r, err := x.updates.Resume(ctx, note)
				return r, asFailure(err)
			}},
		{Name: fleet.VerbConfigApply, Schema: desired.Schema, Disturbs: true,
			Do: func(_ context.Context, cmd fleet.Command, r fleetbox.Runner) (any, error) {
				if x.trying() {
					return nil, fleetbox.Fail("busy", "cannot apply: something new must prove itself first; order it again in two minutes")
				}
				return nil, asFailure(x.files.Order(cmd.Args, b.service, r))
			}, Resume: x.configResumed},
		{Name: fleet.VerbConfigRollback, Schema: desired.BackSchema, Disturbs: true,
			Do: func(_ context.Context, cmd fleet.Command, r fleetbox.Runner) (any, error) {
				if err := fleetbox.Args(cmd, &struct{}{}); err != nil {
					return nil, err
				}
				return nil, asFailure(x.files.OrderBack(r))
			}, Resume: x.configResumed},
	}
}

func (x *exchange) configResumed(ctx context.Context, _ fleet.Command, note json.RawMessage) (any, error) {
	r, err := x.files.Resume(ctx, note)
	return r, asFailure(err)
}

// asFailure gives the fleet the code of an error.
func asFailure(err error) error {
	var r *trial.Refusal
	if errors.As(err, &r) {
		return fleetbox.Fail(r.Code, err.Error())
	}
	return err
}

// twin is what a box tells about its program and its configuration.
func (x *exchange) twin() map[string]any {
	out := map[string]any{}
	if st, err := x.updates.State(); err == nil {
		out["update"] = st
	}
	return out
}
