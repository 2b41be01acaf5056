package fleet

import (
	"fmt"
	"strings"
)

// Place is where a box is in the tree of topics: <root>/<site>/<box>.
type Place struct {
	Root string // "payagent" unless the site says otherwise
	Site string // the hospital
	Box  string // the box: also its MQTT client id and its certificate's common name
}

// CheckName says whether a site's or box's name may be a level of a topic: 1
// to 48 letters, digits, dots, hyphens and underscores.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > 48 {
		return fmt.Errorf("%q has %d characters; a name here has 1 to 48 letters, digits, dots, hyphens or underscores", name, len(name))
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", r) {
			return fmt.Errorf("%q has a %q in it; a name here has letters, digits, dots, hyphens and underscores only", name, r)
		}
	}
	return nil
}

// ClientID is the MQTT client id of a program of the fleet side: the name in
// its certificate, a colon, and what the program is for, so that one name can
// run several. A box's client id is its name, in which no colon can be
// (CheckName), so that no program of the fleet side can take a box's place at
// the broker: whoever connects with the id of another ends its connection and
// is given what waits for it.
func ClientID(name, purpose string) string { return name + idMark + purpose }

// MayHaveID tells whether the fleet-side holder of a name may connect with a
// client id: its name alone, or one that ClientID makes.
func MayHaveID(name, id string) bool {
	return id == name || strings.HasPrefix(id, name+idMark) && len(id) > len(name)+len(idMark)
}

// idMark stands in no name.
const idMark = ":"

// Topic joins levels under the place.
func (p Place) Topic(levels ...string) string {
	return p.Root + "/" + p.Site + "/" + p.Box + "/" + strings.Join(levels, "/")
}

// All is the filter for the same levels of every box: of the site, or of every
// site where p.Site is empty.
func (p Place) All(levels ...string) string {
	site := p.Site
	if site == "" {
		site = "+"
	}
	return p.Root + "/" + site + "/+/" + strings.Join(levels, "/")
}

// Split takes a topic apart. ok is false for a topic that is not below root.
func Split(root, topic string) (p Place, levels []string, ok bool) {
	rest, ok := strings.CutPrefix(topic, root+"/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 3 {
		return Place{}, nil, false
	}
	return Place{Root: root, Site: parts[0], Box: parts[1]}, parts[2:], true
}

// The levels below a box. Which are retained, who writes them, and what they
// hold: docs/mqtt.md.
const (
	LevelStatus   = "status"   // retained, the box; its will: Status
	LevelTwin     = "twin"     // retained, the box: twin/<part>
	LevelDevice   = "dev"      // retained, the box: dev/<till>.<device>
	LevelEvent    = "e"        // the box: e/<stream>, a CloudEvent each
	LevelAlarm    = "a"        // retained while it lasts, the box: a/<code>
	LevelSample   = "m"        // QoS 0, the box: m/<group>
	LevelCan      = "cap"      // retained, the box: cap/<verb>
	LevelCommand  = "cmd"      // cmd/<verb>/<id>/req by the fleet, never retained; cmd/<verb>/<id>/state by the box
	LevelAck      = "ack"      // the hub: ack/<stream>
	LevelDesired  = "desired"  // retained, the fleet: desired/config, a signed document
	LevelReported = "reported" // retained, the box: reported/config
	LevelOpen     = "open"     // retained, the box: open/<generation>, what it left open, signed by its certificate
	LevelRelay    = "relay"    // relay/req by the box, relay/ans and relay/wake by the relay
)

// The streams of events. Each has its own cursor on the box and its own ack.
const (
	StreamOrders = "orders"
	StreamAlarms = "alarms"
)
