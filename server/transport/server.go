// Package transport is what lies between a socket and a handler: the settings
// of every HTTP server, TLS with reload, the client's address, the headers that
// protect pages, and the guard against panics. What it does not own is what is
// served: it knows no route, no credential and no configuration file. It must
// not import anything of this project.
//
//	socket ─▶ NewHTTPServer ─▶ WithRecovery ─▶ WithSecurityHeaders ─▶ WithAddress ─▶ routes
//	            │ ▲
//	            │ └ Certificate.TLSConfig ◀─ Certificate.Watch, Reload ◀─ two files
//	            └ HTTP/1.1, HTTP/2, unencrypted HTTP/2
package transport

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Settings of the HTTP server. No read or write time-out covers a whole
// request: it would end every stream. Bodies and messages have their own.
//
// What a caller can send as headers is a little more than maxHeaderBytes. On
// HTTP/1.1 Go adds 4096 bytes, and from the second request of a connection on
// as much again, the read buffer that it fills while it waits. On HTTP/2, where
// every field also counts 32 bytes of overhead, it adds 320 (net/http source,
// initialReadLimitSize, conn.serve and maxHeaderListSize).
const (
	readHeaderTimeout = 5 * time.Second // also bounds the TLS handshake
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	maxStreams        = 1000 // per HTTP/2 connection: proxies multiplex
	pingAfter         = 30 * time.Second
	pingTimeout       = 15 * time.Second
	stalledWrite      = 15 * time.Second
)

// NewHTTPServer returns a server with the settings that every listener of the
// gateway has: HTTP/1.1 and HTTP/2, the latter with and without TLS. The caller
// sets TLSConfig where it serves TLS, and owns the server's start and stop.
//
// What net/http has to say goes to log without addresses and without the value
// of a panic. Clients that break off, speak gibberish or offer old TLS are the
// weather of the internet and logged at debug level; the rest is a warning.
func NewHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: protocols,
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter,
			PingTimeout: pingTimeout, WriteByteTimeout: stalledWrite,
		},
		ErrorLog: slog.NewLogLogger(serverLog{log.Handler()}, slog.LevelWarn),
	}
}

// serverLog receives the finished lines of net/http's own logger.
type serverLog struct{ slog.Handler }

// Enabled implements slog.Handler. The level is known only with the line.
func (serverLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h serverLog) Handle(ctx context.Context, record slog.Record) error {
	level, message, stack := readServerLine(record.Message)
	if !h.Handler.Enabled(ctx, level) {
		return nil
	}
	clean := slog.NewRecord(record.Time, level, message, record.PC)
	if stack != "" {
		clean.AddAttrs(slog.String("stack", stack))
	}
	return h.Handler.Handle(ctx, clean)
}

// weather are the lines of net/http that any passer-by can cause.
var weather = []string{
	"http: TLS handshake error",
	"http2: server connection error",
	"http2: server: error reading preface",
	"http2: server closing client connection",
	"timeout waiting for SETTINGS frames",
	"timeout waiting for PING response",
}

// peer finds addresses with ports as net.Addr prints them.
var peer = regexp.MustCompile(`(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:.]+(%[^\]\s]*)?\]):\d{1,5}`)

// readServerLine takes addresses out of a line, and of a panic's line all but
// the stack: the value may be anything.
func readServerLine(line string) (level slog.Level, message, stack string) {
	if strings.HasPrefix(line, "http: panic serving ") || strings.HasPrefix(line, "http2: panic serving ") {
		// The value comes before the stack and may contain such a line itself.
		if at := strings.LastIndex(line, "\ngoroutine "); at >= 0 {
			stack = line[at+1:]
		}
		return slog.LevelError, "panic while serving a request", stack
	}
	message = peer.ReplaceAllString(line, "[address]")
	for _, prefix := range weather {
		if strings.HasPrefix(line, prefix) {
			return slog.LevelDebug, message, ""
		}
	}
	return slog.LevelWarn, message, ""
}
