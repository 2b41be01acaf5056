package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"payagent/platforms"
)

// Warning is something that works but should be known, in both languages.
type Warning struct {
	Code string // stable: plain_http, old_tls, lan_plain_http, test_mode, no_route, no_prefix, no_scanner, file_readable, his_plain_http
	ZH   string
	EN   string
}

// Warnings lists the standing warnings: they are shown at every start and on
// the health page until the configuration changes.
func (c Config) Warnings() []Warning {
	var out []Warning
	add := func(code, zh, en string) { out = append(out, Warning{code, zh, en}) }
	if c.Site.Test {
		add("test_mode", "测试模式：所有界面显示“测试”，不得用于真实收费。", "Test mode: every screen says 测试; not for real payments.")
	}
	for _, p := range c.Platforms {
		if u, err := url.Parse(p.URL); err == nil && u.Scheme == "http" {
			add("plain_http", fmt.Sprintf("支付平台 %s 使用明文 HTTP：途中任何人都能读取授权码并篡改应答。请尽快改用 HTTPS。", p.Name),
				fmt.Sprintf("Platform %s is reached by plain HTTP: whoever sits on the way reads the token and can change answers. Move to HTTPS.", p.Name))
		}
		if p.AllowRSAKeyExchange {
			add("old_tls", fmt.Sprintf("支付平台 %s 允许没有前向保密的旧 TLS 套件；平台升级后请关闭 allow_rsa_key_exchange。", p.Name),
				fmt.Sprintf("Platform %s may use old TLS suites without forward secrecy; switch allow_rsa_key_exchange off when its gateway was renewed.", p.Name))
		}
	}
	for _, l := range c.sections() {
		for _, s := range l.Listen {
			if ap, err := netip.ParseAddrPort(s); err == nil && l.TLS.Cert == "" && !ap.Addr().IsLoopback() {
				add("lan_plain_http", fmt.Sprintf("%s 的地址 %s 未启用 TLS：该网络上的任何人都能读取令牌和订单。", l.key, s),
					fmt.Sprintf("%s is open at %s without TLS: whoever listens on that network reads tokens and orders.", l.key, s))
			}
		}
	}
	c.hisWarnings(add)
	for _, t := range c.Tills {
		var lost []string
		prefixless := map[string]bool{}
		for _, mode := range t.Modes {
			for _, typ := range c.orderTypesOf(t) {
				if _, _, err := c.RouteFor(Query{t.Name, platforms.Mode(mode), typ}); err != nil {
					lost = append(lost, mode+"×"+typ)
				}
				if c.Prefix(t.Kind, typ) == "" && !prefixless[typ] {
					prefixless[typ] = true
					add("no_prefix", fmt.Sprintf("收费点 %s 的业务类型 %s 没有订单号前缀。", t.Name, typ),
						fmt.Sprintf("Till %s has no order-number prefix for %s.", t.Name, typ))
				}
			}
		}
		if len(lost) > 0 {
			list := strings.Join(lost, ", ")
			add("no_route", fmt.Sprintf("收费点 %s 以下业务没有商户路由，将被拒绝：%s。请在 routes 中补充，或在 modes、order_types 中去掉。", t.Name, list),
				fmt.Sprintf("Till %s has no merchant for: %s. Such orders are refused; add routes, or narrow its modes and order_types.", t.Name, list))
		}
		if t.Kind == Kiosk && len(t.Scanners) == 0 && len(t.Modes) > 0 && t.Modes[0] == string(platforms.ModeCharge) && len(t.Modes) == 1 {
			add("no_scanner", fmt.Sprintf("自助机 %s 只做条码付，却没有扫码设备。", t.Name), fmt.Sprintf("Kiosk %s only charges codes but has no scanner.", t.Name))
		}
	}
	return out
}

// Report is what "config check" prints: what the configuration amounts to, for
// a person to compare with what was agreed. It holds no secret.
func (c Config) Report() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("配置 Configuration: %s", c.file)
	line("医院 Hospital: %s (%s)", c.Site.Name, c.Site.HospitalID)
	line("")
	line("支付平台 Platforms")
	for _, p := range c.Platforms {
		for i, w := range p.Ways() {
			way := "直连 direct"
			if w.Relay != "" {
				way = "经固定地址 relay " + w.Relay
			}
			if w.Uplink == MQTT {
				way = fmt.Sprintf("经消息服务器 %s 由 payfleet relay 代为调用 through the broker, called by payfleet relay", c.Fleet.Broker)
			}
			if w.Proxy != nil {
				way = fmt.Sprintf("经代理 proxy %s %s", w.Proxy.Kind, w.Proxy.Address)
			}
			if w.From != "" {
				way += "，自 from " + w.From
			}
			if i == 0 {
				line("  %-12s %-10s %s  %s", p.Name, p.Driver, p.URL, way)
			} else {
				line("  %-12s %-10s 备用通路 second way: %s", "", "", way)
			}
		}
	}
	line("")
	line("路由 Routes (收费点 till × 方式 mode × 业务 order type → 商户 merchant @ 平台 platform)")
	for _, t := range c.Tills {
		for _, mode := range t.Modes {
			for _, typ := range c.orderTypesOf(t) {
				dest := "—— 无 none"
				if p, m, err := c.RouteFor(Query{t.Name, platforms.Mode(mode), typ}); err == nil {
					dest = m.Profile + " @ " + p.Name
				}
				line("  %-10s %-8s %-20s → %s", t.Name, mode, typ, dest)
			}
		}
	}
	line("")
	line("业务类型 Order types (FWC OrderType, SmartPay ServiceId, 金额 amounts)")
	for _, name := range sortedKeys(c.OrderTypes) {
		t := c.OrderTypes[name]
		low, high := c.Bounds(name)
		line("  %-20s OrderType=%-20s ServiceId=%-4s %-10s %s–%s 元", name, t.OrderType, or(t.ServiceID, "—"), t.Class, low, high)
	}
	line("")
	line("订单号前缀 Order-number prefixes")
	for _, kind := range sortedKeys(c.Prefixes) {
		for _, key := range sortedKeys(c.Prefixes[kind]) {
			line("  %-8s %-20s %s", kind, key, c.Prefixes[kind][key])
		}
	}
	line("  ! 上线前务必先与财务确认对账方案和以上前缀（ZHZY 按接口文档原样，可能应为 ZJZY）。")
	line("  ! Agree reconciliation and these prefixes with finance before going live (ZHZY is spelt as in the interface document; ZJZY may be meant).")
	line("  ! ServiceId 的取值文档未列出，请与支付平台确认。 The document lists no ServiceId values: agree them with the platform.")
	line("")
	warnings := c.Warnings()
	if len(warnings) == 0 {
		line("警告 Warnings: 无 none")
	} else {
		line("警告 Warnings")
	}
	for _, w := range warnings {
		line("  ! [%s] %s", w.Code, w.ZH)
		line("    %s", w.EN)
	}
	return b.String()
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
