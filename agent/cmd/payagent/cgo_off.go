//go:build !cgo

package main

// builtWithCgo tells which of a release's programs this is.
const builtWithCgo = false
