package broker

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"payagent/agent/fleet"
	"payagent/uplink"
)

// The rôles of fleet-side identities.
const (
	RoleWatch   = "watch"   // sees everything but requests and what is sealed
	RoleOperate = "operate" // watch, and sends commands, configurations, roll-outs
	RoleHub     = "hub"     // reads events and acknowledges them
	RoleRelay   = "relay"   // carries exchanges with payment platforms
)

// Roles lists them.
func Roles() []string { return []string{RoleWatch, RoleOperate, RoleHub, RoleRelay} }

// right is what somebody may read and write: filters below the root.
type right struct{ read, write []string }

// rights of a fleet-side rôle.
func rights(role string) (right, bool) {
	watch := []string{"+/+/" + fleet.LevelStatus, "+/+/" + fleet.LevelTwin + "/#", "+/+/" + fleet.LevelDevice + "/#", "+/+/" + fleet.LevelEvent + "/#",
		"+/+/" + fleet.LevelAlarm + "/#", "+/+/" + fleet.LevelSample + "/#", "+/+/" + fleet.LevelCan + "/#", "+/+/" + fleet.LevelReported + "/#",
		"+/+/" + fleet.LevelDesired + "/#", "+/+/" + fleet.LevelOpen + "/+", "+/+/" + fleet.LevelCommand + "/+/+/state", "+/+/" + fleet.LevelCommand + "/+/+/data/+", "+/_fleet/#"}
	switch role {
	case RoleWatch:
		return right{read: watch}, true
	case RoleOperate:
		return right{read: watch, write: []string{"+/+/" + fleet.LevelCommand + "/+/+/req", "+/+/" + fleet.LevelDesired + "/#", "+/_fleet/#"}}, true
	case RoleHub:
		return right{read: []string{"+/+/" + fleet.LevelEvent + "/#", "+/+/" + fleet.LevelStatus, "+/+/" + fleet.LevelAck + "/#"}, write: []string{"+/+/" + fleet.LevelAck + "/#", "+/_fleet/hub/#"}}, true
	case RoleRelay:
		return right{read: []string{"+/+/" + fleet.LevelRelay + "/#"}, write: []string{"+/+/" + fleet.LevelRelay + "/#"}}, true
	}
	return right{}, false
}

// boxRights are those of one box: it writes below its own place what boxes
// write, and reads what is meant for it.
func boxRights(site, box string) right {
	at := site + "/" + box + "/"
	return right{
		read: []string{at + fleet.LevelCommand + "/#", at + fleet.LevelDesired + "/#", at + fleet.LevelAck + "/#", at + fleet.LevelRelay + "/#",
			// Its own words of before, so that it can clear what it no longer means.
			at + fleet.LevelStatus, at + fleet.LevelTwin + "/#", at + fleet.LevelDevice + "/#", at + fleet.LevelAlarm + "/#", at + fleet.LevelCan + "/#", at + fleet.LevelReported + "/#",
			// What the boxes before it left open, and whether one came after it.
			at + fleet.LevelOpen + "/#"},
		write: []string{at + fleet.LevelStatus, at + fleet.LevelTwin + "/#", at + fleet.LevelDevice + "/#", at + fleet.LevelEvent + "/#", at + fleet.LevelAlarm + "/#",
			at + fleet.LevelSample + "/#", at + fleet.LevelCan + "/#", at + fleet.LevelReported + "/#", at + fleet.LevelOpen + "/#",
			// States and results, and to clear a request that somebody retained; a
			// request is worth nothing without a signature.
			at + fleet.LevelCommand + "/#", at + fleet.LevelRelay + "/req"},
	}
}

// guard lets clients in by their certificate and holds them to their rights.
type guard struct {
	mqtt.HookBase
	root  string
	roles map[string]string
	open  bool
	log   *slog.Logger
}

func (g *guard) ID() string { return "guard" }

func (g *guard) Provides(b byte) bool {
	return bytes.Contains([]byte{mqtt.OnConnectAuthenticate, mqtt.OnACLCheck}, []byte{b})
}

// OnConnectAuthenticate implements mqtt.Hook: the client id of a box must be
// its certificate's common name; on the fleet side it may go on behind a colon,
// which no box has in its name (fleet.ClientID).
// A will must be one that the client could publish; it is not looked at when
// it is sent.
func (g *guard) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	apart(cl)
	if g.open {
		return true
	}
	if pk.Connect.WillFlag && !g.OnACLCheck(cl, pk.Connect.WillTopic, true) {
		g.log.Warn("a client was refused for its will", "client_id", cl.ID)
		return false
	}
	name, site, role, ok := g.who(cl)
	id := cl.ID
	switch {
	case !ok:
	case site != "":
		ok = id == name
	case role != "":
		ok = fleet.MayHaveID(name, id)
	default:
		ok = false
	}
	if !ok {
		g.log.Warn("a client was refused", "client_id", id, "certificate", name, "site", site, "role", role)
	}
	return ok
}

// apart moves the broker's packet numbers away from the client's. The library
// keeps both in one table although MQTT counts them apart: a SUBSCRIBE whose
// number a message on its way to the client has would be refused, as happens to
// every client that subscribes while it is given what was retained.
func apart(cl *mqtt.Client) {
	for range 1 << 15 {
		if _, err := cl.NextPacketID(); err != nil {
			return
		}
	}
}

// who reads the certificate: a box has its place in it, as payfleet ca gives
// it, a program of the fleet side its name.
func (g *guard) who(cl *mqtt.Client) (name, site, role string, ok bool) {
	c := certificate(cl)
	if c == nil {
		return "", "", "", false
	}
	name = c.Subject.CommonName
	for _, u := range c.URIs {
		if u.Scheme == "payagent" {
			return name, u.Host, "", u.Path == "/"+name && fleet.CheckName(name) == nil && fleet.CheckName(u.Host) == nil
		}
	}
	return name, "", g.roles[name], name != ""
}

// OnACLCheck implements mqtt.Hook. For a subscription topic is a filter, which
// must lie within one that may be read.
func (g *guard) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if g.open {
		return !strings.HasPrefix(topic, "$SYS")
	}
	name, site, role, ok := g.who(cl)
	if !ok {
		return false
	}
	var r right
	if site != "" {
		r = boxRights(site, name)
	} else if r, ok = rights(role); !ok {
		return false
	}
	rest, ok := strings.CutPrefix(topic, g.root+"/")
	filters := r.read
	if write {
		filters = r.write
	}
	return ok && slices.ContainsFunc(filters, func(f string) bool { return within(f, rest) })
}

// within tells whether everything that filter matches is matched by outer too.
// A topic is a filter without wildcards.
func within(outer, filter string) bool {
	if !strings.ContainsAny(filter, "+#") {
		return uplink.Fits(outer, filter)
	}
	o, f := strings.Split(outer, "/"), strings.Split(filter, "/")
	for i, level := range o {
		switch {
		case level == "#":
			return true
		case i >= len(f) || f[i] == "#":
			return false
		case level != "+" && level != f[i]:
			return false
		}
	}
	return len(o) == len(f)
}
