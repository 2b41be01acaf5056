package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strconv"
	"strings"

	"payagent/agent/config"

	"payagent/agent/words"
)

// bestScore is the exposure that the service must not exceed, as
// systemd-analyze security counts it (0 is the least).
const bestScore = 2.0

func serviceChecks() []Check {
	return []Check{
		{ID: "process.single", Group: GroupService, Fails: true, Title: words.Text{ZH: "只有一个代理在使用这份数据", EN: "one agent alone uses this data"},
			Cure: words.Text{ZH: "停掉多余的那个：payagent service status，或查看进程列表", EN: "stop the one too many: payagent service status, or the list of processes"}, do: checkSingle},
		{ID: "process.ready", Group: GroupService, Fails: true, Title: words.Text{ZH: "代理正在运行，可以收款", EN: "the agent runs and can take a payment"},
			Cure: words.Text{ZH: "按原因处理；未运行时执行 payagent service start", EN: "do what the reason says; if it does not run, payagent service start"}, do: checkReady},
		{ID: "process.ports", Group: GroupService, Fails: true, Title: words.Text{ZH: "各监听地址属于本机，且空闲或由代理占用", EN: "every address to listen at is this machine's, and free or ours"},
			Cure: words.Text{ZH: "端口被占用：ss -ltnp（Windows：netstat -abno）查出程序并停掉，或在配置中换端口；地址不是本机的：改成本机地址", EN: "address in use: ss -ltnp (on Windows netstat -abno) names the program; stop it, or choose another port; cannot assign: write an address of this machine"}, do: checkPorts},
		{ID: "process.cores", Group: GroupService, Title: words.Text{ZH: "不产生核心转储（其中会有付款码）", EN: "no core dumps, which would hold payment codes"},
			Cure: words.Text{ZH: "设置 kernel.core_pattern 为 |/bin/false 或卸载崩溃收集程序", EN: "set kernel.core_pattern to |/bin/false, or remove the crash collector"}, do: checkCores},
		{ID: "service.installed", Group: GroupService, Title: words.Text{ZH: "已安装为系统服务", EN: "installed as a service"},
			Cure: words.Text{ZH: "执行 payagent service install，或安装软件包", EN: "run payagent service install, or install the package"}, do: checkInstalled},
		{ID: "service.enabled", Group: GroupService, Title: words.Text{ZH: "开机自动启动", EN: "started at power-on"},
			Cure: words.Text{ZH: "执行 systemctl enable --now payagent；Windows：启动类型设为自动", EN: "systemctl enable --now payagent; on Windows set the start type to automatic"}, do: checkEnabled},
		{ID: "service.user", Group: GroupService, Title: words.Text{ZH: "以专用用户运行，不用 root", EN: "runs as a user of its own, not root"},
			Cure: words.Text{ZH: "重新安装软件包，或 payagent service install", EN: "install the package again, or payagent service install"}, do: checkUser},
		{ID: "service.score", Group: GroupService, Title: words.Text{ZH: "systemd 加固评分不高于 2.0", EN: "systemd's exposure score is at most 2.0"},
			Cure: words.Text{ZH: "恢复随包的服务单元；本地修改放在 payagent.service.d", EN: "restore the unit of the package; keep changes of your own in payagent.service.d"}, do: checkScore},
		{ID: "service.inhibitor", Group: GroupService, Title: words.Text{ZH: "订单未结时可以阻止关机", EN: "a shutdown can be held up while an order is open"},
			Cure: words.Text{ZH: "启用 systemd-logind 与 D-Bus；没有也能收款，但关机会打断订单", EN: "enable systemd-logind and D-Bus; payments work without, a shutdown then interrupts them"}, do: checkInhibitor},
		{ID: "system.memory", Group: GroupService, Title: words.Text{ZH: "内存够用", EN: "there is enough memory"},
			Cure: words.Text{ZH: "关掉多余的程序，或加内存；代理自身约需 30 MiB", EN: "end other programs or add memory; the agent needs about 30 MiB"}, do: checkMemory},
		{ID: "system.cpu", Group: GroupService, Title: words.Text{ZH: "程序与处理器架构一致", EN: "the program is of the processor's architecture"},
			Cure: words.Text{ZH: "安装与处理器一致的软件包", EN: "install the package for this processor"}, do: checkCPU},
	}
}

func checkSingle(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	st, err := s.store()
	switch {
	case err != nil && !st.InUse:
		r.skipped("", words.Text{ZH: "订单库看不到（见 store.opens）", EN: "the store cannot be seen (see store.opens)"})
	case st.InUse && s.Running:
		r.ok("", words.Text{ZH: "代理在运行", EN: "the agent runs"})
	case st.InUse:
		r.fail("", words.Text{ZH: "另有程序占用订单库，而代理的接口不应答：可能已挂起，或有第二个代理用同一 data_dir", EN: "a program has the store open and the agent's door does not answer: it hangs, or a second agent has the same data_dir"})
	case s.Running && st.Exists:
		r.fail("", words.Text{ZH: "应答的代理没有打开这份订单库：端口上是另一个代理", EN: "the agent that answers has not opened this store: another one has the port"})
	default:
		r.ok("", words.Text{ZH: "没有代理在运行", EN: "no agent runs"})
	}
}

func checkReady(ctx context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	if !s.Running {
		r.warn("", words.Text{ZH: "代理没有运行", EN: "the agent does not run"})
		return
	}
	ready, why, err := s.Ready(ctx)
	if err != nil {
		r.fail("", say("代理没有应答：%v", "the agent does not answer: %v", err))
		return
	}
	for _, w := range why {
		if ready { // somebody has to wait
			r.warn("", w)
		} else {
			r.fail("", w)
		}
	}
	if ready && len(why) == 0 {
		r.ok("", words.Text{ZH: "可以收款", EN: "a payment can be taken"})
	}
}

func checkPorts(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	c := s.Config
	for _, l := range []struct {
		name string
		config.Listener
	}{{"door", c.Door.Listener()}, {"facade", c.Facade.Listener}, {"books", c.Books.Listener}, {"callback", c.Callback.Listener}} {
		for _, at := range l.Listen {
			err := s.System.Listen(at)
			switch {
			case s.Running && err != nil && !errors.Is(err, fs.ErrNotExist):
				r.ok(l.name, say("%s 由代理占用", "%s is the agent's", at))
			case s.Running && err == nil:
				r.fail(l.name, say("%s 没有打开，尽管代理在运行：配置改过而未重启？", "%s is not open although the agent runs: was the configuration changed without a restart?", at), words.Text{ZH: "重启代理", EN: "restart the agent"})
			case err != nil:
				r.fail(l.name, say("%s 打不开：%v", "%s cannot be opened: %v", at, err))
			default:
				r.ok(l.name, say("%s 空闲", "%s is free", at))
			}
		}
	}
}

// unit asks systemd for one property of our service; empty where there is
// none.
func (s *Subject) unit(property string) string {
	if s.System.OS != "linux" {
		return ""
	}
	ctx, stop := context.WithTimeout(context.Background(), Patience)
	defer stop()
	out, err := s.System.Run(ctx, "systemctl", "show", "--value", "-p", property, s.Unit)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// unitUser is the user that the service runs as; empty where unknown.
func (s *Subject) unitUser() string {
	if s.unit("LoadState") != "loaded" {
		return ""
	}
	if u := s.unit("User"); u != "" {
		return u
	}
	return "root"
}

func checkCores(_ context.Context, s *Subject, r *report) {
	if s.System.OS != "linux" {
		r.skipped("", words.Text{ZH: "只涉及 Linux", EN: "Linux only"})
		return
	}
	data, err := s.System.Read("/proc/sys/kernel/core_pattern")
	pattern := strings.TrimSpace(string(data))
	pid := s.unit("MainPID")
	if pid != "" && pid != "0" {
		limits, err := s.System.Read("/proc/" + pid + "/limits")
		for line := range strings.Lines(string(limits)) {
			f := strings.Fields(strings.TrimPrefix(line, "Max core file size"))
			if err == nil && strings.HasPrefix(line, "Max core file size") && len(f) > 0 && f[0] != "0" {
				r.warn("", words.Text{ZH: "正在运行的代理允许核心转储", EN: "the running agent may dump core"}, words.Text{ZH: "重启代理；仍如此则在服务单元中设置 LimitCORE=0", EN: "restart the agent; else set LimitCORE=0 in the unit"})
				return
			}
		}
	}
	// These two respect the limit of zero that the agent sets; others that the
	// kernel pipes a dump into may not.
	if err == nil && strings.HasPrefix(pattern, "|") && !strings.Contains(pattern, "systemd-coredump") && !strings.Contains(pattern, "apport") && !strings.Contains(pattern, "/bin/false") {
		r.warn("", say("内核把转储交给 %s，它可能不理会上限", "the kernel hands dumps to %s, which may not heed the limit", pattern))
		return
	}
	r.ok("", words.Text{ZH: "代理启动时关闭", EN: "switched off by the agent at its start"})
}

func checkInstalled(ctx context.Context, s *Subject, r *report) {
	switch s.System.OS {
	case "linux":
		switch state := s.unit("LoadState"); state {
		case "":
			r.skipped("", words.Text{ZH: "本机没有 systemd", EN: "this machine has no systemd"})
		case "loaded":
			r.ok("", say("%s.service", "%s.service", s.Unit))
		default:
			r.warn("", say("没有安装（%s）", "not installed (%s)", state))
		}
	case "windows":
		if out, err := s.System.Run(ctx, "sc.exe", "query", s.Unit); err != nil || !strings.Contains(out, "STATE") {
			r.warn("", words.Text{ZH: "没有安装", EN: "not installed"})
			return
		}
		r.ok("", say("服务 %s", "service %s", s.Unit))
	default:
		r.skipped("", words.Text{ZH: "不适用于此系统", EN: "not for this system"})
	}
}

func checkEnabled(ctx context.Context, s *Subject, r *report) {
	switch s.System.OS {
	case "linux":
		if s.unit("LoadState") != "loaded" {
			r.skipped("", words.Text{ZH: "没有安装", EN: "not installed"})
			return
		}
		switch state := s.unit("UnitFileState"); state {
		case "enabled", "enabled-runtime", "static", "linked", "alias", "generated":
			r.ok("", say("%s", "%s", state))
		default:
			r.warn("", say("没有启用（%s）", "not enabled (%s)", state))
		}
	case "windows":
		out, err := s.System.Run(ctx, "sc.exe", "qc", s.Unit)
		switch {
		case err != nil:
			r.skipped("", words.Text{ZH: "没有安装", EN: "not installed"})
		case strings.Contains(out, "AUTO_START"):
			r.ok("", words.Text{ZH: "自动", EN: "automatic"})
		default:
			r.warn("", words.Text{ZH: "不是自动启动", EN: "not started automatically"})
		}
	default:
		r.skipped("", words.Text{ZH: "不适用于此系统", EN: "not for this system"})
	}
}

func checkUser(_ context.Context, s *Subject, r *report) {
	if s.System.OS != "linux" {
		r.skipped("", words.Text{ZH: "不适用于此系统", EN: "not for this system"})
		return
	}
	name := s.unitUser()
	switch {
	case name == "":
		r.skipped("", words.Text{ZH: "没有安装服务", EN: "the service is not installed"})
		return
	case name == "root":
		r.warn("", words.Text{ZH: "服务以 root 运行", EN: "the service runs as root"})
		return
	}
	u, err := s.System.Lookup(name)
	if err != nil {
		r.fail(name, words.Text{ZH: "用户不存在：服务起不来", EN: "there is no such user: the service cannot start"})
		return
	}
	r.ok(name, say("用户编号 %d", "uid %d", u.UID))
}

func checkScore(ctx context.Context, s *Subject, r *report) {
	if s.System.OS != "linux" || s.unit("LoadState") != "loaded" {
		r.skipped("", words.Text{ZH: "没有安装 systemd 服务", EN: "no systemd service is installed"})
		return
	}
	out, err := s.System.Run(ctx, "systemd-analyze", "security", "--no-pager", s.Unit+".service")
	if err != nil && out == "" {
		r.skipped("", say("评不了：%v", "cannot be rated: %v", err))
		return
	}
	score, ok := scoreOf(out)
	switch {
	case !ok:
		r.skipped("", words.Text{ZH: "看不懂 systemd-analyze 的输出", EN: "the words of systemd-analyze were not understood"})
	case score > bestScore:
		r.warn("", say("%.1f", "%.1f", score))
	default:
		r.ok("", say("%.1f", "%.1f", score))
	}
}

// scoreOf finds the number in "Overall exposure level for x.service: 1.9 OK".
func scoreOf(out string) (float64, bool) {
	_, rest, ok := strings.Cut(out, "exposure level for")
	if !ok {
		return 0, false
	}
	_, rest, ok = strings.Cut(rest, ": ")
	f := strings.Fields(rest)
	if !ok || len(f) == 0 {
		return 0, false
	}
	score, err := strconv.ParseFloat(f[0], 64)
	return score, err == nil
}

func checkInhibitor(_ context.Context, s *Subject, r *report) {
	if s.System.OS != "linux" {
		r.skipped("", words.Text{ZH: "不适用于此系统", EN: "not for this system"})
		return
	}
	for _, path := range []string{"/run/dbus/system_bus_socket", "/run/systemd/inhibit"} {
		if _, err := s.System.Stat(path); err != nil {
			r.warn("", say("没有 %s", "%s is not there", path))
			return
		}
	}
	r.ok("", words.Text{ZH: "systemd-logind 在运行", EN: "systemd-logind runs"})
}

func checkMemory(_ context.Context, s *Subject, r *report) {
	total, free, err := s.System.Memory()
	text := say("可用 %s，共 %s", "%s available of %s", size(free), size(total))
	switch {
	case err != nil:
		r.skipped("", say("看不到：%v", "cannot be seen: %v", err))
	case free < 48<<20:
		r.warn("", text)
	default:
		r.ok("", text)
	}
}

func checkCPU(_ context.Context, s *Subject, r *report) {
	_, hardware := s.System.Machine()
	fits := map[string][]string{"amd64": {"x86_64", "amd64"}, "arm64": {"aarch64", "arm64"}, "arm": {"armv7l", "armv8l", "armv7"}, "386": {"i686", "i586", "i386", "x86"}}
	for arch, names := range fits {
		for _, n := range names {
			if !strings.EqualFold(n, hardware) {
				continue
			}
			if arch != s.System.Arch {
				r.warn("", say("处理器 %s，程序是 %s 版：能运行，但不是最合适的", "the processor is %s, the program is for %s: it runs, but another fits better", hardware, s.System.Arch))
				return
			}
			r.ok("", say("%s", "%s", hardware))
			return
		}
	}
	r.ok("", say("处理器 %s，程序 %s", "processor %s, program %s", hardware, s.System.Arch))
}

// isIP tells whether a host is written as an address.
func isIP(host string) bool { return net.ParseIP(host) != nil }
