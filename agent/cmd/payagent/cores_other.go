//go:build !unix

package main

// noCores does nothing where there are no core dumps to switch off.
func noCores() {}
