// Command keysdoc prints the list of configuration keys as Markdown. The words
// are the comments of the structs in package config, so that they cannot say
// something else than the code. Run it with go generate ./agent/config.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"payagent/agent/config"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "cannot run: name the folder with the structs and the file to write")
		os.Exit(2)
	}
	text, err := markdown(os.Args[1])
	if err == nil {
		err = os.WriteFile(os.Args[2], []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot write the list of keys:", err)
		os.Exit(1)
	}
}

func markdown(source string) (string, error) {
	comments, err := comments(source)
	if err != nil {
		return "", err
	}
	keys, err := config.Keys()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Configuration keys\n\nGenerated from the comments of the structs in this folder; do not edit. `[]` stands for an entry of a list, `NAME` for a name of\n" +
		"your own. Durations are written with their unit (`500ms`, `60s`, `10m`, `24h`), sizes as bytes or with KiB, MiB, GiB,\n" +
		"amounts in whole fen. Identifiers stand in quotes.\n\n| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, k := range keys {
		words := comments[k.Struct+"."+k.Field]
		if words == "" {
			return "", fmt.Errorf("the field %s.%s has no comment; write one", k.Struct, k.Field)
		}
		def := ""
		if k.Default != "" {
			def = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Path, k.Type, def, strings.ReplaceAll(words, "|", `\|`))
	}
	return b.String(), nil
}

// comments reads the comment of every struct field of a folder, by "Struct.Field".
func comments(source string) (map[string]string, error) {
	names, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		collect(file, out)
	}
	return out, nil
}

func collect(file *ast.File, out map[string]string) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			ts, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					out[ts.Name.Name+"."+n.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		}
	}
}
