package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gojepa/gojepa/train/report"
)

// A server has few clients, and none of them may cost the run memory, file handles or time.
const (
	mostConnections = 64
	fresh           = time.Second // for which what was drawn is shown again
)

// Server serves a board. It only reads.
type Server struct {
	board   *Board
	metrics string // path of the run's metrics.jsonl
	l       net.Listener
	http    *http.Server
	open    atomic.Int64 // connections
	local   bool         // it listens on this machine only

	mu    sync.Mutex
	drawn map[string]part
}

// part is a part of the page that was drawn.
type part struct {
	html    []byte
	version [2]int
	at      time.Time
}

// Listen takes an address: PORT, :PORT or HOST:PORT. Without a host the page is seen from this machine only; with port 0 the
// system chooses one. Requests wait until [Server.Serve].
func Listen(address string) (*Server, error) {
	full := address
	if !strings.Contains(full, ":") {
		full = ":" + full
	}
	host, port, err := net.SplitHostPort(full)
	if err != nil || port == "" {
		return nil, fmt.Errorf("serving on %q: expected PORT, :PORT or HOST:PORT, such as :8080", address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("serving on %s: %w", address, err)
	}
	ip := l.Addr().(*net.TCPAddr).IP
	return &Server{l: l, local: ip.IsLoopback(), drawn: map[string]part{}}, nil
}

// URL is the address of the page.
func (s *Server) URL() string { return "http://" + s.l.Addr().String() + "/" }

// Local says whether only this machine can see the page.
func (s *Server) Local() bool { return s.local }

// Serve begins to answer, in the background. metrics is the path of the run's metrics.jsonl.
func (s *Server) Serve(b *Board, metrics string) {
	s.board, s.metrics = b, metrics
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /parts/{name}", s.part)
	mux.HandleFunc("GET /status.json", s.status)
	mux.HandleFunc("GET /metrics.jsonl", s.record)
	s.http = &http.Server{
		Handler: s.guard(mux), ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 14,
		ConnState: s.count, ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = s.http.Serve(s.l) }() // until Close
}

// Close ends the server at once, whoever is still reading.
func (s *Server) Close() error {
	if s.http == nil {
		return s.l.Close()
	}
	return s.http.Close()
}

// count keeps connections few.
func (s *Server) count(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.open.Add(1) > mostConnections {
			c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

// guard refuses pages of other sites that have had their name lead here, and says what the page may do.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if s.local && host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, "this page is at "+s.URL(), http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	s.html(w, "", func(w io.Writer, page *report.Report) error { return report.Render(w, page) })
}

func (s *Server) part(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !report.HasPart(name) {
		http.NotFound(w, r)
		return
	}
	s.html(w, name, func(w io.Writer, page *report.Report) error { return report.RenderPart(w, page, name) })
}

// html answers with what was drawn of the same state, or a moment ago, or anew.
func (s *Server) html(w http.ResponseWriter, name string, draw func(io.Writer, *report.Report) error) {
	version := s.board.status(time.Now()).Versions
	if name != "" && !report.ChangesWithSteps(name) {
		version[0] = 0
	}
	s.mu.Lock()
	p, ok := s.drawn[name]
	if !ok || p.version != version && (p.version[1] != version[1] || time.Since(p.at) > fresh) {
		var b bytes.Buffer
		if err := draw(&b, s.board.snapshot()); err != nil {
			s.mu.Unlock()
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		p = part{b.Bytes(), version, time.Now()}
		s.drawn[name] = p
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(p.html) // to a client that may have gone
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal(s.board.status(time.Now()))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// record is the run's metrics.jsonl as it is now. A range gives what is new.
func (s *Server) record(w http.ResponseWriter, r *http.Request) {
	f, err := os.Open(s.metrics)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			http.NotFound(w, r)
			return
		}
		http.Error(w, "the run's record cannot be read", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/jsonl")
	http.ServeContent(w, r, "", time.Time{}, f)
}
