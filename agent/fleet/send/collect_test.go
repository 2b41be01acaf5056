package send_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"payagent/agent/fleet"
	"payagent/agent/fleet/send"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

func TestCollect(t *testing.T) {
	for name, x := range map[string]struct {
		order string // pieces in the order of their arrival; x: one that does not fit
		want  string
	}{"in order": {"012", ""}, "mixed up and twice": {"20112", ""}, "one is missing": {"02", "did not arrive"}, "forged": {"01x2", "does not fit"}} {
		synctest.Test(t, func(t *testing.T) {
			broker := uplinktest.NewBroker()
			defer broker.Close()
			it, box := broker.Bus("it", nil), broker.Bus("B1", nil)
			defer func() { _ = it.Close(); _ = box.Close() }()
			c := fleet.Command{Site: "H1", Box: "B1", ID: "c1", Verb: fleet.VerbDiag}
			k, err := send.Collect(it, "payagent", c)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			synctest.Wait()
			parts := []string{"one ", "two ", "three"}
			sum := sha256.Sum256([]byte(strings.Join(parts, "")))
			text := hex.EncodeToString(sum[:])
			for _, r := range x.order {
				d := fleet.Data{ID: "c1", N: int(r - '0'), Of: 3, SHA256: text}
				if r == 'x' {
					d.N, d.SHA256 = 2, "other"
				} else {
					d.Bytes = []byte(parts[d.N])
				}
				data, err := json.Marshal(d)
				if err != nil {
					t.Fatal(err)
				}
				if err := box.Publish(t.Context(), uplink.Message{Topic: fmt.Sprintf("payagent/H1/B1/cmd/diag/c1/data/%d", d.N), Payload: data}); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			result, err := json.Marshal(fleet.Pieces{Pieces: 3, Format: "zip", Bytes: 13, SHA256: text})
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.Result(fleet.CommandState{Result: result})
			if x.want == "" && (err != nil || string(got) != "one two three") || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("%s: %q %v", name, got, err)
			}
		})
	}
}
