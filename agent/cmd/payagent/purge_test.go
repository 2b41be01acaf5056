package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"payagent/queue"
	"payagent/queue/bolt"
)

// TestPurgeTakesASentence: orders go only when the service is stopped, none is
// open, and the sentence with the hospital's number was typed; else everything
// stays.
func TestPurgeTakesASentence(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := filepath.Join(dir, "payagent.yaml")
	text := fmt.Sprintf(`
site: {hospital_id: "H42", name: purge, test: true}
data_dir: %s
platforms: [{name: fwc, driver: fwc, url: "https://127.0.0.1:1/linkingif.asmx"}]
merchants: [{profile: m, platform: fwc, token_file: %s}]
routes: [{merchant: m}]
tills: [{name: w0, kind: counter, device_no: "W0", operator: {id: "1", name: A}}]
`, data, filepath.Join(dir, "token"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	purge := func(typed string, args ...string) (string, error) {
		var out strings.Builder
		err := purgeCommand(append([]string{"--config", file}, args...), strings.NewReader(typed), &out)
		return out.String(), err
	}
	const sentence = "delete the orders of H42"
	if out, err := purge(sentence+"\n", "--orders"); err != nil || !strings.Contains(out, "no orders") {
		t.Errorf("an empty box: %v, %s", err, out)
	}
	store, _, err := bolt.Open(filepath.Join(data, "store"), bolt.Options{Writer: storeVersion})
	if err != nil {
		t.Fatal(err)
	}
	append_ := func(b queue.Batch) {
		t.Helper()
		if _, err := store.Append(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	append_(queue.Batch{Records: []queue.Record{{Stream: "MZ1", Data: []byte("{}")}}})
	if err := os.WriteFile(filepath.Join(data, "tokens.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := purge(sentence+"\n", "--orders"); !errors.Is(err, bolt.ErrInUse) {
		t.Errorf("while the agent runs: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := purge(sentence+"\n", "--orders"); err == nil || !strings.Contains(err.Error(), "1 orders are open") {
		t.Errorf("with an open order: %v", err)
	}
	if store, _, err = bolt.Open(filepath.Join(data, "store"), bolt.Options{Writer: storeVersion}); err != nil {
		t.Fatal(err)
	}
	append_(queue.Batch{Records: []queue.Record{{Stream: "MZ1", Data: []byte("{}")}}, Close: []string{"MZ1"}})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"", "\n", "yes\n", "delete the orders of H43\n", " " + sentence + "\n"} {
		if _, err := purge(typed, "--orders"); err == nil {
			t.Errorf("%q was taken", typed)
		}
	}
	if _, err := purge(sentence + "\n"); !errors.Is(err, errUsage) {
		t.Errorf("without --orders: %v", err)
	}
	for _, name := range []string{"store/orders.db", "tokens.json"} {
		if _, err := os.Stat(filepath.Join(data, name)); err != nil {
			t.Fatalf("it is gone too early: %v", err)
		}
	}
	if out, err := purge(sentence+"\n", "--orders"); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
