package listen

import (
	"log/slog"
	"net/http"
	"net/netip"
)

// guard looks at who asks before the handler looks at what they want.
func guard(next http.Handler, o Options, allowed []netip.Prefix, log *slog.Logger) http.Handler {
	if len(allowed) == 0 && !o.Programs {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(allowed) > 0 && !within(allowed, r.RemoteAddr) {
			log.Warn("refused: the address is not allowed", "section", o.Key, "address", r.RemoteAddr)
			refuse(w, "地址 "+host(r.RemoteAddr)+" 不在 "+o.Key+".allow 列表中。 The address is not listed in "+o.Key+".allow.")
			return
		}
		if o.Programs {
			if fromBrowser(r.Header) {
				log.Warn("refused: a browser asks", "section", o.Key, "address", r.RemoteAddr)
				refuse(w, "此接口只供程序调用，不接受浏览器请求。 This interface is for programs; a browser's request is refused.")
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// fromBrowser tells a web page from a program (decision 24): a page that makes
// somebody's browser call cannot leave these out.
func fromBrowser(h http.Header) bool {
	return len(h.Values("Origin")) > 0 || len(h.Values("Sec-Fetch-Site")) > 0
}

func refuse(w http.ResponseWriter, words string) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte(words + "\n"))
}

// within tells whether a remote address is in one of the networks. An address
// that cannot be read is in none.
func within(allowed []netip.Prefix, remote string) bool {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	at := ap.Addr().Unmap().WithZone("")
	for _, p := range allowed {
		if p.Contains(at) {
			return true
		}
	}
	return false
}

func host(remote string) string {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return ap.Addr().Unmap().String()
	}
	return "?"
}

// Address is where a request comes from, without the port.
func Address(r *http.Request) string { return host(r.RemoteAddr) }
