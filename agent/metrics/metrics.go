// Package metrics makes one page of the figures of many parts, in the
// Prometheus text format, and keeps it bounded (OBS-01): a box with many
// devices must not become a burden for whoever stores what it tells.
package metrics

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Most is how many time series a page has at most.
const Most = 400

// leftOut is the series that says how many others are missing.
const leftOut = "payagent_metrics_left_out"

func help() map[string][2]string {
	return map[string][2]string{
		"payagent_metrics_left_out": {"gauge", "Series that are missing here because a page has at most 400: whole metrics, those with the most series first."},
	}
}

// Page gives the page. Where the parts have more than Most series together,
// whole metrics are left out, those with the most series first: a part of one
// would make wrong sums, and nobody would see it.
func Page(parts ...func(io.Writer) error) ([]byte, error) {
	var whole bytes.Buffer
	for _, p := range parts {
		if err := p(&whole); err != nil {
			return nil, err
		}
	}
	list := split(whole.String())
	n := 1 // leftOut itself
	for _, m := range list {
		n += m.series
	}
	missing := 0
	for n > Most {
		largest := 0
		for i, m := range list {
			if m.series > list[largest].series {
				largest = i
			}
		}
		n -= list[largest].series
		missing += list[largest].series
		list[largest] = metric{}
	}
	var out bytes.Buffer
	for _, m := range list {
		out.WriteString(m.text)
	}
	h := help()[leftOut]
	fmt.Fprintf(&out, "# HELP %[1]s %[3]s\n# TYPE %[1]s %[2]s\n%[1]s %[4]d\n", leftOut, h[0], h[1], missing)
	return out.Bytes(), nil
}

// metric is one with its texts and all its series.
type metric struct {
	text   string
	series int
}

func split(page string) []metric {
	var list []metric
	for line := range strings.Lines(page) {
		if len(list) == 0 || strings.HasPrefix(line, "# HELP ") {
			list = append(list, metric{})
		}
		m := &list[len(list)-1]
		m.text += line
		if !strings.HasPrefix(line, "#") {
			m.series++
		}
	}
	return list
}
