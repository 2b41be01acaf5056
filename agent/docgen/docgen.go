// Package docgen writes the documents that can be computed, and checks those
// that cannot. docs/states.md comes from applying facts to orders,
// docs/interfaces.md from the adapters' tables of fields, docs/drivers.md from
// the structs that the drivers' settings are read into, docs/metrics.md from
// the metrics' own texts, docs/models.md and
// install/udev/70-payagent.rules from the files of devices/models. What
// people wrote by hand is held to links,
// commands, make targets, routes, packages and configuration keys that exist.
// Nothing of this package is in the shipped program.
//
// The documents are written anew with `make docs`, and a test fails while one
// of them differs from what the code says today.
package docgen

import "strings"

//go:generate go test payagent/agent/docgen -run TestDocumentsAreCurrent -count=1 -update
//go:generate go test payagent/agent/words -run TestListIsCurrent -count=1 -update

// cell makes a text fit into a cell of a Markdown table.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "|", `\|`), "\n", "<br>")
}

// row writes one row of a Markdown table.
func row(b *strings.Builder, cells ...string) {
	b.WriteString("|")
	for _, c := range cells {
		b.WriteString(" " + cell(c) + " |")
	}
	b.WriteString("\n")
}

// head writes the first two lines of a Markdown table.
func head(b *strings.Builder, cells ...string) {
	row(b, cells...)
	b.WriteString("|" + strings.Repeat("---|", len(cells)) + "\n")
}
