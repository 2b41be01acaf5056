package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"payagent/agent/config"
	"payagent/agent/enrol"
	"payagent/agent/seal"
	"payagent/agent/words"
)

func configChecks() []Check {
	return []Check{
		{ID: idConfig, Group: GroupConfig, Fails: true, Title: words.Text{ZH: "配置文件正确，驱动接受其设置", EN: "the configuration is right and its drivers take their settings"},
			Cure: words.Text{ZH: "按提示改正配置，再执行 payagent config check", EN: "put the configuration right as it says, then run payagent config check"}, do: checkConfig},
		{ID: "config.files", Group: GroupConfig, Fails: true, Title: words.Text{ZH: "配置引用的文件存在，密钥文件仅本用户可读", EN: "the files that it names are there, and secrets only this user's"},
			Cure: words.Text{ZH: "补上文件；密钥文件执行 chmod 600，属主为代理的用户", EN: "put the file there; chmod 600 for secrets, owned by the agent's user"}, do: checkFiles},
		{ID: "config.warnings", Group: GroupConfig, Title: words.Text{ZH: "配置没有长期警告", EN: "the configuration has no standing warnings"},
			Cure: words.Text{ZH: "按警告处理，或确认接受该风险", EN: "do what the warning says, or accept the risk knowingly"}, do: checkWarnings},
		{ID: "tokens.exist", Group: GroupConfig, Fails: true, Title: words.Text{ZH: "有令牌可供 HIS 调用", EN: "there is a token for HIS"},
			Cure: words.Text{ZH: "先启动一次代理，再执行 payagent token add 为 HIS 建令牌", EN: "start the agent once, then make a token for HIS with payagent token add"}, do: checkTokens},
		{ID: "certificates.listeners", Group: GroupConfig, Fails: true, Title: words.Text{ZH: "各监听地址的证书有效且未临近到期", EN: "the certificates of the listeners count, and do for a while"},
			Cure: words.Text{ZH: "更换证书文件，无需重启", EN: "renew the certificate's file, no restart is needed"}, do: checkListenerCerts},
		{ID: "certificates.fleet", Group: GroupConfig, Fails: true, Title: words.Text{ZH: "机群证书与私钥成对、有效、未临近到期", EN: "the box's fleet certificate fits its key and counts for a while"},
			Cure: words.Text{ZH: "检查 fleet.ca_url 是否可达；已过期太久则重新入网 payagent enrol", EN: "can fleet.ca_url be reached? Enrol anew (payagent enrol) if it ended long ago"}, do: checkFleetCert},
	}
}

func checkConfig(_ context.Context, s *Subject, r *report) {
	if s.ConfigErr != nil {
		var file *fs.PathError
		var cure words.Text
		switch {
		case errors.Is(s.ConfigErr, fs.ErrPermission):
			cure = words.Text{ZH: "以代理的用户或管理员执行：sudo -u payagent payagent doctor …；仍如此则把文件交给代理的用户", EN: "run it as the agent's user or as administrator: sudo -u payagent payagent doctor …; if that does not help, give the file to the agent's user"}
		case errors.Is(s.ConfigErr, fs.ErrNotExist) && errors.As(s.ConfigErr, &file) && file.Path == s.File:
			cure = words.Text{ZH: "核对 --config 后的路径；还没有配置则执行 payagent init", EN: "check the path after --config; payagent init writes a configuration"}
		}
		r.fail(s.File, words.Text{ZH: s.ConfigErr.Error(), EN: s.ConfigErr.Error()}, cure)
		return
	}
	if s.Aside != "" {
		r.warn(s.File, say("下发的配置 %s 是为更新的程序写的，本程序读不懂，已原样保留；正在用之前的配置。升级程序后自动恢复", "the fleet's configuration %s is for a newer program than this one and is kept aside; the one before it is in effect. It is in force again when the program is updated", s.Aside))
		return
	}
	r.ok(s.File, say("%d 个平台，%d 个收费点", "%d platforms, %d tills", len(s.Config.Platforms), len(s.Config.Tills)))
}

func checkFiles(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	warnings, err := s.Config.CheckFiles()
	if err != nil {
		r.fail("", words.Text{ZH: err.Error(), EN: err.Error()})
	}
	for _, w := range warnings {
		if w.Code == config.WarnUnseen {
			r.skipped("", words.Text{ZH: w.ZH, EN: w.EN})
			continue
		}
		r.warn("", words.Text{ZH: w.ZH, EN: w.EN})
	}
	for _, path := range s.Secrets {
		if f, err := s.System.Stat(path); err == nil && s.System.OS != "windows" && f.Mode.Perm()&0o077 != 0 {
			r.warn(path, say("本机其他用户可读（%v）", "other users of this machine can read it (%v)", f.Mode.Perm()))
		}
	}
	if len(r.list) == 0 {
		r.ok("", words.Text{ZH: "都在，权限正确", EN: "all there, rights as they should be"})
	}
}

func checkWarnings(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	list := s.Config.Warnings()
	for _, w := range list {
		r.warn(w.Code, words.Text{ZH: w.ZH, EN: w.EN})
	}
	if len(list) == 0 {
		r.ok("", words.Text{ZH: "无", EN: "none"})
	}
}

func checkTokens(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	list := filepath.Join(s.Config.DataDir, "tokens.json")
	f, err := s.System.Stat(list)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !s.Running:
		r.warn(list, words.Text{ZH: "还没有：代理尚未启动过", EN: "none yet: the agent was never started"})
	case err != nil:
		r.fail(list, say("读不到：%v", "cannot be read: %v", err))
	case s.System.OS != "windows" && f.Mode.Perm()&0o077 != 0:
		r.warn(list, say("本机其他用户可读（%v）", "other users of this machine can read it (%v)", f.Mode.Perm()), say("执行 chmod 600 %[1]s", "run chmod 600 %[1]s", list))
	default:
		r.ok(list, words.Text{ZH: "存在", EN: "there"})
	}
}

// certificate judges one certificate and whether it fits its key; cure is for
// what cannot be used.
func (s *Subject) certificate(r *report, about, file, key string, cure words.Text) {
	days, valid, err := enrol.Left(file, s.System.Now())
	kept := false
	if err == nil {
		_, err = seal.KeyPair(file, key)
		kept = errors.Is(err, seal.ErrNotService)
	}
	switch {
	case err != nil && !kept:
		r.fail(about, say("证书与私钥不能用：%v", "certificate and key cannot be used: %v", err), cure)
	case !valid:
		r.fail(about, say("按本机时钟尚未生效：%s", "does not count yet by this clock: %s", file), words.Text{ZH: "先校准时钟（见 clock.*）", EN: "set the clock first (see clock.*)"})
	case days <= 0:
		r.fail(about, say("已过期 %.0f 天：%s", "ended %.0f days ago: %s", -days, file))
	case days <= 30:
		r.warn(about, say("还剩 %.0f 天：%s", "%.0f days left: %s", days, file))
	default:
		r.ok(about, say("还剩 %.0f 天", "%.0f days left", days))
	}
	if kept {
		r.skipped(about, serviceAlone())
	}
}

func checkListenerCerts(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	c := s.Config
	for _, l := range []struct {
		name string
		tls  config.TLS
	}{{"door", c.Door.TLS}, {"facade", c.Facade.TLS}, {"books", c.Books.TLS}, {"callback", c.Callback.TLS}} {
		if l.tls.Cert != "" {
			s.certificate(r, l.name, l.tls.Cert, l.tls.Key, words.Text{
				ZH: "放好成对的证书与私钥，代理的用户要能读；否则代理不能启动", EN: "put a certificate and its key there, readable for the agent's user; without them the agent does not start"})
		}
	}
	if len(r.list) == 0 {
		r.skipped("", words.Text{ZH: "没有配置监听证书", EN: "no listener has a certificate"})
	}
}

func checkFleetCert(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	f := s.Config.Fleet
	if !f.On() || f.CertFile == "" {
		r.skipped("", words.Text{ZH: "未加入机群", EN: "not part of a fleet"})
		return
	}
	s.certificate(r, "fleet", f.CertFile, f.KeyFile, words.Text{ZH: "重新入网：payagent enrol", EN: "enrol the box anew: payagent enrol"})
	if f.CAURL == "" {
		r.warn("fleet.ca_url", words.Text{ZH: "未配置，证书不会自动续期", EN: "not set: the certificate is not renewed by itself"}, words.Text{ZH: "写上发证机地址 fleet.ca_url", EN: "write the authority's address into fleet.ca_url"})
	}
}

// within tells whether t is not further from now than d.
func within(t, now time.Time, d time.Duration) bool {
	diff := t.Sub(now)
	return diff <= d && diff >= -d
}
