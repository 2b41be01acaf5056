package uplink

import (
	"context"
	"errors"
	"time"
)

// Message is one message on a message bus. Payloads are bounded by
// [MaxPayload]; what is in them is the writer's business.
type Message struct {
	Topic   string
	Payload []byte
	// Retain asks the broker to keep it and give it to whoever subscribes
	// later; at a received message: it was kept, and is not new.
	Retain bool
	// Sample marks what may be lost (QoS 0). Everything else is delivered at
	// least once (QoS 1), so receivers see repetitions.
	Sample bool
}

// MaxPayload bounds a message, in bytes.
const MaxPayload = 512 << 10

// Bus is a connection to a message broker that keeps itself up. What every
// member promises, and uplinktest's bus suite checks: messages of one Bus
// arrive in the order in which they were published; a subscription outlives
// every loss of the connection and of the broker's memory; a handler never
// holds up the connection; after Close nothing is delivered and every call
// fails.
//
// The order is that of a stream which, after a loss, begins anew at an older
// message and goes on from there, so old ones come again after newer ones. Who
// was subscribed at the broker the whole time had them before. Who was not may
// see them then for the first time: it subscribed later, or the broker was
// killed and forgot. Brokers acknowledge before they save (mosquitto 2.0.11
// does, subscriptions too, with autosave_on_changes as well), so one that is
// killed may also lose what it acknowledged. Receivers that need more number
// what they are sent.
type Bus interface {
	// Publish returns nil when the broker has acknowledged the message (for a
	// Sample: when it was handed over). That is no proof that anybody else has
	// it. An error means unknown: it may have arrived, or may arrive later.
	// Publish never connects; without a connection it waits for one, and what
	// was not acknowledged before a connection broke is sent again on the next,
	// until ctx ends.
	Publish(ctx context.Context, m Message) error
	// Send is Publish for many messages under way at once: it hands m over
	// behind everything sent or published before it and returns without waiting;
	// the channel, which has room, gets what Publish would have returned, once.
	// The caller bounds how many are under way.
	Send(ctx context.Context, m Message) <-chan error
	// Subscribe calls handle for every message whose topic fits filter (MQTT
	// 3.1.1 wildcards), one at a time, in order, until stop is called. What
	// arrives faster than it is handled is bounded: at [Backlog] messages the
	// broker is not read any more for this subscription's sake; handle must not
	// block for long. A refusal by the broker is an error here or, later, in
	// Link.
	Subscribe(filter string, handle func(Message)) (stop func(), err error)
	// Link tells how the connection is; changed is closed at the next change.
	Link() (l Link, changed <-chan struct{})
	// Close says good-bye (no will is sent) and ends everything.
	Close() error
}

// Backlog is how many messages wait for one slow handler.
const Backlog = 1024

// Link is the state of a connection.
type Link struct {
	Up    bool
	Since time.Duration // how long it has been so
	// Cause is why it is down, in words for IT, or what is refused although it
	// is up (a denied subscription).
	Cause string
	// Kicked counts connections that another client with our name took over
	// within the last ten minutes.
	Kicked int
}

// ErrClosed is wrapped by calls after Close.
var ErrClosed = errors.New("the connection to the broker was closed")
