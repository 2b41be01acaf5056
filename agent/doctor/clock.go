package doctor

import (
	"context"
	"strconv"
	"strings"
	"time"

	"payagent/agent/words"
)

func clockChecks() []Check {
	set := words.Text{ZH: "校准时钟：timedatectl set-time，或启用 NTP；Windows：w32tm /resync", EN: "set the clock: timedatectl set-time, or switch NTP on; on Windows w32tm /resync"}
	return []Check{
		{ID: "clock.year", Group: GroupClock, Fails: true, Title: words.Text{ZH: "时钟在合理的年份", EN: "the clock is in a year that can be"}, Cure: set, do: checkYear},
		{ID: "clock.zone", Group: GroupClock, Title: words.Text{ZH: "时区是东八区", EN: "the time zone is UTC+8"},
			Cure: words.Text{ZH: "执行 timedatectl set-timezone Asia/Shanghai；Windows：tzutil /s \"China Standard Time\"；收款不受影响，但日志与窗口时间会错", EN: "timedatectl set-timezone Asia/Shanghai; on Windows tzutil /s \"China Standard Time\"; payments do not mind, logs and windows of time do"}, do: checkZone},
		{ID: "clock.rtc", Group: GroupClock, Title: words.Text{ZH: "有电池时钟，且与系统时钟一致", EN: "a clock with a battery is there and agrees"},
			Cure: words.Text{ZH: "校准后执行 hwclock -w；没有电池时钟的机器要能连上 NTP", EN: "hwclock -w after setting; a machine without such a clock needs NTP"}, do: checkRTC},
		{ID: "clock.ntp", Group: GroupClock, Title: words.Text{ZH: "时钟由 NTP 同步", EN: "the clock is synchronised by NTP"},
			Cure: words.Text{ZH: "配置院内 NTP 服务器并执行 timedatectl set-ntp true；Windows：w32tm /config /manualpeerlist:院内服务器 /syncfromflags:manual /update，再 w32tm /resync", EN: "name the hospital's NTP server and run timedatectl set-ntp true; on Windows w32tm /config /manualpeerlist:SERVER /syncfromflags:manual /update, then w32tm /resync"}, do: checkNTP},
		{ID: "clock.skew", Group: GroupClock, Fails: true, Title: words.Text{ZH: "与支付平台的时间一致（平台应答的 Date）", EN: "agrees with the platforms (Date of their answers)"}, Cure: set, do: checkSkew},
	}
}

// leastYear is before any version of this program.
const leastYear = 2026

func checkYear(_ context.Context, s *Subject, r *report) {
	now := s.System.Now()
	text := say("%s", "%s", now.Format("2006-01-02 15:04:05 -0700"))
	if known := s.time(); now.Before(known.Add(-24 * time.Hour)) {
		r.fail("", say("%s，而至少已是 %s", "%s, and it is at least %s", now.Format("2006-01-02 15:04:05 -0700"), known.Format("2006-01-02 15:04:05 -0700")))
		return
	}
	if now.Year() < leastYear || now.Year() > 2090 || now.Before(s.System.Built.Add(-24*time.Hour)) {
		r.fail("", text)
		return
	}
	r.ok("", text)
}

func checkZone(_ context.Context, s *Subject, r *report) {
	name, offset := s.System.Now().Zone()
	if offset != 8*3600 {
		r.warn("", say("%s（UTC%+d）", "%s (UTC%+d)", name, offset/3600), s.onWindows(words.Text{
			ZH: "执行 tzutil /s \"China Standard Time\"；收款不受影响，但日志与窗口时间会错", EN: "tzutil /s \"China Standard Time\"; payments do not mind, logs and windows of time do"}))
		return
	}
	r.ok("", say("%s", "%s", name))
}

// onWindows gives a cure for Windows, nothing (the check's own) elsewhere.
func (s *Subject) onWindows(cure words.Text) words.Text {
	if s.System.OS != "windows" {
		return words.Text{}
	}
	return cure
}

func checkRTC(_ context.Context, s *Subject, r *report) {
	if s.System.OS != "linux" {
		r.skipped("", words.Text{ZH: "不适用于此系统", EN: "not for this system"})
		return
	}
	data, err := s.System.Read("/sys/class/rtc/rtc0/since_epoch")
	if err != nil {
		r.warn("", words.Text{ZH: "没有电池时钟：断电后没有网络时，时钟会是错的", EN: "there is none: after a power cut without a network the clock is wrong"})
		return
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		r.skipped("", words.Text{ZH: "看不懂", EN: "not understood"})
		return
	}
	diff := s.System.Now().Sub(time.Unix(n, 0)).Round(time.Second)
	switch {
	case within(time.Unix(n, 0), s.System.Now(), 2*time.Minute):
		r.ok("", say("相差 %s", "differs by %s", diff))
	case within(time.Unix(n, 0).Add(-8*time.Hour), s.System.Now(), 2*time.Minute):
		r.warn("", words.Text{ZH: "电池时钟存的是本地时间", EN: "it holds local time"}, words.Text{ZH: "执行 timedatectl set-local-rtc 0", EN: "run timedatectl set-local-rtc 0"})
	default:
		r.warn("", say("相差 %s", "differs by %s", diff))
	}
}

func checkNTP(ctx context.Context, s *Subject, r *report) {
	if s.System.OS == "windows" {
		out, err := s.System.Run(ctx, "w32tm.exe", "/query", "/status")
		if err != nil || strings.Contains(out, "Local CMOS Clock") {
			r.warn("", words.Text{ZH: "没有同步", EN: "not synchronised"}, s.onWindows(words.Text{
				ZH: "在管理员命令行执行 w32tm /config /manualpeerlist:院内服务器 /syncfromflags:manual /update，再 w32tm /resync；服务没有运行时先 net start w32time",
				EN: "as administrator: w32tm /config /manualpeerlist:SERVER /syncfromflags:manual /update, then w32tm /resync; net start w32time first where the service does not run"}))
			return
		}
		r.ok("", words.Text{ZH: "已同步", EN: "synchronised"})
		return
	}
	out, err := s.System.Run(ctx, "timedatectl", "show", "--value", "-p", "NTPSynchronized")
	switch {
	case err != nil:
		r.skipped("", words.Text{ZH: "没有 timedatectl，或它没有及时应答", EN: "there is no timedatectl, or it did not answer in time"})
	case strings.TrimSpace(out) == "yes":
		r.ok("", words.Text{ZH: "已同步", EN: "synchronised"})
	default:
		r.warn("", words.Text{ZH: "没有同步", EN: "not synchronised"})
	}
}

// The bounds of a clock's error.
const (
	someSkew = time.Minute
	muchSkew = 10 * time.Minute
)

func checkSkew(ctx context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	for _, t := range s.targets() {
		if t.kind != "platform" {
			continue
		}
		a := s.ask(ctx, t)
		if a.date.IsZero() {
			r.skipped(t.name, words.Text{ZH: "平台没有给出可信的时间（只看加密的应答）", EN: "the platform told no time that can be believed (TLS only)"})
			continue
		}
		diff := a.at.Sub(a.date).Round(time.Second)
		text := say("本机比平台快 %s", "this clock is ahead of the platform's by %s", diff)
		switch {
		case !within(a.date, a.at, muchSkew):
			r.fail(t.name, text)
		case !within(a.date, a.at, someSkew):
			r.warn(t.name, text)
		default:
			r.ok(t.name, text)
		}
	}
	if len(r.list) == 0 {
		r.skipped("", words.Text{ZH: "没有直连的平台", EN: "no platform is reached directly"})
	}
}
