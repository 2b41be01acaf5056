package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"payagent/agent/fleet/sealed"
	"payagent/agent/seal"
	"payagent/uplink/mqtt/relay"
)

// sealingKey is a kind of private key that boxes seal to: base64 in a file that
// only its owner reads.
type sealingKey struct {
	command string // that makes one
	make    func() ([]byte, error)
	public  func(private []byte) (string, error) // as the boxes' configuration has it
}

// hubKeys open what is sealed of patients.
func hubKeys() sealingKey {
	return sealingKey{"payfleet hub key",
		func() ([]byte, error) {
			key, err := sealed.NewPrivate()
			if err != nil {
				return nil, err
			}
			return key.Bytes()
		},
		func(private []byte) (string, error) {
			key, err := sealed.ParsePrivate(private)
			if err != nil {
				return "", err
			}
			return key.Public().Text(), nil
		}}
}

// relayKeys open what boxes ask a relay.
func relayKeys() sealingKey {
	return sealingKey{"payfleet relay key", relay.NewKey,
		func(private []byte) (string, error) {
			public, err := relay.PublicKey(private)
			return base64.StdEncoding.EncodeToString(public), err
		}}
}

// show prints the public half of a key; where the file is missing it is made.
// It never replaces one.
func (k sealingKey) show(file string, out io.Writer) error {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		raw, err := k.make()
		if err != nil {
			return err
		}
		if err := seal.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(raw)+"\n")); err != nil {
			return err
		}
	}
	raw, err := k.read(file)
	if err != nil {
		return err
	}
	text, err := k.public(raw)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

// read gives the private key in a file.
func (k sealingKey) read(file string) ([]byte, error) {
	secret, err := seal.ReadKey(file, true)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(secret.Reveal()))
	if err == nil {
		_, err = k.public(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: it does not hold such a key; make one with %s", file, k.command)
	}
	return raw, nil
}
