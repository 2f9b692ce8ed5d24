// Package outgoing is the one HTTP client for every request that the gateway
// makes to the outside: calls to providers, OIDC discovery and key sets,
// callbacks to callers' backends.
//
// It owns what such a request may reach and how much of an answer is read. It
// knows nothing of verifications, providers or configuration files and imports
// no other package of this project.
//
//	caller → http.Client   no redirects, no cookies, one time limit
//	       → gate          https only, no credentials in the URL
//	       → tracing       a span that never sees a query
//	       → exchange      the body is cut at the cap, after decompression
//	       → http.Transport, whose dialer asks the guard about each address
//
// The guard judges the address that is about to be connected to, after the name
// was resolved and once for every attempt. A name that changes its answer
// between a check and the connection therefore gains nothing. A pooled
// connection is not judged again: the pool hands it out only for the scheme,
// name and port it was dialed for, and its peer cannot change.
package outgoing

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// ErrForbiddenAddress is the cause of a request's failure when the host's
// address is one that the gateway must not connect to. A retry does not help.
var ErrForbiddenAddress = errors.New("the host's address is not a public one: private, loopback, link-local, metadata and reserved " +
	"addresses are refused; check the host, or add its network to outgoing.allowed_networks if the gateway is meant to reach it")

// ErrForbiddenURL is the cause of a request's failure when its URL is one that
// the client does not request. Nothing was resolved or sent.
var ErrForbiddenURL = errors.New("refused URL")

// ErrTooLarge is what reading a response body returns in place of the byte
// after Options.MaxResponse.
var ErrTooLarge = errors.New("the response body is too large")

const (
	defaultTimeout     = 60 * time.Second
	defaultMaxResponse = 1 << 20

	dialTimeout       = 5 * time.Second // resolving the name included
	handshakeTimeout  = 5 * time.Second
	answerTimeout     = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxIdlePerHost    = 32
	maxResponseHeader = 64 << 10

	// A pooled HTTP/2 connection whose peer vanished would otherwise swallow
	// request after request until the kernel gives up on it.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
)

// Options says what a client may reach and how much it accepts.
type Options struct {
	// AllowedNetworks are address ranges that may be reached although they are
	// not public, such as an identity provider inside the cluster. IPv4 ranges
	// are written as IPv4. They never open link-local, multicast, unspecified
	// or cloud metadata addresses, nor IPv6 forms that carry an IPv4 address.
	AllowedNetworks []netip.Prefix
	// Loopback lets http and https reach loopback addresses; for development
	// and tests only.
	Loopback bool
	// RootCAs are the authorities that servers' certificates are checked
	// against; nil means the system's.
	RootCAs *x509.CertPool
	// Tracer makes a span per request; nil means the process's default.
	Tracer trace.TracerProvider
	// MaxResponse is the largest response body in bytes, counted after
	// decompression; zero or less means 1 MiB.
	MaxResponse int64
	// Timeout bounds a whole exchange, the reading of the body included; zero
	// or less means 60 s.
	Timeout time.Duration
	// Resolver turns names into addresses; nil means the system's.
	Resolver *net.Resolver
}

// New returns a client for requests to the outside. It is safe for concurrent
// use; callers that are done with it call CloseIdleConnections.
//
// A 3xx response is returned as it is; only one whose Location is no URL is an
// error of net/http, and is not followed either. Proxy settings in the environment are
// ignored: a proxy would resolve and connect in our place and undo the guard.
// The trace context is not sent along: a trace is nobody's business outside.
//
// The errors of its requests are *url.Error, whose text holds the URL: log
// their cause instead. The cause satisfies errors.Is for ErrForbiddenAddress
// and ErrForbiddenURL; reading a body may fail with ErrTooLarge.
func New(o Options) *http.Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxResponse <= 0 {
		o.MaxResponse = defaultMaxResponse
	}
	wire := &exchange{secure: transport(o, publicGuard(o.AllowedNetworks, o.Loopback)), maxResponse: o.MaxResponse}
	if o.Loopback {
		wire.plain = transport(o, onlyLoopback)
	}
	traced := otelhttp.NewTransport(wire,
		otelhttp.WithTracerProvider(o.Tracer),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
	)
	return &http.Client{
		Transport:     &gate{traced: traced, wire: wire},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       o.Timeout,
	}
}

// transport has no Proxy on purpose, see New.
func transport(o Options, check control) *http.Transport {
	return &http.Transport{
		DialContext:            dialer(check, o.Resolver),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  answerTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		ForceAttemptHTTP2:      true, // a dialer of our own would switch it off
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}
