package swap

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// proofFile holds the certificate of the box that is in the place of this one.
const proofFile = "replaced.pem"

// Replaced tells at the start whether another box is in the place of this one:
// what is in dir proves it, and the box's own certificate, in the file cert, is
// of no later enrolment. A new enrolment is the only way back.
func Replaced(dir, cert string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(dir, proofFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot see whether this box was replaced: %w", err)
	}
	other, err := parseCert(data)
	if err != nil {
		return true, nil // whoever damaged it: the box was replaced, and may enrol anew
	}
	data, err = os.ReadFile(cert)
	if err != nil {
		return true, nil // it has no enrolment at all
	}
	own, err := parseCert(data)
	return err != nil || fleet.Generation(own) < fleet.Generation(other), nil
}

// remember makes the proof durable.
func remember(dir string, other *x509.Certificate) error {
	path := filepath.Join(dir, proofFile)
	if err := seal.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Raw})); err != nil {
		return err
	}
	return seal.GiveTo(dir, path)
}
