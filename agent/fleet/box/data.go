package box

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"payagent/agent/fleet"
	"payagent/uplink"
)

// pieceBytes keeps a piece, in base64 with its frame, below uplink.MaxPayload.
const pieceBytes = 256 << 10

// maxData bounds a large result, in bytes as it travels.
const maxData = 10 << 20

// Data implements Runner.
func (j *job) Data(ctx context.Context, all []byte) (int, error) {
	if len(all) > maxData {
		return 0, Fail(WhyTooLarge, fmt.Sprintf("the result has %d bytes, %d are sent; ask for less", len(all), maxData))
	}
	sum := sha256.Sum256(all)
	of := max(1, (len(all)+pieceBytes-1)/pieceBytes)
	for n := range of {
		piece := all[n*pieceBytes : min(len(all), (n+1)*pieceBytes)]
		data, err := json.Marshal(fleet.Data{ID: j.c.ID, N: n, Of: of, SHA256: hex.EncodeToString(sum[:]), Bytes: piece})
		if err != nil {
			return n, fmt.Errorf("cannot write a piece of the result: %w", err)
		}
		topic := j.b.topic(fleet.LevelCommand, j.c.Verb, j.c.ID, "data", strconv.Itoa(n))
		if err := j.b.bus.Publish(ctx, uplink.Message{Topic: topic, Payload: data}); err != nil {
			return n, fmt.Errorf("cannot send piece %d of %d: %w", n, of, err)
		}
		j.Progress(100*(n+1)/of, "")
	}
	return of, nil
}
