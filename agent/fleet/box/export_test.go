package box

// KeyOf is keyOf, for tests.
func KeyOf(id string) string { return keyOf(id) }
