// Package clib is the C library for HIS written in languages that call a DLL
// (HIS-05): src holds it, C99 with sockets alone, thin over the HTTP door. The
// package itself holds its tests, which run the library in a process of its own
// under the address sanitizer. build makes payagent.dll (32 and 64 bit) and
// libpayagent.so and looks at what they export and import.
package clib
