package send

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"payagent/agent/fleet"
	"payagent/uplink"
)

// maxCollected bounds what is collected of one result.
const maxCollected = 16 << 20

// Collector puts the pieces of a large result together. Begin it before the
// command is sent: pieces are not kept by the broker.
type Collector struct {
	stop func()

	mu     sync.Mutex
	pieces map[int][]byte
	bytes  int
	of     int
	sum    string
	bad    error
}

// Collect begins to listen for the pieces of a command's result.
func Collect(bus uplink.Bus, root string, c fleet.Command) (*Collector, error) {
	p := fleet.Place{Root: root, Site: c.Site, Box: c.Box}
	k := &Collector{pieces: map[int][]byte{}}
	stop, err := bus.Subscribe(p.Topic(fleet.LevelCommand, c.Verb, c.ID, "data", "+"), func(m uplink.Message) { k.take(c.ID, m.Payload) })
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the result: %w", err)
	}
	k.stop = stop
	return k, nil
}

// Close ends listening.
func (k *Collector) Close() { k.stop() }

func (k *Collector) take(id string, payload []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var d fleet.Data
	switch {
	case json.Unmarshal(payload, &d) != nil || d.ID != id || d.N < 0 || d.N >= d.Of || k.of != 0 && (d.Of != k.of || d.SHA256 != k.sum):
		k.bad = errors.New("cannot put the result together: a piece does not fit the others")
	case k.pieces[d.N] != nil:
		// Came twice.
	case k.bytes+len(d.Bytes) > maxCollected:
		k.bad = fmt.Errorf("cannot take the result: it has more than %d MiB", maxCollected>>20)
	default:
		k.of, k.sum = d.Of, d.SHA256
		k.pieces[d.N] = append([]byte{}, d.Bytes...)
		k.bytes += len(d.Bytes)
	}
}

// Result gives the whole, checked against what the command's state says of it.
func (k *Collector) Result(s fleet.CommandState) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var p fleet.Pieces
	if err := json.Unmarshal(s.Result, &p); err != nil || p.SHA256 == "" {
		return nil, errors.New("cannot write the result: the box says that there is none in pieces")
	}
	if k.bad != nil {
		return nil, k.bad
	}
	var all strings.Builder
	for n := range p.Pieces {
		piece, ok := k.pieces[n]
		if !ok {
			return nil, fmt.Errorf("cannot write the result: piece %d of %d did not arrive; send the command again", n+1, p.Pieces)
		}
		all.Write(piece)
	}
	sum := sha256.Sum256([]byte(all.String()))
	if hex.EncodeToString(sum[:]) != p.SHA256 || all.Len() != p.Bytes {
		return nil, errors.New("cannot write the result: it is not what the box says that it sent; send the command again")
	}
	return []byte(all.String()), nil
}
