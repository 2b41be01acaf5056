//go:build !unix

package main

// reloads tells of nothing: Windows has no such word.
func reloads() (<-chan struct{}, func()) { return nil, func() {} }
