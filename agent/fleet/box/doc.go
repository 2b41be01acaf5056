// Package box is the box's side of a fleet: it tells the fleet over a message
// bus what happens here, and carries out the few things that the fleet may
// order. It stands beside the payments: nothing of the counter waits for it.
//
// What it promises, and its tests check.
//
// Events. Every end of an order and every alarm arrives at least once, in the
// order of the log, through a cursor of the log that moves on only when the
// fleet's hub has acknowledged (or the broker, where the site has no hub).
// Alarms have a cursor of their own and do not wait behind orders. Nothing of a
// patient is in an event in clear: what is sent is copied field by field.
//
// Commands. A command takes effect at most once, and only if it is signed by a
// key whose rôle allows it, for this very box, fresh, and newer than the last
// one of that key. It is on disk as accepted before anything happens.
// docs/mqtt.md has the whole grammar.
package box
