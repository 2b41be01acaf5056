//go:build !unix

package trial

// giveAway does nothing: a file has the rights of its folder.
func giveAway(string) error { return nil }
