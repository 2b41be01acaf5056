package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Request is what a command beside the running service asks it to do: it lies
// in a file, since only the service writes the state. It is carried out when
// the tills are idle, or at the next start.
type Request struct {
	Version   string `json:"version,omitempty"` // put this staged version on trial
	Downgrade bool   `json:"downgrade,omitempty"`
	Back      bool   `json:"back,omitempty"` // go back to what was before
}

func requestFile(dir string) string { return filepath.Join(dir, "request.json") }

// Ask leaves a request in dir. A later one takes the place of an earlier.
func Ask(d Disk, dir string, r Request) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return errors.Join(d.MkdirAll(dir), d.WriteFile(requestFile(dir), data))
}

// Asked gives the request in dir; ok is false if there is none.
func Asked(d Disk, dir string) (r Request, ok bool, err error) {
	data, err := d.ReadFile(requestFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, false, errors.Join(fmt.Errorf("cannot read a request: %w", err), Answered(d, dir))
	}
	return r, true, nil
}

// Answered removes the request.
func Answered(d Disk, dir string) error { return d.RemoveAll(requestFile(dir)) }
