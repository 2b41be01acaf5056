package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"payagent/agent/seal"
)

// WarnUnseen is the code of a warning that says only that nothing was looked
// at: the service alone can see what systemd keeps.
const WarnUnseen = "credential_unseen"

// CheckFiles looks at every file that the configuration names. A file that
// cannot be opened is a problem of an [*Error]; one that holds a secret and
// that other users of the machine can read is a warning (SEC-02). It reads no
// content: whoever uses a file judges what is in it.
func (c Config) CheckFiles() ([]Warning, error) {
	var probs problems
	var out []Warning
	look := func(key, path string, secret bool) {
		if path == "" {
			return
		}
		kept := false
		if secret {
			file, service, err := seal.SecretFile(path)
			switch {
			case errors.Is(err, seal.ErrNotService):
				out = append(out, Warning{WarnUnseen, fmt.Sprintf("%s：%s 由 systemd 保管，只有服务本身看得到，这里没有检查。", key, path),
					fmt.Sprintf("%s: systemd keeps %s, which only the service can see; it was not looked at here.", key, path)})
				return
			case err != nil:
				probs.add(c.line(key), key, err.Error())
				return
			}
			path, kept = file, service
		}
		f, err := os.Open(path)
		if err != nil {
			probs.add(c.line(key), key, fmt.Sprintf("the file cannot be opened (%v); create it or correct its path and owner", err))
			return
		}
		info, err := f.Stat()
		_ = f.Close() // nothing was written
		switch {
		case err != nil || info.IsDir():
			probs.add(c.line(key), key, path+" is not a file; correct the path")
		case secret && !kept && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
			out = append(out, Warning{"file_readable", fmt.Sprintf("%s：%s 可被本机其他用户读取，请执行 chmod 600。", key, path),
				fmt.Sprintf("%s: other users of this machine can read %s; run chmod 600 on it.", key, path)})
		}
	}
	for _, l := range c.sections() {
		look(l.key+".tls.cert", l.TLS.Cert, false)
		look(l.key+".tls.key", l.TLS.Key, true)
		look(l.key+".client_ca", l.ClientCA, false)
	}
	if f := c.Facade.SmartPay; f != nil {
		look("facade.smartpay.secret_file", f.SecretFile, true)
	}
	if f := c.Facade.FWC; f != nil {
		look("facade.fwc.token_file", f.TokenFile, true)
	}
	look("books.token_file", c.Books.TokenFile, true)
	for i, p := range c.Platforms {
		at := fmt.Sprintf("platforms[%d].", i)
		look(at+"ca_file", p.CAFile, false)
		look(at+"client_cert", p.ClientCert, false)
		look(at+"client_key", p.ClientKey, true)
		for j, w := range p.Ways() {
			if w.Proxy != nil {
				look(at+[]string{"", "second_way."}[j]+"proxy.password_file", w.Proxy.PasswordFile, true)
			}
		}
	}
	if c.Fleet.On() {
		look("fleet.ca_file", c.Fleet.CAFile, false)
		look("fleet.cert_file", c.Fleet.CertFile, false)
		look("fleet.key_file", c.Fleet.KeyFile, true)
	}
	if f := c.Metrics.Textfile; f != "" {
		if info, err := os.Stat(filepath.Dir(f)); err != nil || !info.IsDir() {
			probs.add(c.line("metrics.textfile"), "metrics.textfile", filepath.Dir(f)+" is not a folder; make it, and let the service's user write there")
		}
	}
	for i, m := range c.Merchants {
		look(fmt.Sprintf("merchants[%d].token_file", i), m.TokenFile, true)
	}
	return out, probs.err(c.file)
}
