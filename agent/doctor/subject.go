package doctor

import (
	"context"
	"crypto/tls"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/agent/words"
)

// Subject is the box that is looked at.
type Subject struct {
	Version string
	File    string
	Config  config.Config
	// ConfigErr is why the configuration, or a driver's part of it, is refused.
	// Checks that need it are skipped then.
	ConfigErr error
	// Aside is a configuration of the fleet that this program cannot read; ""
	// for none.
	Aside string
	// Secrets are further files that nobody else may read: keys that drivers
	// use, and those that the agent made itself. They may be absent.
	Secrets []string
	// Running tells that an agent of this configuration answers at its door.
	Running bool
	// Ready asks the running agent whether it can take a payment; the texts say
	// why not, or, where it can, who has to wait all the same.
	Ready func(ctx context.Context) (ready bool, why []words.Text, err error)
	// Store looks at the order store without changing it.
	Store func() (Store, error)
	// Devices lists the configured scanners and displays: asked of the running
	// agent, which holds them, else looked for.
	Devices func(ctx context.Context) ([]Device, error)
	// Plugged lists what is plugged in and not configured.
	Plugged func() []Device
	// Platforms are the ways to the platforms, by the names that Ways of the
	// configuration's platforms have; HIS is the way to its
	// webhook, nil where there is none.
	Platforms map[string]Way
	HIS       *Way
	// Update tells the state of the last update; nil where there was none.
	Update func() (text words.Text, well bool, err error)
	// Programs says which programs of ours are away that were here; empty for
	// none; nil: not looked at.
	Programs func() (words.Text, error)
	// Wear tells how much of the life of data_dir's disk is used, -1 where it
	// does not tell, and the state of its spare blocks; nil: not looked at.
	Wear func() (device string, percent int, state string)
	// Clock is the time as far as it is known, by which the agent verifies
	// certificates; nil: the machine's.
	Clock func() time.Time
	// Unit is the name of the service.
	Unit   string
	System System

	known memo // what several checks need, looked at once
}

// Store is the state of the order store.
type Store struct {
	Exists   bool
	InUse    bool // by whatever program
	Fallback bool
	Aside    []string
}

// Device is a scanner or display.
type Device struct {
	_       [0]func() // never compared: no code is made for it
	Name    string
	Scanner bool
	Present bool
	Class   string // hid-pos, keyboard, serial or empty
	Driver  string
	Node    string
	Port    string // USB place, e.g. 1-1.2
	Reason  string // code of the words' group device, where it is away
	Hint    words.Text
}

// Way is how one of the other sides is reached.
type Way struct {
	// Open is why the way could not be prepared (certificates, password file).
	Open error
	// Look opens it up to and including TLS; nil state for plain HTTP.
	Look func(ctx context.Context) (*tls.ConnectionState, error)
	// Ask asks something harmless and gives the date that the other side wrote
	// on its answer, zero where it wrote none. nil: there is nothing harmless.
	Ask func(ctx context.Context) (time.Time, error)
}

// File is what is looked at of a file.
type File struct {
	Mode fs.FileMode
	Size int64
	UID  int // -1 where the system has none
	GID  int
	At   time.Time
}

// Volume is what a path lies on.
type Volume struct {
	_       [0]func() // never compared: no code is made for it
	Type    string    // ext4, nfs4, ntfs …
	Device  string
	Remote  bool
	Options string
	Free    int64
	Total   int64
}

// User is somebody of the machine.
type User struct {
	Name   string
	UID    int
	Groups []int
}

// time is the present as far as it is known.
func (s *Subject) time() time.Time {
	if s.Clock == nil {
		return s.System.Now()
	}
	return s.Clock()
}

// System is the machine.
type System struct {
	OS, Arch string
	Now      func() time.Time
	Built    time.Time // when this program was built; zero where unknown
	Me       func() User
	Lookup   func(name string) (User, error) // a user by name; fs.ErrNotExist
	Stat     func(path string) (File, error)
	Read     func(path string) ([]byte, error) // 256 KiB at most
	List     func(dir string) ([]string, error)
	Access   func(path string) error // whether this user may write there
	Volume   func(path string) (Volume, error)
	Sync     func(dir string) (time.Duration, error) // median of several synced writes
	Listen   func(address string) error              // whether it could be opened
	Resolve  func(ctx context.Context, host string) ([]string, error)
	Dial     func(ctx context.Context, address string) (net.Conn, error)
	Links    func() ([]string, error) // addresses of this machine, loopback left out
	Machine  func() (kernel, hardware string)
	Memory   func() (total, free int64, err error)
	// Run runs a program of the system that only tells something.
	Run func(ctx context.Context, name string, args ...string) (string, error)
}

// skip reports that the configuration is needed. It tells whether to go on.
func (s *Subject) usable(r *report) bool {
	if s.ConfigErr != nil {
		r.unusable = true
		r.skipped("", say("配置有误，先改正", "the configuration must be put right first"))
		return false
	}
	return true
}

// hostOf gives host and port of an address, with the scheme's own port.
func hostOf(address string) (host, port string) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", ""
	}
	port = u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80", "mqtts": "8883", "mqtt": "1883"}[strings.ToLower(u.Scheme)]
	}
	return u.Hostname(), port
}

// target is somebody on the network whom the box must reach.
type target struct {
	name    string // platform name, his, broker
	kind    string // platform, his, broker
	address string // as configured
	host    string // what is dialled first: proxy, relay or the address's host
	port    string
	proxy   string // host:port of the proxy; empty
	from    string // address or interface that connections leave from; empty
	second  bool   // a platform's second way: payments go on without it
	way     Way
}

// targets lists them.
func (s *Subject) targets() []target {
	var list []target
	var ways []config.Platform
	for _, p := range s.Config.Platforms {
		ways = append(ways, p.Ways()...)
	}
	for _, p := range ways {
		second := strings.HasSuffix(p.Name, "/second")
		if p.Uplink == config.MQTT { // through the broker, which is what must be reached
			t := target{name: p.Name, kind: "relayed", address: p.URL, way: s.Platforms[p.Name], second: second}
			t.host, t.port = hostOf(s.Config.Fleet.Broker)
			list = append(list, t)
			continue
		}
		t := target{name: p.Name, kind: "platform", address: p.URL, way: s.Platforms[p.Name], second: second, from: p.From}
		t.host, t.port = hostOf(p.URL)
		if p.Relay != "" {
			if h, port, err := net.SplitHostPort(p.Relay); err == nil {
				t.host, t.port = h, port
			}
		}
		if p.Proxy != nil {
			t.proxy = p.Proxy.Address
			if h, port, err := net.SplitHostPort(p.Proxy.Address); err == nil {
				t.host, t.port = h, port
			}
		}
		list = append(list, t)
	}
	if s.HIS != nil {
		t := target{name: "his", kind: "his", address: s.Config.HIS.Webhook.URL, way: *s.HIS}
		t.host, t.port = hostOf(t.address)
		list = append(list, t)
	}
	if s.Config.Fleet.On() {
		t := target{name: "broker", kind: "broker", address: s.Config.Fleet.Broker}
		t.host, t.port = hostOf(t.address)
		list = append(list, t)
	}
	return list
}
