package doctor

import (
	"context"
	"slices"
	"strings"

	"payagent/agent/words"
)

func deviceChecks() []Check {
	return []Check{
		{ID: "scanners.present", Group: GroupDevices, Fails: true, Title: words.Text{ZH: "配置的扫码设备都在", EN: "every configured scanner is there"},
			Cure: words.Text{ZH: "检查连接线和端口；payagent devices list 列出已插入的设备", EN: "check cable and port; payagent devices list shows what is plugged in"}, do: checkScanners},
		{ID: "scanners.rights", Group: GroupDevices, Fails: true, Title: words.Text{ZH: "代理有权读扫码设备", EN: "the agent may read the scanners"},
			Cure: words.Text{ZH: "安装 udev 规则（install/udev/70-payagent.rules），执行 udevadm trigger，然后重新插拔", EN: "install the udev rules (install/udev/70-payagent.rules), run udevadm trigger, plug the scanner in again"}, do: checkRights},
		{ID: "scanners.class", Group: GroupDevices, Fails: true, Title: words.Text{ZH: "扫码设备不是键盘模式", EN: "no scanner types like a keyboard"},
			Cure: words.Text{ZH: "用厂商设置码切到 HID POS 或串口（payagent devices list 列出设置码）", EN: "switch it to HID POS or serial with its maker's code (payagent devices list names it)"}, do: checkClass},
		{ID: "scanners.modemmanager", Group: GroupDevices, Title: words.Text{ZH: "ModemManager 不碰串口扫码设备", EN: "ModemManager leaves serial scanners alone"},
			Cure: words.Text{ZH: "安装 udev 规则，或执行 systemctl disable --now ModemManager", EN: "install the udev rules, or systemctl disable --now ModemManager"}, do: checkModem},
		{ID: "scanners.autosuspend", Group: GroupDevices, Title: words.Text{ZH: "扫码设备的 USB 口不会自动休眠", EN: "the scanners' USB ports do not go to sleep"},
			Cure: words.Text{ZH: "安装 udev 规则后重新插拔；Windows：电源选项中关闭 USB 选择性暂停", EN: "install the udev rules and plug it in again; on Windows switch selective suspend off"}, do: checkSuspend},
		{ID: "displays.present", Group: GroupDevices, Title: words.Text{ZH: "配置的显示与提示设备都在", EN: "every configured display and lamp is there"},
			Cure: words.Text{ZH: "检查连接线和端口", EN: "check cable and port"}, do: checkDisplays},
	}
}

// devices lists the configured ones; nil after it has reported why not.
func (s *Subject) devices(ctx context.Context, r *report, scanner bool) []Device {
	if !s.usable(r) {
		return nil
	}
	type out struct {
		list []Device
		err  error
	}
	o := once(&s.known, "devices", func() out {
		list, err := s.Devices(ctx)
		return out{list, err}
	})
	if o.err != nil && len(o.list) == 0 {
		r.skipped("", say("看不到：%v", "cannot be seen: %v", o.err))
		return nil
	}
	list := slices.DeleteFunc(slices.Clone(o.list), func(d Device) bool { return d.Scanner != scanner })
	if len(list) == 0 {
		r.skipped("", words.Text{ZH: "没有配置", EN: "none is configured"})
	}
	return list
}

func (s *Subject) there(r *report, d Device, away func(string, words.Text, ...words.Text)) {
	if d.Present {
		r.ok(d.Name, say("%s %s", "%s %s", d.Driver, strings.TrimSpace(d.Node+" "+d.Port)))
		return
	}
	e, ok := words.New().Find(words.Device, d.Reason)
	switch {
	case ok:
		away(d.Name, e.Cashier, e.Next)
	case !d.Hint.Empty():
		away(d.Name, d.Hint)
	default:
		away(d.Name, words.Text{ZH: "不在", EN: "not there"})
	}
}

func checkScanners(ctx context.Context, s *Subject, r *report) {
	for _, d := range s.devices(ctx, r, true) {
		s.there(r, d, r.fail)
	}
}

func checkDisplays(ctx context.Context, s *Subject, r *report) {
	for _, d := range s.devices(ctx, r, false) {
		s.there(r, d, r.warn)
	}
}

func checkRights(ctx context.Context, s *Subject, r *report) {
	for _, d := range s.devices(ctx, r, true) {
		switch {
		case d.Reason == "no_permission":
			r.fail(d.Name, say("无权打开 %s", "%s may not be opened", d.Node))
		case s.Running && d.Present:
			r.ok(d.Name, words.Text{ZH: "代理正在读取", EN: "the agent reads it"})
		case !d.Present || d.Node == "" || s.System.OS == "windows":
			r.skipped(d.Name, words.Text{ZH: "无法判断", EN: "cannot be told"})
		default:
			s.mayRead(r, d)
		}
	}
}

// mayRead judges by the file's mode whether the service's user may open it;
// without a service, whether this user may.
func (s *Subject) mayRead(r *report, d Device) {
	f, err := s.System.Stat(d.Node)
	if err != nil {
		r.skipped(d.Name, say("看不到：%v", "cannot be seen: %v", err))
		return
	}
	who := s.System.Me()
	if name := s.unitUser(); name != "" {
		if u, err := s.System.Lookup(name); err == nil {
			who = u
		}
	}
	mode := f.Mode.Perm()
	may := who.UID == 0 || f.UID == who.UID && mode&0o600 == 0o600 || slices.Contains(who.Groups, f.GID) && mode&0o060 == 0o060 || mode&0o006 == 0o006
	if !may {
		r.fail(d.Name, say("用户 %s 无权打开 %s（%v）", "user %s may not open %s (%v)", who.Name, d.Node, mode))
		return
	}
	if mode&0o006 != 0 {
		r.warn(d.Name, say("本机所有用户都能读 %s：付款码可能被窃取", "every user of this machine can read %s, and payment codes with it", d.Node))
		return
	}
	r.ok(d.Name, say("用户 %s 可以打开 %s", "user %s may open %s", who.Name, d.Node))
}

func checkClass(ctx context.Context, s *Subject, r *report) {
	for _, d := range s.devices(ctx, r, true) {
		switch {
		case d.Class != "keyboard" && d.Driver != "wedge":
			r.ok(d.Name, say("%s", "%s", orElse(d.Class, d.Driver)))
		case s.System.OS == "windows":
			r.fail(d.Name, words.Text{ZH: "键盘模式：Windows 上的服务读不到", EN: "it types like a keyboard: a service on Windows cannot read it"})
		default:
			r.warn(d.Name, words.Text{ZH: "键盘模式：能用，但慢，且依赖键盘布局", EN: "it types like a keyboard: works, slower, and by a keyboard layout"})
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// ruleFiles are where the udev rules may be.
func ruleFiles() []string {
	return []string{"/usr/lib/udev/rules.d/70-payagent.rules", "/lib/udev/rules.d/70-payagent.rules", "/etc/udev/rules.d/70-payagent.rules"}
}

func checkModem(ctx context.Context, s *Subject, r *report) {
	list := s.devices(ctx, r, true)
	if list == nil {
		return
	}
	if !slices.ContainsFunc(list, func(d Device) bool { return d.Driver == "serial" }) {
		if len(r.list) == 0 {
			r.skipped("", words.Text{ZH: "没有串口扫码设备", EN: "no scanner is serial"})
		}
		return
	}
	if s.System.OS != "linux" {
		r.skipped("", words.Text{ZH: "不适用于此系统", EN: "not for this system"})
		return
	}
	out, err := s.System.Run(ctx, "systemctl", "is-active", "ModemManager")
	if err != nil || strings.TrimSpace(out) != "active" {
		r.ok("", words.Text{ZH: "没有运行", EN: "it does not run"})
		return
	}
	for _, f := range ruleFiles() {
		if _, err := s.System.Stat(f); err == nil {
			r.ok("", say("在运行，但规则 %s 让它避开", "it runs, and %s keeps it away", f))
			return
		}
	}
	r.warn("", words.Text{ZH: "在运行，且没有安装 udev 规则：它会向扫码设备发送 AT 命令", EN: "it runs and the udev rules are not installed: it sends modem commands to scanners"})
}

func checkSuspend(ctx context.Context, s *Subject, r *report) {
	for _, d := range s.devices(ctx, r, true) {
		if s.System.OS != "linux" || d.Port == "" {
			r.skipped(d.Name, words.Text{ZH: "无法判断", EN: "cannot be told"})
			continue
		}
		port, _, _ := strings.Cut(d.Port, ":") // the device, not its interface
		data, err := s.System.Read("/sys/bus/usb/devices/" + port + "/power/control")
		switch {
		case err != nil:
			r.skipped(d.Name, words.Text{ZH: "看不到", EN: "cannot be seen"})
		case strings.TrimSpace(string(data)) == "auto":
			r.warn(d.Name, say("USB %s 会自动休眠：有的扫码设备醒不过来", "USB %s goes to sleep: some scanners do not wake up", d.Port))
		default:
			r.ok(d.Name, say("USB %s 不休眠", "USB %s stays awake", d.Port))
		}
	}
}
