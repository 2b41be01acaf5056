// Package mqtt is what leaves a box through a message broker: a [Tunnel] to
// `payfleet relay`, which calls payment platforms for tills that have no way to
// the Internet, and a [Route] over it to each platform.
package mqtt
