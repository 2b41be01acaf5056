// Command pack deflates the files that programs embed, for .ci/build: it writes
// them and an overlay for the go command into a folder.
//
//	go run ./.ci/pack FOLDER FILE...
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "cannot pack: "+err.Error())
		os.Exit(1)
	}
}

func run(folder string, names []string) error {
	replace := map[string]string{}
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(data); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		from, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		to := filepath.Join(folder, fmt.Sprint(i))
		if err := os.WriteFile(to, b.Bytes(), 0o644); err != nil {
			return err
		}
		replace[from] = to
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "overlay.json"), data, 0o644)
}
