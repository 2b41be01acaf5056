package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// credential begins the name of a secret that the service manager keeps: in
// credential:NAME it is systemd's credential NAME (LoadCredentialEncrypted=),
// which lies closed on the disk, with the TPM where there is one, and open in
// memory for the service alone.
const credential = "credential:"

// dpapi begins the content of a file that Windows closed for this machine;
// behind it stands the base64 of CryptProtectData's answer.
const dpapi = "dpapi:"

// ErrNotService is wrapped where a credential is asked for outside of the
// service.
var ErrNotService = errors.New("CREDENTIALS_DIRECTORY is not set: only the service has it")

// SecretFile gives the file that a name in the configuration means: itself, or
// for credential:NAME the file in $CREDENTIALS_DIRECTORY. kept tells that the
// service manager keeps it, so that its mode says nothing.
func SecretFile(name string) (path string, kept bool, err error) {
	id, ok := strings.CutPrefix(name, credential)
	if !ok {
		return name, false, nil
	}
	if id == "" || id != filepath.Base(id) || id == ".." || id == "." {
		return "", true, fmt.Errorf("cannot use %s: write credential:NAME, with the name in LoadCredentialEncrypted=", name)
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", true, fmt.Errorf("cannot open %s: %w; see the unit's LoadCredentialEncrypted=", name, ErrNotService)
	}
	return filepath.Join(dir, id), true, nil
}

// Closed tells that a secret is not simply a file: the service manager keeps it,
// or DPAPI closed it. Whoever makes such a secret anew cannot put it there.
func Closed(name string) bool {
	path, kept, err := SecretFile(name)
	if kept || err != nil {
		return kept
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read
	var head [len(dpapi)]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[:]) == dpapi
}

// opened opens a file's content where DPAPI closed it.
func opened(path string, data []byte) ([]byte, bool, error) {
	text, ok := strings.CutPrefix(string(data), dpapi)
	if !ok {
		return data, false, nil
	}
	blob, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err == nil {
		data, err = unprotect(blob)
	} else {
		err = errors.New("what stands behind dpapi: is not base64") // the error would quote it
	}
	if err != nil {
		return nil, true, fmt.Errorf("cannot open the secret in %s: %w", path, err)
	}
	return data, true, nil
}
