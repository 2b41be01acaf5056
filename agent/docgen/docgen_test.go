package docgen

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the generated documents")

// pages are the generated documents, by file.
func pages() map[string]func() (string, error) {
	return map[string]func() (string, error){
		"../../docs/states.md": StatesPage,
	}
}

func TestDocumentsAreCurrent(t *testing.T) {
	for file, page := range pages() {
		want, err := page()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is out of date; run make docs", file)
		}
	}
}
