package ca

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// The limits of the service.
const (
	maxBody  = 16 << 10
	maxWrong = 20 // wrong codes from one address within wrongFor
	wrongFor = 10 * time.Minute
	maxPeers = 4096
)

const serveFile = "serve.pem"

// Server answers boxes over TLS.
type Server struct {
	a     *Authority
	names []string
	log   *slog.Logger

	mu    sync.Mutex
	own   *tls.Certificate
	wrong map[netip.Addr]*tries
}

type tries struct {
	n     int
	since time.Time
}

// NewServer prepares to answer under names and addresses, which the boxes'
// --url and fleet.ca_url name.
func NewServer(a *Authority, names []string, log *slog.Logger) (*Server, error) {
	s := &Server{a: a, names: names, log: log, wrong: map[netip.Addr]*tries{}}
	_, err := s.certificate()
	return s, err
}

// Serve answers on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: maxBody, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(tls.NewListener(l, s.TLS()))
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("cannot go on serving: %w", err)
}

// TLS is how the server shows itself: with the authority's certificate in the
// chain, which a code names. Client certificates are looked at by Renew.
func (s *Server) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate() }}
}

// certificate gives the server's own, from a file, and renews it in time.
func (s *Server) certificate() (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.a.dir, serveFile)
	if s.own == nil {
		if data, err := os.ReadFile(path); err == nil {
			if pair, err := tls.X509KeyPair(data, data); err == nil && s.fits(pair.Leaf) {
				s.own = &pair
			}
		}
	}
	if s.own != nil && s.a.now().Before(Due(s.own.Leaf)) {
		return s.own, nil
	}
	key, i, err := s.a.Server(s.names)
	if err != nil {
		return nil, err
	}
	data := slices.Concat([]byte(i.PEM), s.a.Certificate(), key)
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, err
	}
	if err := seal.WriteFile(path, data); err != nil {
		return nil, err
	}
	s.own = &pair
	return s.own, nil
}

func (s *Server) fits(leaf *x509.Certificate) bool {
	for _, n := range s.names {
		if leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	return leaf.CheckSignatureFrom(s.a.cert) == nil
}

// Handler answers the paths of package fleet.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+fleet.PathEnrol, func(w http.ResponseWriter, r *http.Request) {
		var q fleet.EnrolRequest
		peer, ok := s.mayTry(r)
		if !ok {
			s.reply(w, r, fleet.Enrolled{}, refuse(fleet.EnrolSlow, ""))
			return
		}
		if err := take(r, &q); err != nil {
			s.reply(w, r, fleet.Enrolled{}, err)
			return
		}
		s.mu.Lock()
		answer, err := s.a.Enrol(q)
		s.mu.Unlock()
		var no *Refusal
		if errors.As(err, &no) && no.Code == fleet.EnrolUnknown {
			s.note(peer)
		}
		s.reply(w, r, answer, err)
	})
	mux.HandleFunc("POST "+fleet.PathRenew, func(w http.ResponseWriter, r *http.Request) {
		var q fleet.RenewRequest
		err := take(r, &q)
		var answer fleet.Enrolled
		switch {
		case err != nil:
		case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
			err = refuse(fleet.EnrolNotOurs, "")
		default:
			s.mu.Lock()
			answer, err = s.a.Renew(r.TLS.PeerCertificates[0], q)
			s.mu.Unlock()
		}
		s.reply(w, r, answer, err)
	})
	mux.HandleFunc("GET "+fleet.PathNewest, s.newest)
	mux.HandleFunc("GET "+fleet.PathCRL, func(w http.ResponseWriter, r *http.Request) {
		data, err := s.a.CRL()
		if err != nil {
			s.reply(w, r, fleet.Enrolled{}, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(data)
	})
	return mux
}

func take(r *http.Request, v any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(data) > maxBody || fleet.Unmarshal(data, v) != nil {
		return refuse(fleet.EnrolBad, "")
	}
	return nil
}

func (s *Server) reply(w http.ResponseWriter, r *http.Request, answer fleet.Enrolled, err error) {
	var body any = answer
	status := http.StatusOK
	var no *Refusal
	switch {
	case errors.As(err, &no):
		status, body = http.StatusForbidden, no.EnrolProblem
		s.log.Warn("refused", "path", r.URL.Path, "address", r.RemoteAddr, "code", no.Code, "box", no.Detail)
	case err != nil:
		status, body = http.StatusInternalServerError, fleet.EnrolProblem{Code: fleet.EnrolBroken}
		s.log.Error("cannot answer", "path", r.URL.Path, "address", r.RemoteAddr, "error", err)
	default:
		s.log.Info("issued", "path", r.URL.Path, "address", r.RemoteAddr, "site", answer.Settings.Site, "box", answer.Settings.Box)
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// mayTry tells whether an address may try a code: not after too many wrong
// ones. The secret of a code cannot be guessed; this is for the log's sake.
func (s *Server) mayTry(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	peer := ap.Addr().Unmap()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.wrong[peer]
	if t != nil && s.a.now().Sub(t.since) > wrongFor {
		delete(s.wrong, peer)
		t = nil
	}
	return peer, t == nil || t.n < maxWrong
}

func (s *Server) note(peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.a.now()
	if s.wrong[peer] == nil {
		if len(s.wrong) >= maxPeers {
			for p, t := range s.wrong {
				if now.Sub(t.since) > wrongFor {
					delete(s.wrong, p)
				}
			}
		}
		if len(s.wrong) >= maxPeers {
			return
		}
		s.wrong[peer] = &tries{since: now}
	}
	s.wrong[peer].n++
}
