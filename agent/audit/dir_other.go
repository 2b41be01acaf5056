//go:build !unix

package audit

// syncDir does nothing: this system has no such call and needs none.
func syncDir(string) error { return nil }
