package main

import (
	"io"

	"payagent/agent/config"
	"payagent/agent/metrics"
)

// openTextfile writes the figures into a file, where one is configured.
func (b *assembly) openTextfile(c config.Config) {
	if c.Metrics.Textfile == "" {
		return
	}
	f := metrics.File{Path: c.Metrics.Textfile, Every: c.Metrics.TextfileEvery, Page: b.figures, Failed: func(err error) {
		if err != nil {
			b.log.Error("the figures cannot be written to metrics.textfile", "error", err)
			return
		}
		b.log.Info("the figures are written again", "file", c.Metrics.Textfile)
	}}
	b.beside = append(b.beside, f.Run)
}

// figures is the page that /metrics shows.
func (b *assembly) figures() ([]byte, error) {
	own := func(w io.Writer) error { return b.agent.WriteMetrics(w, buildVersion()) }
	return metrics.Page(append([]func(io.Writer) error{own}, b.metrics...)...)
}
