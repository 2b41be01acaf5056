package service

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	kardianos "github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// account is the service's own: Windows makes it, it has no password and no
// rights but those given to it.
const account = `NT SERVICE\` + Name

// stopTime is how long a shutdown waits for the agent, in milliseconds.
const stopTime = 30_000

func manage(o Options) (kardianos.Service, error) {
	return kardianos.New(outside{}, &kardianos.Config{Name: Name, DisplayName: display, Description: description, UserName: account,
		Executable: o.Program, Arguments: []string{"run", "--config", o.Config}, Option: kardianos.KeyValue{"DelayedAutoStart": true}})
}

// Install makes the service and lets it start after power-on; it does not
// start it. The library makes service and Event Log source; here is what it
// leaves out: three recovery actions that also count when the agent ends by
// itself, time to finish at a shutdown, and who may read and write which folder.
func Install(o Options, out io.Writer) (err error) {
	s, err := manage(o)
	if err != nil {
		return err
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("cannot install the service; run this as administrator: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("cannot set the service up: %w", err), s.Uninstall())
		}
	}()
	if err := finish(); err != nil {
		return err
	}
	if err := permit(filepath.Dir(o.Config), readOnly); err != nil {
		return err
	}
	for _, dir := range o.Paths {
		if err := permit(dir, change); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "  %s  (%s)\n", o.Program, account)
	return err
}

// finish sets what the library does not.
func finish() error {
	return with(func(s *mgr.Service) error {
		again := func(after time.Duration) mgr.RecoveryAction {
			return mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: after}
		}
		if err := s.SetRecoveryActions([]mgr.RecoveryAction{again(5 * time.Second), again(30 * time.Second), again(time.Minute)}, 86400); err != nil {
			return err
		}
		if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
			return err
		}
		wait := struct{ milliseconds uint32 }{stopTime} // SERVICE_PRESHUTDOWN_INFO
		return windows.ChangeServiceConfig2(s.Handle, windows.SERVICE_CONFIG_PRESHUTDOWN_INFO, (*byte)(unsafe.Pointer(&wait)))
	})
}

func with(do func(*mgr.Service) error) (err error) {
	m, err := mgr.Connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Disconnect()) }()
	s, err := m.OpenService(Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return ErrNotInstalled
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

// Rights of the service in a folder.
const (
	readOnly = "0x1200a9"
	change   = "0x1301bf"
)

// permit makes a folder that the system, administrators and the service may
// use, and nobody else: patients' data and tokens lie in it.
func permit(dir, rights string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sid, _, _, err := windows.LookupSID("", account)
	if err != nil {
		return fmt.Errorf("cannot find the account %s: %w", account, err)
	}
	sd, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;" + rights + ";;;" + sid.String() + ")")
	if err != nil {
		return err
	}
	acl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil)
	if err != nil {
		return fmt.Errorf("cannot set the rights of %s: %w", dir, err)
	}
	return nil
}

// Uninstall stops the service and takes it away. Orders and configuration stay.
func Uninstall(out io.Writer) error {
	if err := Stop(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return err
	}
	s, err := manage(Options{})
	if err != nil {
		return err
	}
	if err := s.Uninstall(); err != nil {
		return fmt.Errorf("cannot uninstall the service; run this as administrator: %w", err)
	}
	_, err = fmt.Fprintln(out, "订单和配置保留 orders and configuration stay")
	return err
}

// Start starts the service.
func Start() error {
	return with(func(s *mgr.Service) error { return s.Start() })
}

// Stop stops the service and waits until it has stopped.
func Stop() error {
	return with(func(s *mgr.Service) error {
		status, err := s.Control(svc.Stop)
		for end := time.Now().Add(2 * stopTime * time.Millisecond); err == nil && status.State != svc.Stopped; status, err = s.Query() {
			if time.Now().After(end) {
				return errors.New("cannot stop the service: it does not come to an end; look at the Event Log")
			}
			time.Sleep(100 * time.Millisecond)
		}
		return err
	})
}

// Look asks the service manager. It needs no administrator.
func Look() (s Status, err error) {
	m, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return s, fmt.Errorf("cannot ask the service manager: %w", err)
	}
	defer func() { err = errors.Join(err, windows.CloseServiceHandle(m)) }()
	name, err := syscall.UTF16PtrFromString(Name)
	if err != nil {
		return s, err
	}
	h, err := windows.OpenService(m, name, windows.SERVICE_QUERY_STATUS|windows.SERVICE_QUERY_CONFIG)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return Status{State: Missing}, nil
	}
	if err != nil {
		return s, fmt.Errorf("cannot ask the service manager: %w", err)
	}
	open := &mgr.Service{Name: Name, Handle: h}
	defer func() { err = errors.Join(err, open.Close()) }()
	now, err := open.Query()
	if err != nil {
		return s, fmt.Errorf("cannot ask the service manager: %w", err)
	}
	c, err := open.Config()
	if err != nil {
		return s, fmt.Errorf("cannot ask the service manager: %w", err)
	}
	s = Status{State: Stopped, Enabled: c.StartType == mgr.StartAutomatic, PID: int(now.ProcessId), Unit: c.BinaryPathName}
	switch now.State {
	case svc.Running:
		s.State = Running
	case svc.StartPending:
		s.State = Starting
	case svc.Stopped:
		if now.Win32ExitCode != 0 && now.Win32ExitCode != uint32(windows.ERROR_SERVICE_NEVER_STARTED) {
			s.State, s.Result = Failed, fmt.Sprintf("exit code %d/%d", now.Win32ExitCode, now.ServiceSpecificExitCode)
		}
	}
	return s, nil
}
