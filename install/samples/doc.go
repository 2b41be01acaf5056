// Package samples holds samples for HIS vendors in ten languages and the test
// that runs each of them against a running agent. Samples without a compiler
// here are marked so, and only their blocks and names are looked at.
package samples
