// Command pack deflates the files that programs embed, for .ci/build: it writes
// them and an overlay for the go command into a folder.
//
//	go run ./.ci/pack FOLDER OVERLAY FILE...
//
// OVERLAY is another overlay whose files are replaced as well, or empty.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "cannot pack: "+err.Error())
		os.Exit(1)
	}
}

func run(folder, beside string, names []string) error {
	replace := map[string]string{}
	if beside != "" {
		data, err := os.ReadFile(beside)
		if err != nil {
			return err
		}
		var o struct{ Replace map[string]string }
		if err := json.Unmarshal(data, &o); err != nil {
			return err
		}
		maps.Copy(replace, o.Replace)
	}
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
