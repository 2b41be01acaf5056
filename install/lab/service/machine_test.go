//go:build lab

package service

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// machine is the machine under QEMU.
type machine struct {
	t      *testing.T
	dir    string // of the laboratory
	tmp    string // of its sockets
	cmd    *exec.Cmd
	shell  net.Conn
	answer *bufio.Reader
	qmp    *json.Encoder
	qmpIn  *json.Decoder
	boots  int
	ended  chan struct{}
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: os.Getenv("LAB_DIR"), tmp: t.TempDir()}
	m.must("qemu-img", "create", "-q", "-f", "qcow2", "-b", filepath.Join(m.dir, "base.img"), "-F", "raw", m.disk())
	t.Cleanup(func() {
		if m.cmd != nil {
			m.cutPower()
		}
	})
	return m
}

func (m *machine) disk() string { return filepath.Join(m.tmp, "disk.qcow2") }

func (m *machine) must(name string, args ...string) {
	m.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		m.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// cargo makes the second disk from a folder.
func (m *machine) cargo(folder string) {
	m.t.Helper()
	disk := filepath.Join(m.tmp, "cargo.img")
	m.must("truncate", "-s", "200M", disk)
	m.must("mkfs.ext4", "-q", "-F", "-d", folder, disk)
}

// powerOn starts the machine and waits for its hand. With cable it has a
// network card on which the host's loopback is 10.0.2.2.
func (m *machine) powerOn(cable bool) time.Duration {
	m.t.Helper()
	m.boots++
	began := time.Now()
	shell, qmp := filepath.Join(m.tmp, "shell"), filepath.Join(m.tmp, "qmp")
	console := filepath.Join(m.dir, fmt.Sprintf("console-%s-%d.log", m.t.Name(), m.boots))
	_ = os.Remove(shell)
	_ = os.Remove(qmp)
	args := []string{"-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "768", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", os.Getenv("LAB_KERNEL"), "-initrd", filepath.Join(m.dir, "initramfs"),
		// A busy host emulates so unevenly that the kernel finds no timer, and panics.
		"-append", "console=ttyS0,115200 quiet loglevel=3 panic=-1 no_timer_check random.trust_cpu=on mitigations=off systemd.show_status=0",
		"-drive", "if=virtio,format=qcow2,cache=writeback,file=" + m.disk(),
		"-drive", "if=virtio,format=raw,readonly=on,file=" + filepath.Join(m.tmp, "cargo.img"),
		"-serial", "file:" + console,
		"-chardev", "socket,id=hand,path=" + shell + ",server=on,wait=off", "-serial", "chardev:hand",
		"-qmp", "unix:" + qmp + ",server=on,wait=off"}
	if cable {
		args = append(args, "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n")
	}
	m.cmd = exec.Command("qemu-system-x86_64", args...)
	var stderr bytes.Buffer
	m.cmd.Stderr = &stderr
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.ended = make(chan struct{})
	go func() {
		defer close(m.ended)
		_ = m.cmd.Wait()
	}()
	dial := func(path string) net.Conn {
		for end := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
			c, err := net.Dial("unix", path)
			if err == nil {
				return c
			}
			if time.Now().After(end) {
				m.t.Fatalf("QEMU does not start: %v\n%s", err, stderr.String())
			}
		}
	}
	m.shell = dial(shell)
	m.answer = bufio.NewReader(m.shell)
	if err := m.shell.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		m.t.Fatal(err)
	}
	for {
		line, err := m.answer.ReadString('\n')
		if err != nil {
			if err == io.EOF {
				<-m.ended // so that stderr is whole
			}
			said, _ := os.ReadFile(console)
			m.t.Fatalf("the machine does not boot: %v\n%s\n%s", err, said, &stderr)
		}
		if strings.TrimSpace(line) == "HELLO" {
			break
		}
	}
	c := dial(qmp)
	m.qmp, m.qmpIn = json.NewEncoder(c), json.NewDecoder(c)
	m.control("qmp_capabilities")
	if cable {
		m.run("modprobe virtio_net; for i in $(seq 50); do [ -e /sys/class/net/eth0 ] || [ -n \"$(ls /sys/class/net | grep -v lo)\" ] && break; sleep 0.1; done; n=$(ls /sys/class/net | grep -v lo | head -1); ip link set $n up; ip addr add 10.0.2.15/24 dev $n")
	}
	return time.Since(began)
}

// control gives QEMU a command.
func (m *machine) control(command string) {
	m.t.Helper()
	if err := m.qmp.Encode(map[string]string{"execute": command}); err != nil {
		m.t.Fatal(err)
	}
	for {
		var got map[string]any
		if err := m.qmpIn.Decode(&got); err != nil {
			m.t.Fatal(err)
		}
		if _, ok := got["return"]; ok {
			return
		}
		if e, ok := got["error"]; ok {
			m.t.Fatal(e)
		}
	}
}

// cutPower takes the machine's power away.
func (m *machine) cutPower() {
	_ = m.cmd.Process.Kill()
	<-m.ended
	m.cmd = nil
}

// try runs a command in the machine.
func (m *machine) try(command string) (out string, code int) {
	m.t.Helper()
	if err := m.shell.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		m.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(m.shell, "%s\n", base64.StdEncoding.EncodeToString([]byte(command))); err != nil {
		m.t.Fatal(err)
	}
	for {
		line, err := m.answer.ReadString('\n')
		if err != nil {
			m.t.Fatalf("the machine does not answer: %v\n%s", err, command)
		}
		parts := strings.Fields(line)
		if len(parts) < 2 || parts[0] != "ANSWER" {
			continue
		}
		if code, err = strconv.Atoi(parts[1]); err != nil {
			m.t.Fatal(line)
		}
		if len(parts) > 2 {
			text, err := base64.StdEncoding.DecodeString(parts[2])
			if err != nil {
				m.t.Fatal(err)
			}
			out = string(text)
		}
		return strings.TrimSpace(out), code
	}
}

// run runs a command that must work.
func (m *machine) run(command string) string {
	m.t.Helper()
	out, code := m.try(command)
	if code != 0 {
		m.t.Fatalf("%s\nexit code %d\n%s", command, code, out)
	}
	return out
}

// until waits until a command's output holds want.
func (m *machine) until(command, want string) string {
	m.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; <-time.After(300 * time.Millisecond) {
		out, _ := m.try(command)
		if strings.Contains(out, want) {
			return out
		}
		if time.Now().After(end) {
			log, _ := m.try("journalctl -u payagent -n 30 --no-pager; systemctl status payagent --no-pager")
			m.t.Fatalf("%s\nnever says %q, but\n%s\n%s", command, want, out, log)
		}
	}
}
