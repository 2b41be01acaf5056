package framing

// Clean tells that a text has no control characters and is whole UTF-8, so that
// it may be a code. Members with decoders of their own judge by the same rule.
func Clean(text string) bool { return clean(text) }
