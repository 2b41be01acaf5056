package uplinktest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// MosquittoOptions says how a real broker is set up.
type MosquittoOptions struct {
	// TLS asks for certificates of the broker's authority and takes the
	// client's name for the access list from them.
	TLS bool
	// Persist keeps sessions and retained messages on disk at every change.
	Persist bool
	// ACL is the text of an access list; empty allows everything.
	ACL string
	// Deny is a filter that nobody may publish or subscribe to, refused aloud:
	// an ACL file takes every subscription and then delivers nothing.
	Deny string
	// Lines are more lines of its configuration.
	Lines []string
	// MaxFile bounds every file that it writes, in bytes, like a disk that is
	// full; 0 is no bound.
	MaxFile int
	// Dir is where it keeps its files, default a directory of its own.
	Dir string
}

// MosquittoBroker is a running mosquitto on loopback.
type MosquittoBroker struct {
	URL  string // for mqtt.Config.Broker
	Addr string // host:port
	CA   *Authority
	Dir  string

	mu  sync.Mutex
	cmd *exec.Cmd
	log bytes.Buffer
	// said is closed at the next line of the log.
	said chan struct{}
}

// ServerName is the name in the certificate of the broker.
const ServerName = "broker.test"

// Mosquitto starts Debian's mosquitto; it ends with the test. .ci/setup
// installs it.
func Mosquitto(t testing.TB, o MosquittoOptions) *MosquittoBroker {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	m, err := startMosquitto(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	return m
}

func startMosquitto(o MosquittoOptions) (*MosquittoBroker, error) {
	ca, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	m := &MosquittoBroker{CA: ca, Dir: o.Dir, said: make(chan struct{})}
	// The port is free when it is chosen; somebody may take it before the
	// broker does.
	for range 5 {
		if err = m.configure(o); err != nil {
			return nil, err
		}
		if err = m.Start(); err == nil {
			return m, nil
		}
	}
	return nil, err
}

func (m *MosquittoBroker) file(name string, content []byte) (string, error) {
	path := filepath.Join(m.Dir, name)
	return path, os.WriteFile(path, content, 0o600)
}

func (m *MosquittoBroker) configure(o MosquittoOptions) error {
	var err error
	if m.Addr, err = freeAddress(); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(m.Addr)
	lines := []string{"listener " + port + " 127.0.0.1", "user root", "log_dest stderr", "log_type all", "connection_messages true",
		"max_queued_messages 0", "set_tcp_nodelay true"}
	m.URL = "mqtt://" + m.Addr
	if o.TLS {
		m.URL = "mqtts://" + m.Addr
		cert, key, err := m.CA.Issue(ServerName)
		if err != nil {
			return err
		}
		for name, content := range map[string][]byte{"cafile": m.CA.PEM, "certfile": cert, "keyfile": key} {
			path, err := m.file(name+".pem", content)
			if err != nil {
				return err
			}
			lines = append(lines, name+" "+path)
		}
		lines = append(lines, "require_certificate true", "use_identity_as_username true", "allow_anonymous false")
	} else {
		lines = append(lines, "allow_anonymous true")
	}
	if o.Persist {
		lines = append(lines, "persistence true", "persistence_location "+m.Dir+"/", "autosave_on_changes true", "autosave_interval 1")
	}
	if o.ACL != "" {
		path, err := m.file("acl", []byte(o.ACL))
		if err != nil {
			return err
		}
		lines = append(lines, "acl_file "+path)
	}
	if o.Deny != "" {
		path, err := m.file("dynsec.json", []byte(`{"defaultACLAccess":{"publishClientSend":true,"publishClientReceive":true,"subscribe":true,"unsubscribe":true},
"groups":[{"groupname":"all","roles":[{"rolename":"all"}]}],"anonymousGroup":"all","clients":[],
"roles":[{"rolename":"all","acls":[{"acltype":"publishClientSend","topic":"`+o.Deny+`","allow":false},{"acltype":"subscribePattern","topic":"`+o.Deny+`","allow":false}]}]}`))
		if err != nil {
			return err
		}
		plugins, _ := filepath.Glob("/usr/lib/*/mosquitto_dynamic_security.so")
		if len(plugins) == 0 {
			return errors.New("cannot find mosquitto_dynamic_security.so of Debian's mosquitto")
		}
		lines = append(lines, "plugin "+plugins[0], "plugin_opt_config_file "+path)
	}
	if o.MaxFile > 0 {
		if _, err := m.file("maxfile", []byte(fmt.Sprint(o.MaxFile))); err != nil {
			return err
		}
	}
	_, err = m.file("mosquitto.conf", []byte(strings.Join(append(lines, o.Lines...), "\n")+"\n"))
	return err
}

// Start starts it (again, after Kill) with what it has on disk, and waits until
// it listens.
func (m *MosquittoBroker) Start() error {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto"
	}
	args := []string{program, "-c", filepath.Join(m.Dir, "mosquitto.conf")}
	if limit, err := os.ReadFile(filepath.Join(m.Dir, "maxfile")); err == nil {
		// Writing more is an error then, not the end.
		args = append([]string{"sh", "-c", `trap "" XFSZ; exec prlimit --fsize=` + string(limit) + ` "$@"`, "sh"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start mosquitto; run .ci/setup: %w", err)
	}
	running := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			m.mu.Lock()
			m.log.WriteString(lines.Text() + "\n")
			close(m.said)
			m.said = make(chan struct{})
			m.mu.Unlock()
			if strings.Contains(lines.Text(), "mosquitto version") && strings.HasSuffix(lines.Text(), "running") {
				select {
				case running <- true:
				default:
				}
			}
		}
		select {
		case running <- false:
		default:
		}
	}()
	select {
	case ok := <-running:
		if !ok {
			_ = cmd.Wait()
			return errors.New("mosquitto ended: " + m.Log())
		}
	case <-time.After(60 * time.Second):
		_ = cmd.Process.Kill()
		return errors.New("mosquitto does not start: " + m.Log())
	}
	m.mu.Lock()
	m.cmd = cmd
	m.mu.Unlock()
	return nil
}

// Kill ends it at once, as kill -9 does.
func (m *MosquittoBroker) Kill() {
	m.mu.Lock()
	cmd := m.cmd
	m.cmd = nil
	m.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// Stop ends it as a service manager does: what it keeps is saved before.
func (m *MosquittoBroker) Stop() error {
	m.mu.Lock()
	cmd := m.cmd
	m.cmd = nil
	m.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

// Log is what it said so far.
func (m *MosquittoBroker) Log() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

// Await waits until its log has a text in it; a tool's own output is of no use
// for that, because it is buffered.
func (m *MosquittoBroker) Await(ctx context.Context, text string) error {
	for {
		m.mu.Lock()
		ok, said := strings.Contains(m.log.String(), text), m.said
		m.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-said:
		case <-ctx.Done():
			return fmt.Errorf("mosquitto never said %q", text)
		}
	}
}

// Tool prepares mosquitto_pub or mosquitto_sub as an outside client; name is
// its certificate's name where the broker uses TLS.
func (m *MosquittoBroker) Tool(t testing.TB, program, name string, args ...string) *exec.Cmd {
	t.Helper()
	host, port, _ := net.SplitHostPort(m.Addr)
	all := []string{"-h", host, "-p", port}
	if strings.HasPrefix(m.URL, "mqtts") {
		cert, key, err := m.CA.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for file, content := range map[string][]byte{"ca.pem": m.CA.PEM, "cert.pem": cert, "key.pem": key} {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, "--cafile", filepath.Join(dir, "ca.pem"), "--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"))
	}
	return exec.Command(program, append(all, args...)...)
}
