package server

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	connectv1 "connectrpc.com/connect"
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	connectcors "connectrpc.com/cors"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/otelconnect"
	"connectrpc.com/validate"
	"github.com/rs/cors"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/returnleg"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/webhook"
)

const (
	// maxRequest is the largest request message; ours are far smaller.
	maxRequest = 64 << 10
	// maxProbe is the largest message of health and reflection: names.
	maxProbe = 4 << 10
	// uploadTimeout is how long one request message may take to arrive.
	uploadTimeout = 10 * time.Second
	// compressFrom is the smallest response worth compressing. Status messages
	// never are.
	compressFrom = 1 << 10
	// corsMaxAge is how long a browser may keep a preflight's answer, in
	// seconds.
	corsMaxAge = 7200
)

// routes are what a port with the given roles answers.
func (s *Server) routes(roles map[role]bool) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", s.readyz)
	if err := s.mountRPC(mux, roles); err != nil {
		return nil, err
	}
	if roles[publicRole] {
		back := &returnleg.Handler{Returner: s.domain, Limits: s.limits, Log: s.log}
		back.Mount(mux)
		if s.options.Mount != nil {
			s.options.Mount(mux)
		}
	}
	if roles[webhookRole] {
		ingress := &webhook.Handler{
			Connections: s.catalog, Applier: s.intake, Meter: s.metrics, Limits: s.limits, Log: s.log, Now: time.Now,
		}
		traced := s.traced(ingress)
		mux.Handle(webhook.Path+"{connection}", traced)
		mux.Handle(webhook.Path+"{connection}"+webhook.EventsSuffix, traced)
	}
	if roles[operatorRole] {
		mux.Handle("GET /metrics", s.metrics.Handler())
	}
	handler := rpc.WithWriteControl(withRPCHeaders(mux))
	if roles[publicRole] {
		handler = s.withCORS(handler)
	}
	handler = transport.WithRecovery(transport.WithDeadlines(handler), s.log)
	handler = transport.WithSecurityHeaders(handler, strings.HasPrefix(s.options.Config.PublicURL, "https://"))
	handler = telemetry.WithRequestID(transport.WithAddress(handler, s.catalog.addresses))
	// Outside of everything: what is within must not be on the stack of a stream
	// that waits.
	return park.Handler(handler, verigatev1connect.VerificationServiceWatchStatusProcedure), nil
}

// traced gives each webhook a span, if anybody collects them: making one costs a
// webhook as much as reading it.
func (s *Server) traced(ingress http.Handler) http.Handler {
	// A span would write down the value of a panic that passes it.
	ingress = transport.WithRecovery(ingress, s.log)
	if _, nowhere := s.options.Tracer.(noop.TracerProvider); nowhere {
		return ingress
	}
	return otelhttp.NewHandler(ingress, "webhook",
		otelhttp.WithTracerProvider(s.options.Tracer), otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }))
}

// mountRPC mounts the services of the roles, and health and reflection beside
// them.
func (s *Server) mountRPC(mux *http.ServeMux, roles map[role]bool) error {
	if !roles[publicRole] && !roles[operatorRole] {
		return nil
	}
	api, err := s.newAPI(roles)
	if err != nil {
		return err
	}
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
	// They have no interceptors of ours.
	bound := connectv1.WithReadMaxBytes(maxProbe)
	path, health := grpchealth.NewHandler(s.readyz, bound)
	mux.Handle(path, s.limited(health))
	if roles[operatorRole] {
		reflector := grpcreflect.NewStaticReflector(
			verigatev1connect.VerificationServiceName, verigatev1connect.EventServiceName,
			verigatev1connect.OperatorServiceName, grpchealth.HealthV1ServiceName)
		path, reflection := grpcreflect.NewHandlerV1(reflector, bound)
		mux.Handle(path, s.limited(reflection))
		path, reflection = grpcreflect.NewHandlerV1Alpha(reflector, bound)
		mux.Handle(path, s.limited(reflection))
	}
	return nil
}

// limited refuses an address that asks too often.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.limits.Address(transport.Bucket(transport.Address(r.Context()))); err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// newAPI puts the services behind their interceptors.
func (s *Server) newAPI(roles map[role]bool) (*connect.Server, error) {
	tracing, err := otelconnect.NewServerInterceptor(
		otelconnect.WithTracerProvider(s.options.Tracer),
		// A span per endless stream would never be exported.
		otelconnect.WithFilter(func(_ context.Context, spec connect.Spec) bool {
			return spec.StreamType == connect.StreamTypeUnary
		}),
	)
	if err != nil {
		return nil, err
	}
	auth := s.authenticator()
	api := connect.NewServer(
		// Outside of what recovers: a span writes down the value of a panic.
		tracing,
		rpc.Observe(s.metrics, s.log, time.Now),
		rpc.BoundUploads(uploadTimeout),
		rpc.LimitAddress(s.limits),
		rpc.Authenticate(auth, s.metrics, s.log),
		rpc.LimitCaller(s.limits),
		validate.NewServerInterceptor(),
		rpc.Storable(),
	)
	if roles[publicRole] {
		verigatev1connect.RegisterVerificationServiceHandler(api, s.rpcService(auth))
		verigatev1connect.RegisterEventServiceHandler(api, s.eventService(auth))
	}
	if roles[operatorRole] {
		verigatev1connect.RegisterOperatorServiceHandler(api, s.operatorService())
	}
	return api, nil
}

// withRPCHeaders keeps caches and proxies from holding back or changing what a
// caller is told.
func withRPCHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/verigate.v1.") {
			header := w.Header()
			header.Set("Cache-Control", "no-store, no-transform")
			header.Set("X-Accel-Buffering", "no")
		}
		next.ServeHTTP(w, r)
	})
}

// withCORS lets the configured origins call from a browser, and nobody else.
func (s *Server) withCORS(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool {
			allowed := s.catalog.allowsOrigin(origin) || (s.options.Development && isLoopbackOrigin(origin))
			// Whoever names no origin is no browser.
			if !allowed && origin != "" {
				s.metrics.OriginRefused()
			}
			return allowed
		},
		AllowedMethods: connectcors.AllowedMethods(),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", telemetry.RequestIDHeader),
		ExposedHeaders: append(connectcors.ExposedHeaders(), telemetry.RequestIDHeader),
		MaxAge:         corsMaxAge,
	}).Handler(withTiming(next))
}

// withTiming lets a page that may call see which HTTP version its calls took.
// The TypeScript client asks, because over HTTP/1.1 all tabs of a browser share
// six connections and over HTTP/2 they need no care.
func withTiming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := w.Header().Get("Access-Control-Allow-Origin"); origin != "" {
			w.Header().Set("Timing-Allow-Origin", origin)
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}
