package fleet

// Believe tells whether said, which came after known from the same topic, is
// newer than known. A will may come late, when the box has been back for long
// (the broker notices a dead connection after minutes): it belongs to the
// connection that it was left with, so it says nothing about a later one. Of
// two starts of the program nothing but the box's own clock tells which is
// later; the status that is repeated every minute puts a wrong guess right.
func Believe(known, said Status) bool {
	if known.BootID == said.BootID {
		return said.Seq > known.Seq || said.Seq == known.Seq && (said.State == StateLost || known.State == StateLost || !said.At.Before(known.At))
	}
	return said.State != StateLost || !said.At.Before(known.At)
}
