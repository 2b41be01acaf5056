// Package config reads the agent's configuration: one YAML file over the
// defaults that the program carries.
//
// It is strict, because a till with a misspelt setting looks healthy until the
// day it matters. An unknown key, a key given twice, a value of the wrong
// kind, an anchor or a second document is an error; every error names line
// and key and says what to do; all of them come at once. Identifiers
// (merchant, terminal, operator, hospital) must stand in quotes: YAML reads
// 0123 as the octal number 83.
//
// The package knows no driver. What belongs to a driver alone stays a raw node
// ([Options]) that the command decodes, as strictly, into the driver's own
// struct. Secrets are never in the file: it names files that hold them.
package config
