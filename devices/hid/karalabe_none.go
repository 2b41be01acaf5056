//go:build !cgo || hidraw_only || !(linux || windows || darwin)

package hid

// karalabeBuilt is empty where the library is not part of the build.
func karalabeBuilt() []named { return nil }
