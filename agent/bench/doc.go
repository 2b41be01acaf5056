// Package bench measures the whole agent over real parts: a tty, bbolt on a
// disk, HTTP over loopback. It holds benchmarks only; docs/benchmarks.md tells
// the method and the figures.
package bench
