package view

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// takeOpen notes how many orders the machine of one generation has left at the
// broker. Who signed it is the boxes' business; here it is only shown.
func (m *Model) takeOpen(b *box, name string, payload []byte) bool {
	generation, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		m.ignored++
		return false
	}
	old, had := b.open[generation]
	if len(payload) == 0 {
		delete(b.open, generation)
		return had
	}
	var x struct {
		Payload []byte `json:"payload"`
	}
	var l struct {
		Orders []struct{} `json:"orders"`
		More   int        `json:"more"`
	}
	if json.Unmarshal(payload, &x) != nil || json.Unmarshal(x.Payload, &l) != nil || l.More < 0 || !had && len(b.open) >= m.limits.Values {
		m.ignored++
		return false
	}
	n := len(l.Orders) + l.More
	if had && n == old {
		return false
	}
	if b.open == nil {
		b.open = map[uint64]int{}
	}
	b.open[generation] = n
	return true
}

// succession gives the newest generation that is known, 0 for none, and what
// earlier ones left open that it has not taken over.
func (b *box) succession() (generation uint64, left int) {
	all := slices.Sorted(maps.Keys(b.open))
	for i, g := range all {
		generation = g
		if i < len(all)-1 {
			left += b.open[g]
		}
	}
	return generation, left
}
