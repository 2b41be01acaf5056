// Package hub is the fleet's memory of a hospital's payments: it takes in the
// order events of every box, keeps them durably, acknowledges them, and answers
// from them for the whole hospital what platforms and finance ask.
//
// An event is acknowledged when it is on disk and joins what was there: Previous
// names the event before it. What does not join is not taken, and the box is
// told how far the hub is. What is missing for good (a box that lost its store,
// facts that were pruned unacknowledged) is kept as a hole. Nothing is answered
// for a time in which a hole lies, or up to which a box has not been heard with
// nothing waiting: a list that is short must not look complete.
package hub
