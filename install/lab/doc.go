// Package lab is the laboratory's conductor: a test program that runs inside a
// virtual machine, makes scanners of USB gadgets and lets the real agent take
// payments from them. Everything but this file is built with the tag lab only;
// `make lab` builds, boots and judges, see README.md.
package lab
