// Package swap puts one box in the place of another (docs/fleet.md): what a box
// has open stands, signed by its certificate, at the broker for the box after
// it; a box of a later enrolment takes it over; one of an earlier enrolment
// learns that it was replaced and never works again.
//
// The certificate is the fencing token: the authority gives each generation of
// a box's name to one key only, and nobody else can make a certificate. So the
// proof that a box was replaced is the other's certificate, whoever brings it:
// the broker, the authority, or a person. It needs no clock and no key that
// signs, and it never ends.
package swap
