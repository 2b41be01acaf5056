package box

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// book is a small file beside the store: what must outlast the store's loss
// (which commands were obeyed, how far events were told), and what saves
// reading. The log is the truth; where the two differ the careful side counts.
type book struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	dirty bool
	v     bookData
}

type bookData struct {
	Epoch    string             `json:"epoch,omitempty"`
	High     uint64             `json:"high,omitempty"`     // highest sequence told in that epoch
	Counters map[string]uint64  `json:"counters,omitempty"` // by key: the last command's
	States   []keptState        `json:"states,omitempty"`   // commands whose state the broker keeps
	Seen     uint64             `json:"seen,omitempty"`     // alarms are read up to this record
	Active   map[string]*active `json:"active,omitempty"`
}

// keptState is a command's state that is retained at the broker until its time.
type keptState struct {
	State fleet.CommandState `json:"state"`
	Until time.Time          `json:"until"`
}

// openBook reads the file. One that cannot be read is begun anew: the log has
// what matters, but for commands that were obeyed before the store was lost.
func openBook(dir string, log *slog.Logger) *book {
	k := &book{path: filepath.Join(dir, "state.json"), log: log}
	data, err := os.ReadFile(k.path)
	if err == nil {
		err = json.Unmarshal(data, &k.v)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("the fleet's state file cannot be read and is begun anew", "file", k.path, "error", err)
		k.v = bookData{}
	}
	if k.v.Counters == nil {
		k.v.Counters = map[string]uint64{}
	}
	return k
}

// edit changes the data; it is written by the next save.
func (k *book) edit(f func(v *bookData)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.v)
	k.dirty = true
}

func (k *book) read(f func(v *bookData)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.v)
}

// save writes what changed. A disk that takes no more must not stop a payment,
// so an error is logged and tried again later.
func (k *book) save() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dirty {
		return
	}
	data, err := json.Marshal(k.v)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(k.path), 0o750)
	}
	if err == nil {
		err = seal.WriteFile(k.path, data)
	}
	if err != nil {
		k.log.Error("the fleet's state file cannot be written; check disk and rights", "file", k.path, "error", err)
		return
	}
	k.dirty = false
}
