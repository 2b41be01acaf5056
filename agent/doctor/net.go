package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"payagent/agent/seal"
	"payagent/agent/words"
)

func netChecks() []Check {
	network := words.Text{ZH: "医院网络管理员", EN: "the hospital's network administrator"}
	return []Check{
		{ID: "net.link", Group: GroupNet, Fails: true, Title: words.Text{ZH: "网线或无线已连接，有地址", EN: "the network is plugged in and has an address"},
			Cure: words.Text{ZH: "检查网线、交换机端口、DHCP 或静态地址", EN: "check cable, switch port, DHCP or the fixed address"}, Call: network, do: checkLink},
		{ID: "net.dns", Group: GroupNet, Fails: true, Title: words.Text{ZH: "域名能解析", EN: "the names can be looked up"},
			Cure: words.Text{ZH: "检查 DNS 服务器；或用 relay 写固定地址，不再解析", EN: "check the DNS servers, or name a fixed address with relay, which needs none"}, Call: network, do: checkDNS},
		{ID: "net.proxy", Group: GroupNet, Fails: true, Title: words.Text{ZH: "代理服务器连得上", EN: "the proxy can be reached"},
			Cure: words.Text{ZH: "检查 proxy.address 和代理服务器", EN: "check proxy.address and the proxy"}, Call: words.Text{ZH: "代理服务器管理员", EN: "whoever runs the proxy"}, do: checkProxy},
		{ID: "net.tcp", Group: GroupNet, Fails: true, Title: words.Text{ZH: "平台地址连得上（TCP）", EN: "the platform's address takes connections (TCP)"},
			Cure: words.Text{ZH: "没有应答：检查防火墙、路由，请其放行此地址；被拒绝（refused）：核对端口，前置机上的程序是否在运行", EN: "no answer: check firewall and route, have this address let through; refused: check the port, and whether the front-end's program runs"}, Call: network, do: checkTCP},
		{ID: "net.tls", Group: GroupNet, Fails: true, Title: words.Text{ZH: "加密握手成功：版本、证书链、到期、公钥", EN: "TLS agrees: version, chain, days left, pins"},
			Cure: words.Text{ZH: "核对地址与端口（此端口上可能不是 https）；防火墙或代理可能拦截加密，请网络管理员放行", EN: "check address and port (it may not speak https there); a firewall or proxy may cut TLS off: have it let through"}, Call: words.Text{ZH: "支付平台；若证书来自院内网关则是网络管理员", EN: "the payment platform; the network administrator where a gateway of the hospital shows the certificate"}, do: checkTLS},
		{ID: "net.platform", Group: GroupNet, Fails: true, Title: words.Text{ZH: "平台应用应答（无害的询问，不扣款）", EN: "the platform's application answers something harmless; nothing is charged"},
			Cure: words.Text{ZH: "核对地址、商户号和令牌；平台故障时等待", EN: "check address, merchant and token; wait if the platform is down"}, Call: words.Text{ZH: "支付平台客服", EN: "the payment platform's support"}, do: checkPlatform},
		{ID: "net.his", Group: GroupNet, Title: words.Text{ZH: "HIS 的回调地址连得上", EN: "the address of HIS's webhook can be reached"},
			Cure: words.Text{ZH: "检查 his.webhook.url 和 HIS 服务器", EN: "check his.webhook.url and the server of HIS"}, Call: words.Text{ZH: "HIS 厂商", EN: "the vendor of HIS"}, do: checkHIS},
		{ID: "net.broker", Group: GroupNet, Fails: true, Title: words.Text{ZH: "机群消息服务器（MQTT）连得上，证书被接受", EN: "the fleet's broker (MQTT) can be reached and takes the certificate"},
			Cure: words.Text{ZH: "检查 fleet.broker、证书和消息服务器", EN: "check fleet.broker, the certificate and the broker"}, Call: words.Text{ZH: "机群管理员（信息科）", EN: "whoever runs the fleet (IT)"}, do: checkBroker},
	}
}

// memo does something once for several checks.
type memo struct {
	mu sync.Mutex
	m  map[string]func() any
}

func once[T any](m *memo, key string, do func() T) T {
	m.mu.Lock()
	if m.m == nil {
		m.m = map[string]func() any{}
	}
	f, ok := m.m[key]
	if !ok {
		f = sync.OnceValue(func() any { return do() })
		m.m[key] = f
	}
	m.mu.Unlock()
	v, _ := f().(T)
	return v
}

// errBefore tells that a hop was not tried because one before it failed.
var errBefore = errors.New("an earlier hop failed")

// resolve looks the target's host up.
func (s *Subject) resolve(ctx context.Context, t target) ([]string, error) {
	type out struct {
		list []string
		err  error
	}
	o := once(&s.known, "dns "+t.host, func() out {
		if isIP(t.host) {
			return out{}
		}
		list, err := s.System.Resolve(ctx, t.host)
		return out{list, err}
	})
	return o.list, o.err
}

// connect opens a TCP connection to the target's first hop. Where connections
// leave from a place of their own, only the way itself can: look does.
func (s *Subject) connect(ctx context.Context, t target) error {
	if t.from != "" {
		return nil
	}
	if _, err := s.resolve(ctx, t); err != nil {
		return errBefore
	}
	type out struct{ err error }
	return once(&s.known, "tcp "+t.host+" "+t.port, func() out {
		conn, err := s.System.Dial(ctx, net.JoinHostPort(t.host, t.port))
		if err == nil {
			_ = conn.Close()
		}
		return out{err}
	}).err
}

type looked struct {
	state *tls.ConnectionState
	err   error
}

// look goes on to TLS.
func (s *Subject) look(ctx context.Context, t target) looked {
	if s.connect(ctx, t) != nil {
		return looked{err: errBefore}
	}
	return once(&s.known, "tls "+t.kind+" "+t.name, func() looked {
		if t.way.Open != nil || t.way.Look == nil {
			return looked{err: t.way.Open}
		}
		state, err := t.way.Look(ctx)
		return looked{state, err}
	})
}

type asked struct {
	at, date time.Time
	err      error
	can      bool
}

// ask goes on to the application.
func (s *Subject) ask(ctx context.Context, t target) asked {
	if err := s.look(ctx, t).err; err != nil && !errors.Is(err, seal.ErrNotService) {
		return asked{err: errBefore}
	}
	return once(&s.known, "ask "+t.kind+" "+t.name, func() asked {
		if t.way.Ask == nil {
			return asked{}
		}
		date, err := t.way.Ask(ctx)
		return asked{s.System.Now(), date, err, true}
	})
}

func before() words.Text {
	return words.Text{ZH: "前一跳不通，未试", EN: "not tried: an earlier hop failed"}
}

func serviceAlone() words.Text {
	return words.Text{ZH: "私钥由 systemd 保管，只有服务本身看得到，这里没有试", EN: "not tried: systemd keeps the key, which only the service can see"}
}

func checkLink(_ context.Context, s *Subject, r *report) {
	list, err := s.System.Links()
	switch {
	case err != nil:
		r.skipped("", say("看不到：%v", "cannot be seen: %v", err))
	case len(list) == 0:
		r.fail("", words.Text{ZH: "除本机回环外没有地址", EN: "no address besides loopback"})
	default:
		r.ok("", say("%s", "%s", strings.Join(list, ", ")))
	}
}

func (s *Subject) each(r *report, kind string, do func(target)) {
	if !s.usable(r) {
		return
	}
	for _, t := range s.targets() {
		if kind != "" && t.kind != kind {
			continue
		}
		n := len(r.list)
		do(t)
		for i := n; t.second && i < len(r.list); i++ {
			if r.list[i].Level == Fail {
				r.list[i].Level = Warn
			}
		}
	}
	if len(r.list) == 0 {
		r.skipped("", words.Text{ZH: "没有配置", EN: "none is configured"})
	}
}

func checkDNS(ctx context.Context, s *Subject, r *report) {
	s.each(r, "", func(t target) {
		list, err := s.resolve(ctx, t)
		switch {
		case isIP(t.host):
			r.ok(t.name, say("%s，无需解析", "%s, nothing to look up", t.host))
		case err != nil:
			r.fail(t.name, say("%s 解析不了：%v", "%s cannot be looked up: %v", t.host, err))
		default:
			r.ok(t.name, say("%s → %s", "%s → %s", t.host, strings.Join(list, ", ")))
		}
	})
}

func checkProxy(ctx context.Context, s *Subject, r *report) {
	s.each(r, "platform", func(t target) {
		if t.proxy != "" {
			s.reach(ctx, r, t)
		}
	})
}

func checkTCP(ctx context.Context, s *Subject, r *report) {
	s.each(r, "platform", func(t target) {
		if t.proxy == "" {
			s.reach(ctx, r, t)
		}
	})
}

func (s *Subject) reach(ctx context.Context, r *report, t target) {
	switch err := s.connect(ctx, t); {
	case t.from != "":
		r.skipped(t.name, say("自 %s 发出，由 net.tls 检查", "it leaves by %s: net.tls looks at it", t.from))
	case errors.Is(err, errBefore):
		r.skipped(t.name, before())
	case err != nil:
		r.fail(t.name, say("%s 连不上：%v", "%s cannot be reached: %v", net.JoinHostPort(t.host, t.port), err))
	default:
		r.ok(t.name, say("%s 连得上", "%s takes connections", net.JoinHostPort(t.host, t.port)))
	}
}

func checkTLS(ctx context.Context, s *Subject, r *report) {
	s.each(r, "platform", func(t target) {
		l := s.look(ctx, t)
		switch {
		case errors.Is(l.err, errBefore):
			r.skipped(t.name, before())
		case errors.Is(l.err, seal.ErrNotService):
			r.skipped(t.name, serviceAlone())
		case l.err != nil:
			r.fail(t.name, say("%v", "%v", l.err), cureTLS(l.err, s.System.Now()))
		case l.state == nil:
			r.warn(t.name, words.Text{ZH: "没有加密（http）", EN: "not encrypted (http)"}, words.Text{ZH: "请平台提供 https 地址", EN: "ask the platform for an https address"})
		default:
			s.judge(r, t, l.state)
		}
	})
}

// judge looks at a handshake that succeeded.
func (s *Subject) judge(r *report, t target, state *tls.ConnectionState) {
	leaf := state.PeerCertificates[0]
	days := leaf.NotAfter.Sub(s.time()).Hours() / 24
	text := say("%s，证书 %s 还剩 %.0f 天", "%s, certificate %s has %.0f days left", tls.VersionName(state.Version), nameOf(leaf), days)
	if days <= 14 {
		r.warn(t.name, text, words.Text{ZH: "请对方更换证书；配置了 pins 时准备新公钥", EN: "have its certificate renewed; where pins are set, prepare the new key"})
		return
	}
	r.ok(t.name, text)
}

func nameOf(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.CommonName
}

// cureTLS says what to do about a handshake that failed.
func cureTLS(err error, now time.Time) words.Text {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say("先看本机时钟（现在 %[1]s）；时钟没错则对方证书过期，请其更换", "look at this clock first (now %[1]s); if it is right, the certificate has ended: have it renewed", now.Format("2006-01-02 15:04"))
	case errors.As(err, &unknown):
		return words.Text{ZH: "把签发该证书的机构写入 ca_file；也可能有人在中间", EN: "name the authority that issued it in ca_file; or somebody stands in between"}
	case errors.As(err, &host):
		return words.Text{ZH: "核对 url 的主机名，或用 server_name 写证书上的名字", EN: "check the host in url, or write the certificate's name in server_name"}
	case strings.Contains(err.Error(), "pinned"):
		return words.Text{ZH: "向平台核实新公钥后更新 pins；无法核实时按被冒充处理，停止收款", EN: "verify the new key with the platform and update pins; if it cannot be verified, take it for a forgery and stop"}
	case strings.Contains(err.Error(), "handshake failure"), strings.Contains(err.Error(), "protocol version"):
		return words.Text{ZH: "对方只支持旧加密套件：请其升级，暂时可设 allow_rsa_key_exchange: true", EN: "the other side knows old suites only: have it upgraded, for now set allow_rsa_key_exchange: true"}
	}
	return words.Text{}
}

func checkPlatform(ctx context.Context, s *Subject, r *report) {
	s.each(r, "", func(t target) {
		if t.kind != "platform" && t.kind != "relayed" {
			return
		}
		a := s.ask(ctx, t)
		switch {
		case errors.Is(a.err, errBefore):
			r.skipped(t.name, before())
		case a.err != nil && t.kind == "relayed":
			r.fail(t.name, say("经中继不通：%v", "not reached through the relay: %v", a.err), words.Text{
				ZH: "先看 net.broker；再到 payfleet relay 一侧执行 payfleet relay check：是否运行、platforms 是否列出此平台、box_ca_file 是否为本机的发证机、fleet.relay_key 是否为其公钥",
				EN: "look at net.broker first; then run payfleet relay check at the relay: does it run, is this platform listed, is box_ca_file this box's authority, is fleet.relay_key its key"})
		case !a.can:
			r.skipped(t.name, words.Text{ZH: "平台没有无害的询问方式", EN: "the platform has nothing harmless to ask"})
		case a.err != nil:
			r.fail(t.name, say("%v", "%v", a.err), cureAsking(a.err))
		case t.kind == "relayed":
			r.ok(t.name, words.Text{ZH: "经消息服务器与中继可达", EN: "reached through the broker and the relay"})
		default:
			r.ok(t.name, words.Text{ZH: "应答正常", EN: "answers"})
		}
	})
}

// cureAsking is for platforms that refuse this machine's certificate: under TLS
// 1.3 they say so only to a request.
func cureAsking(err error) words.Text {
	if text := err.Error(); strings.Contains(text, "remote error: tls: ") && strings.Contains(text, "certificate") {
		return words.Text{ZH: "平台要求本机出示证书，或不接受所出示的：核对 client_cert 与 client_key，是否到期", EN: "the platform wants a certificate of this machine, or does not take it: check client_cert and client_key, and whether it has ended"}
	}
	return words.Text{}
}

func checkHIS(ctx context.Context, s *Subject, r *report) {
	s.each(r, "his", func(t target) {
		if err := s.connect(ctx, t); err != nil {
			r.warn(t.name, say("%s 连不上：%v", "%s cannot be reached: %v", net.JoinHostPort(t.host, t.port), err))
			return
		}
		l := s.look(ctx, t)
		if errors.Is(l.err, seal.ErrNotService) {
			r.skipped(t.name, serviceAlone())
			return
		}
		if l.err != nil {
			r.warn(t.name, say("%v", "%v", l.err), cureTLS(l.err, s.System.Now()))
			return
		}
		r.ok(t.name, say("%s 连得上", "%s takes connections", net.JoinHostPort(t.host, t.port)))
	})
}

func checkBroker(ctx context.Context, s *Subject, r *report) {
	s.each(r, "broker", func(t target) {
		switch err := s.connect(ctx, t); {
		case errors.Is(err, errBefore):
			r.skipped(t.name, before())
			return
		case err != nil:
			s.badBroker(r, say("%s 连不上：%v", "%s cannot be reached: %v", net.JoinHostPort(t.host, t.port), err), words.Text{})
			return
		}
		if !strings.HasPrefix(t.address, "mqtts:") {
			r.warn(t.name, words.Text{ZH: "没有加密（mqtt）", EN: "not encrypted (mqtt)"}, words.Text{ZH: "给消息服务器配证书并改用 mqtts", EN: "give the broker a certificate and write mqtts"})
			return
		}
		state, err := s.brokerTLS(ctx, t)
		if errors.Is(err, seal.ErrNotService) {
			r.skipped(t.name, serviceAlone())
			return
		}
		if err != nil {
			s.badBroker(r, say("%v", "%v", err), cureTLS(err, s.System.Now()))
			return
		}
		s.judge(r, t, state)
	})
}

// badBroker is a failure only where payments go that way.
func (s *Subject) badBroker(r *report, found, cure words.Text) {
	for _, p := range s.Config.Platforms {
		if p.Uplink == "mqtt" {
			r.add(Fail, "broker", found, cure)
			return
		}
	}
	r.add(Warn, "broker", found, cure)
}

// brokerTLS shakes hands with the broker as the agent does, and waits a moment
// for it to refuse the certificate, which under TLS 1.3 it says only then. No
// MQTT is spoken: a second connection would throw the agent's out.
func (s *Subject) brokerTLS(ctx context.Context, t target) (*tls.ConnectionState, error) {
	f := s.Config.Fleet
	authority, err := os.ReadFile(f.CAFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read fleet.ca_file: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), ServerName: f.ServerName, Time: s.time}
	if c.ServerName == "" {
		c.ServerName = t.host
	}
	if !c.RootCAs.AppendCertsFromPEM(authority) {
		return nil, errors.New("cannot use fleet.ca_file: it holds no certificate")
	}
	pair, err := seal.KeyPair(f.CertFile, f.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot use the box's certificate: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	conn, err := s.System.Dial(ctx, net.JoinHostPort(t.host, t.port))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(refusalWait))
	if _, err := secure.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fmt.Errorf("the broker refused the certificate: %w", err)
	}
	state := secure.ConnectionState()
	return &state, nil
}

// refusalWait is how long a broker may take to refuse a certificate.
const refusalWait = 700 * time.Millisecond
