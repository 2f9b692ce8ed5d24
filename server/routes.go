package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	connectcors "connectrpc.com/cors"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/otelconnect"
	"connectrpc.com/validate"
	"github.com/rs/cors"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/returnleg"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/webhook"
)

const (
	// maxRequest is the largest request message; ours are far smaller.
	maxRequest = 64 << 10
	// uploadTimeout is how long one request message may take to arrive.
	uploadTimeout = 10 * time.Second
	// compressFrom is the smallest response worth compressing. Status messages
	// never are.
	compressFrom = 1 << 10
	// corsMaxAge is how long a browser may keep a preflight's answer, in
	// seconds.
	corsMaxAge = 7200
)

// Settings of the HTTP server. No read or write time-out covers a whole
// request: it would end every stream. Bodies and messages have their own.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	maxStreams        = 1000 // per HTTP/2 connection: proxies multiplex
	pingAfter         = 30 * time.Second
	pingTimeout       = 15 * time.Second
	stalledWrite      = 15 * time.Second
)

func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
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
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func (s *Server) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	if err := s.mountRPC(mux); err != nil {
		return nil, err
	}
	ingress := &webhook.Handler{Connections: s.catalog, Applier: s.domain, Meter: s.metrics, Log: s.log, Now: time.Now}
	mux.Handle("/webhooks/{connection}", otelhttp.NewHandler(ingress, "webhook", otelhttp.WithTracerProvider(s.options.Tracer)))
	back := &returnleg.Handler{Returner: s.domain, Log: s.log}
	back.Mount(mux)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics.Handler())
	if s.options.Mount != nil {
		s.options.Mount(mux)
	}
	return telemetry.WithRequestID(s.withCORS(rpc.WithWriteControl(withRPCHeaders(mux)))), nil
}

func (s *Server) mountRPC(mux *http.ServeMux) error {
	tracing, err := otelconnect.NewServerInterceptor(
		otelconnect.WithTracerProvider(s.options.Tracer),
		// A span per endless stream would never be exported.
		otelconnect.WithFilter(func(_ context.Context, spec connect.Spec) bool {
			return spec.StreamType == connect.StreamTypeUnary
		}),
	)
	if err != nil {
		return err
	}
	api := connect.NewServer(
		rpc.Observe(s.metrics, s.log, time.Now),
		rpc.BoundUploads(uploadTimeout),
		tracing,
		rpc.Authenticate(s.authenticator(), s.metrics, s.log),
		validate.NewServerInterceptor(),
		rpc.Storable(),
	)
	verigatev1connect.RegisterVerificationServiceHandler(api, s.rpcService())
	connecthttp.Mount(mux, api,
		connecthttp.WithReadMaxBytes(maxRequest),
		connecthttp.WithCompressMinBytes(compressFrom),
		connecthttp.WithConditionalOptions(func(spec connect.Spec) []connecthttp.Option {
			if spec.StreamType == connect.StreamTypeUnary {
				return nil
			}
			return []connecthttp.Option{connecthttp.WithCompressors()}
		}),
	)
	// These modules serve the older line of connect; on the wire it is the same.
	mux.Handle(grpchealth.NewHandler(s.readyz))
	reflector := grpcreflect.NewStaticReflector(verigatev1connect.VerificationServiceName, grpchealth.HealthV1ServiceName)
	mux.Handle(grpcreflect.NewHandlerV1(reflector))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))
	return nil
}

// withRPCHeaders keeps caches and proxies from holding back or changing what a
// caller is told, and browsers from guessing its type.
func withRPCHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/"+verigatev1connect.VerificationServiceName+"/") {
			header := w.Header()
			header.Set("Cache-Control", "no-store, no-transform")
			header.Set("X-Accel-Buffering", "no")
			header.Set("X-Content-Type-Options", "nosniff")
		}
		next.ServeHTTP(w, r)
	})
}

// withCORS lets the configured origins call from a browser, and nobody else.
func (s *Server) withCORS(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool {
			return s.catalog.allowsOrigin(origin) || (s.options.Development && isLoopbackOrigin(origin))
		},
		AllowedMethods: connectcors.AllowedMethods(),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", telemetry.RequestIDHeader),
		ExposedHeaders: append(connectcors.ExposedHeaders(), telemetry.RequestIDHeader),
		MaxAge:         corsMaxAge,
	}).Handler(next)
}

// outgoing is the client for calls to providers.
func outgoing(tracer trace.TracerProvider) *http.Client {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: idleTimeout}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   maxIdlePerHost,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
	}
	return &http.Client{Transport: otelhttp.NewTransport(transport, otelhttp.WithTracerProvider(tracer))}
}

const (
	dialTimeout    = 5 * time.Second
	answerTimeout  = 60 * time.Second // adapters set their own, shorter ones
	maxIdlePerHost = 32
)

func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}
