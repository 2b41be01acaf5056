package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	kardianos "github.com/kardianos/service"
	"golang.org/x/sys/unix"
)

// booted tells whether systemd runs this machine.
func booted() bool {
	info, err := os.Stat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// stock gives the unit that a package has brought.
func stock() string {
	for _, dir := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
		if p := filepath.Join(dir, Name+".service"); exists(p) {
			return p
		}
	}
	return ""
}

// installed tells whether there is a service to act on. Without systemd it is a
// script or a job of what the library found instead.
func installed() bool {
	if booted() {
		return exists(unitPath) || stock() != ""
	}
	return exists("/etc/init.d/"+Name) || exists("/etc/init/"+Name+".conf")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Install makes the service and lets it start at power-on; it does not start
// it. What it does is told on out. A machine without systemd gets what the
// library has for it: no watchdog, no user of its own, no hardening.
func Install(o Options, out io.Writer) error {
	// Neither the library nor systemctl syncs: a power cut in the next half
	// minute would leave an empty unit, which systemd takes for a masked one.
	defer unix.Sync()
	if os.Geteuid() != 0 {
		return errors.New("cannot install the service; run this as root (sudo)")
	}
	if booted() && stock() != "" {
		if _, err := fmt.Fprintf(out, "安装包已带服务单元，只需启用 the package has brought the unit; it is enabled: %s\n", stock()); err != nil {
			return err
		}
		if text := paths(o); text != "" {
			if err := write(file{path: dropIn, text: text}); err != nil {
				return err
			}
		}
		return errors.Join(systemctl("daemon-reload"), systemctl("enable", Name))
	}
	var err error
	if o.Program, err = settle(o.Program, out); err != nil {
		return err
	}
	s, err := manage(o)
	if err != nil || !booted() {
		return errors.Join(err, installOther(s, out))
	}
	text, err := unit(o)
	if err != nil {
		return err
	}
	if exists(unitPath) {
		return fmt.Errorf("cannot install: %s exists; run payagent service uninstall first", unitPath)
	}
	for _, f := range files(o) {
		if err := write(f); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "  "+f.path); err != nil {
			return err
		}
	}
	for _, command := range [][]string{{"systemd-sysusers", "/etc/sysusers.d/payagent.conf"}, {"systemd-tmpfiles", "--create", "/etc/tmpfiles.d/payagent.conf"}} {
		if err := do(command[0], command[1:]...); err != nil {
			return err
		}
	}
	for _, command := range [][]string{{"udevadm", "control", "--reload"}, {"udevadm", "trigger", "--action=change", "--subsystem-match=usb", "--subsystem-match=hidraw",
		"--subsystem-match=tty", "--subsystem-match=input", "--subsystem-match=i2c-dev", "--subsystem-match=spidev", "--subsystem-match=gpio"}} {
		if err := do(command[0], command[1:]...); err != nil {
			if _, err := fmt.Fprintf(out, "  ! %v\n", err); err != nil { // a box without udev has no scanners to name
				return err
			}
		}
	}
	if err := s.Install(); err != nil {
		// The library leaves a file behind, and then refuses to begin again.
		if data, readErr := os.ReadFile(unitPath); readErr == nil && string(data) != text {
			err = errors.Join(err, os.Remove(unitPath))
		}
		return fmt.Errorf("cannot install the unit: %w", err)
	}
	_, err = fmt.Fprintln(out, "  "+unitPath)
	return err
}

func installOther(s kardianos.Service, out io.Writer) error {
	if s == nil {
		return nil
	}
	if _, err := fmt.Fprintf(out, "本机没有 systemd（%s）：服务以 root 运行，没有看门狗和隔离 no systemd here: the service runs as root, without watchdog and hardening\n", s.Platform()); err != nil {
		return err
	}
	return s.Install()
}

// settle gives a place that the service can see: its hardening hides home
// directories, and a download folder is no place for a service.
func settle(program string, out io.Writer) (string, error) {
	if !hidden(program) {
		return program, nil
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("cannot copy the program: %w", err)
	}
	const to = "/usr/local/bin/" + Name
	if _, err := fmt.Fprintf(out, "  %s → %s\n", program, to); err != nil {
		return "", err
	}
	return to, place(to, data, 0o755)
}

func write(f file) error { return place(f.path, []byte(f.text), 0o644) }

// place writes a file whole or not at all.
func place(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot install: %w", err)
	}
	part := path + ".new"
	err := os.WriteFile(part, data, mode)
	if err == nil {
		err = os.Chmod(part, mode) // whatever the umask
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part)
		return fmt.Errorf("cannot install: %w", err)
	}
	return nil
}

func do(program string, args ...string) error {
	if text, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot run %s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(text)))
	}
	return nil
}

func systemctl(args ...string) error { return do("systemctl", args...) }

// manage gives the library's hold on the service.
func manage(o Options) (kardianos.Service, error) {
	c := kardianos.Config{Name: Name, DisplayName: display, Description: description, Executable: o.Program,
		Arguments: []string{"run", "--config", o.Config}, Option: kardianos.KeyValue{}}
	if o.Program != "" {
		text, err := unit(o)
		if err != nil {
			return nil, err
		}
		c.Option["SystemdScript"] = text
	}
	return kardianos.New(outside{}, &c)
}

// Uninstall stops the service and takes away what Install wrote. Orders,
// configuration and the user stay.
func Uninstall(out io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("cannot uninstall the service; run this as root (sudo)")
	}
	s, err := manage(Options{})
	if err != nil {
		return err
	}
	if !installed() {
		return ErrNotInstalled
	}
	if !booted() {
		return s.Uninstall()
	}
	if !exists(unitPath) {
		return errors.New("cannot uninstall: the service belongs to the package; remove the package, or systemctl disable --now payagent")
	}
	if err := s.Stop(); err != nil {
		return fmt.Errorf("cannot stop the service: %w", err)
	}
	if err := s.Uninstall(); err != nil {
		return fmt.Errorf("cannot uninstall the unit: %w", err)
	}
	var errs []error
	for _, f := range append(files(Options{}), file{path: dropIn}) {
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, systemctl("daemon-reload"), do("udevadm", "control", "--reload"))
	_, err = fmt.Fprintln(out, "订单、配置和用户 payagent 保留 orders, configuration and the user payagent stay")
	return errors.Join(append(errs, err)...)
}

// Start starts the service.
func Start() error { return act(kardianos.Service.Start) }

// Stop stops it; systemd waits until the agent has settled what is under way.
func Stop() error { return act(kardianos.Service.Stop) }

func act(do func(kardianos.Service) error) error {
	s, err := manage(Options{})
	if err != nil {
		return err
	}
	if !installed() {
		return ErrNotInstalled
	}
	if err := do(s); err != nil {
		where := "journalctl -u payagent"
		if !booted() {
			where = "/var/log/payagent.err"
		}
		return fmt.Errorf("cannot do that with the service; look at %s: %w", where, err)
	}
	return nil
}

// Look asks the service manager.
func Look() (Status, error) {
	if !booted() {
		s, err := manage(Options{})
		if err != nil {
			return Status{}, err
		}
		return lookOther(s, installed())
	}
	out, err := exec.Command("systemctl", "show", Name+".service",
		"--property=LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,StatusText,Result,FragmentPath").Output()
	if err != nil {
		return Status{}, fmt.Errorf("cannot ask systemd: %w", err)
	}
	return readShow(string(out)), nil
}

// readShow reads what systemctl show prints.
func readShow(text string) Status {
	v := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			v[key] = value
		}
	}
	s := Status{Enabled: strings.HasPrefix(v["UnitFileState"], "enabled"), Text: v["StatusText"], Result: v["Result"], Unit: v["FragmentPath"]}
	s.PID, _ = strconv.Atoi(v["MainPID"])
	s.Restarts, _ = strconv.Atoi(v["NRestarts"])
	switch {
	case v["LoadState"] == "not-found" || v["LoadState"] == "masked":
		s.State = Missing
	case v["ActiveState"] == "active" || v["ActiveState"] == "reloading":
		s.State = Running
	case v["ActiveState"] == "activating":
		s.State = Starting
	case v["ActiveState"] == "failed":
		s.State = Failed
	default:
		s.State = Stopped
	}
	return s
}

// lookOther asks a manager that is not systemd. The library runs a program of
// its, and gives no more than that program's exit code, which for a service that
// does not run is not 0, as for one that nobody knows.
func lookOther(s kardianos.Service, installed bool) (Status, error) {
	status := Status{State: Missing, Manager: s.Platform()}
	if !installed {
		return status, nil
	}
	state, err := s.Status()
	var code *exec.ExitError
	switch {
	case errors.Is(err, kardianos.ErrNotInstalled):
	case errors.As(err, &code):
		status.State = Stopped
	case err != nil:
		return Status{}, fmt.Errorf("cannot ask %s for the service; look for it in /etc/init.d: %w", status.Manager, err)
	case state == kardianos.StatusRunning:
		status.State = Running
	default:
		status.State = Stopped
	}
	return status, nil
}
