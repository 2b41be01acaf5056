package box

// KeyOf is keyOf, for tests.
func KeyOf(id string) string { return keyOf(id) }

// Acks is how many streams the box remembers words of the hub for.
func (b *Box) Acks() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.acks) + len(b.low)
}
