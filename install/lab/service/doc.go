// Package service is the laboratory of the service: a machine with Debian's
// systemd under QEMU on which the real agent is installed, is paid by, is
// killed, hung and upgraded, and loses its power; make lab-service only. The
// pretend bank runs outside the machine, so that it knows the truth whatever
// becomes of the machine.
package service
