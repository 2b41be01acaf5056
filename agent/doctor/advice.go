package doctor

import (
	"context"
	"net/netip"
	"strings"

	"payagent/agent/words"
)

func adviceChecks() []Check {
	return []Check{
		{ID: "advice.browser", Group: GroupAdvice, Title: words.Text{ZH: "浏览器调用本机接口的策略（仅建议）", EN: "browser policy for calling this machine (advice only)"}, do: adviseBrowser},
		{ID: "advice.antivirus", Group: GroupAdvice, Title: words.Text{ZH: "杀毒软件排除项（仅建议，Windows）", EN: "exclusions of virus scanners (advice only, Windows)"}, do: adviseVirus},
	}
}

func adviseBrowser(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	loopback := false
	for _, at := range s.Config.Door.Listen {
		if ap, err := netip.ParseAddrPort(at); err == nil && ap.Addr().IsLoopback() {
			loopback = true
		}
	}
	if len(s.Config.Door.Origins) == 0 || !loopback {
		r.skipped("", words.Text{ZH: "没有网页从浏览器调用本机", EN: "no web page calls this machine from a browser"})
		return
	}
	r.ok(strings.Join(s.Config.Door.Origins, ", "), say("Chrome 142、Edge 143 起，网页调用 127.0.0.1 须由企业策略放行：把这些来源写入 LocalNetworkAccessAllowedForUrls；http 页面没有策略一律被拒。更稳妥的是由 HIS 服务器调用，或打开代理自己的收费页面",
		"from Chrome 142 and Edge 143 on, a page may call 127.0.0.1 only by enterprise policy: list these origins in LocalNetworkAccessAllowedForUrls; a page by http is refused without. Better: let the server of HIS call, or open the agent's own cashier page"))
}

func adviseVirus(_ context.Context, s *Subject, r *report) {
	if s.System.OS != "windows" {
		r.skipped("", words.Text{ZH: "只涉及 Windows", EN: "Windows only"})
		return
	}
	if !s.usable(r) {
		return
	}
	r.ok(s.Config.DataDir, words.Text{ZH: "请在杀毒软件中排除此文件夹和 payagent.exe：扫描订单库会拖慢落盘，误删会使服务停止", EN: "exclude this folder and payagent.exe from virus scanners: scanning the store slows every write, a false alarm stops the service"})
}
