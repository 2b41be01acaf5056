//go:build darwin || freebsd || openbsd

package serial

func (node) keepLines() {}

func (node) flush() {}
