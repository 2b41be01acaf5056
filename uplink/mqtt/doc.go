// Package mqtt is what leaves a box through a message broker, MQTT 3.1.1: the
// bus itself ([Client], a uplink.Bus), a [Tunnel] over it to `payfleet relay`,
// which calls payment platforms for tills that have no way to the Internet, and
// a [Route] over that to each platform.
//
// The bus is github.com/eclipse/paho.mqtt.golang without the parts of it that
// lose or invent acknowledgements. One paho client lives as long as one
// connection. What is published is kept here, in order, until the broker's
// PUBACK has been seen, and is sent again on the next connection; the PUBACK is
// seen through paho's store, because a paho token also succeeds when the
// connection broke. Subscriptions are kept here too and made anew on every
// connection. Reconnecting is ours: at a phase of one's own and from then on in
// equal steps, so that a thousand boxes come back to a restarted broker one by
// one.
//
// The broker's bytes are checked before paho reads them (wire.go), because a
// panic inside paho would end the program. Nothing is read from the process's
// environment: paho's own dialling, which asks for proxies there, is not used.
package mqtt
