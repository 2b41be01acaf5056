package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"payagent/agent/fleet/hub"
)

// hubQuarantine prints what the hub keeps aside because it cannot read it; exit
// code 4 where there is something.
func hubQuarantine(ctx context.Context, q hubOptions, o *hubConfig, c console) (err error) {
	var body bytes.Buffer
	store, err := o.openStore(ctx)
	switch {
	case hubBusy(err):
		if err := askQuarantine(ctx, q, o, &body); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, store.Close()) }()
		settings, serr := o.settings()
		if serr != nil {
			return serr
		}
		h, herr := hub.New(settings, store, nil)
		if herr != nil {
			return herr
		}
		if err := h.WriteQuarantine(ctx, &body, q.raw); err != nil {
			return err
		}
	}
	var found struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body.Bytes(), &found); err != nil {
		return errors.New("cannot understand the hub's answer: is it another program?")
	}
	if _, err := c.out.Write(body.Bytes()); err != nil {
		return err
	}
	if len(found.Events) > 0 {
		return exitCode(4)
	}
	return nil
}

// askQuarantine asks the hub that runs.
func askQuarantine(ctx context.Context, q hubOptions, o *hubConfig, to io.Writer) error {
	if !o.Health.listener().On() {
		return errors.New("cannot open the hub's file while the hub runs, nor ask it: it has no health.listen")
	}
	at := url.URL{Scheme: "http", Host: o.Health.Listen[0], Path: "/quarantine"}
	if q.raw {
		at.RawQuery = "raw=1"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{}, Timeout: time.Minute}).Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask the running hub: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000)) // what there is of it
		return fmt.Errorf("cannot list the quarantine: %s", strings.TrimSpace(string(text)))
	}
	if _, err := io.Copy(to, resp.Body); err != nil {
		return fmt.Errorf("cannot read the hub's answer: %w", err)
	}
	return nil
}
