// Package sim is a deterministic simulation of the whole counter: the pure
// core with models of everything around it. One event heap, one seed, no
// goroutine. The truth is what the payer is out of pocket (package bank), and
// the checkers of this package compare it with what the agent says, writes and
// sends, after every step and at the end.
//
// The driver follows the core's contract to the letter and no further: effects
// are carried out in order, none before every write ahead of it is durable,
// the writes of one step are one atomic batch, and several steps may share a
// commit. A crash can come before a write, after it but before anybody heard
// of it, and after any number of its effects. Facts go through JSON, so what
// is not in a fact is lost.
//
// Nothing of this package is imported by shipped code.
//
// # What is allowed on purpose
//
//   - An order whose cancel the platform refuses for good (RetryFlag N and
//     still unresolved; or refused after an earlier cancel without an answer,
//     where paid is sticky), or whose number it cannot find because the key
//     was lost, stays in_doubt with an alarm. It is exempt from I1 and I5, never
//     from I6 and I7.
//   - When the whole log is lost, orders that were never sent and orders that
//     were closed are forgotten with it; what had a slot is resolved.
//   - When another box takes the place of this one, orders that were never sent
//     and orders that were over are forgotten. One that was paid at the box
//     before, on a platform that has no query, stays in_doubt with an alarm.
//   - A charge that is delayed on its way may still be executed up to
//     [lateBound] after it left; nothing is executed later than that.
//   - PAY-03 counts from the intent, not from the moment at which the disk had
//     it and the charge left.
package sim
