package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// apart gives each group of routes a port of its own. The node groups by
// address; which real ports it gets is up to whoever serves it.
func apart(c *config.Config) {
	c.Listeners.Public.Address = "public:1"
	c.Listeners.Webhooks.Address = "webhooks:1"
	c.Listeners.Operator.Address = "operator:1"
}

// route is something that is served, and on which ports.
type route struct {
	name, method, path, body, contentType string
	public, webhooks, operator            bool
	// served is the status where it is served; elsewhere it is 404.
	served int
}

func routes(leg string) []route {
	const post, get, isJSON = http.MethodPost, http.MethodGet, "application/json"
	// Reflection is a stream both ways, which HTTP/1.1 cannot carry.
	const needsHTTP2 = http.StatusHTTPVersionNotSupported
	return []route{
		{"the API", post, "/verigate.v1.VerificationService/ListVerifications", "{}", isJSON, true, false, false, http.StatusUnauthorized},
		{"the stream", post, "/verigate.v1.VerificationService/WatchStatus", "", "application/grpc-web+proto", true, false, false, http.StatusOK},
		{"the way back", get, leg, "", "", true, false, false, http.StatusSeeOther},
		{"a webhook", post, "/webhooks/fake", "{}", isJSON, false, true, false, http.StatusUnauthorized},
		{"the operator's API", post, "/verigate.v1.OperatorService/ListApiKeys", "{}", isJSON, false, false, true, http.StatusUnauthorized},
		{"an erasure", post, "/verigate.v1.OperatorService/EraseSubject", "{}", isJSON, false, false, true, http.StatusUnauthorized},
		{"metrics", get, "/metrics", "", "", false, false, true, http.StatusOK},
		{"reflection", post, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "", "application/grpc-web+proto", false, false, true, needsHTTP2},
		{"older reflection", post, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "", "application/grpc-web+proto", false, false, true, needsHTTP2},
		{"gRPC health", post, "/grpc.health.v1.Health/Check", "{}", isJSON, true, false, true, http.StatusOK},
		{"livez", get, "/livez", "", "", true, true, true, http.StatusOK},
		{"readyz", get, "/readyz", "", "", true, true, true, http.StatusOK},
		{"nothing", get, "/debug/pprof/", "", "", false, false, false, 0},
		{"the root", get, "/", "", "", false, false, false, 0},
	}
}

// wantRoutes asks every port for everything.
func wantRoutes(t *testing.T, g *gateway, shared bool) {
	t.Helper()
	id := g.start(g.api(g.key)).GetVerification().GetId()
	leg, _ := g.legs(id)
	client := newHTTPClient(t, false, "")
	for _, r := range routes(leg) {
		for port, c := range map[string]struct {
			url    string
			served bool
		}{
			"public": {g.url, r.public || shared && r.webhooks}, "webhooks": {g.webhooks, r.webhooks || shared && r.public},
			"operator": {g.operator, r.operator},
		} {
			want := http.StatusNotFound
			if c.served {
				want = r.served
			}
			if a := callAt(t, client, r.method, c.url+r.path, r.body, "Content-Type: "+r.contentType); a.status != want {
				t.Errorf("%s on the %s port is answered with %d %s, want %d", r.name, port, a.status, a.body, want)
			}
		}
	}
}

func TestEachPortServesItsOwnRoutesAndNothingElse(t *testing.T) {
	t.Parallel()
	wantRoutes(t, open(t, apart), false)
}

func TestCallersAndProvidersMayShareAPortButOperatorsStayApart(t *testing.T) {
	t.Parallel()
	wantRoutes(t, open(t, func(c *config.Config) {
		apart(c)
		c.Listeners.Webhooks = c.Listeners.Public
	}), true)
}

func TestAVerificationRunsOverThreePorts(t *testing.T) {
	t.Parallel()
	g := open(t, apart)
	started := g.start(g.api(g.key))
	updates := watch(t, g.api(started.GetClientToken()), &verigatev1.WatchStatusRequest{Id: started.GetVerification().GetId()})
	updates.next()
	g.decide(started.GetVerification().GetId(), verification.Passed)
	if u := updates.next(); u.GetState() != approved {
		t.Errorf("the stream said %v", u)
	}
	keys, err := g.operatorAPI(g.newOperatorKey(shopTest())).ListApiKeys(t.Context(), &verigatev1.ListApiKeysRequest{})
	if err != nil || len(keys.GetApiKeys()) != 2 {
		t.Errorf("ListApiKeys: %v, %v", keys, err)
	}
}

func TestAStopDrainsEveryPort(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) {
		apart(c)
		c.Drain = 2 * time.Second
	})
	id := g.start(g.api(g.key)).GetVerification().GetId()
	updates := watch(t, g.api(g.key), &verigatev1.WatchStatusRequest{Id: id})
	updates.next()
	stopped := make(chan error, 1)
	go func() { stopped <- g.stop() }()
	for _, port := range []string{g.url, g.webhooks, g.operator} {
		eventually(t, "the port says that it drains", func() bool {
			a := callAt(t, newHTTPClient(t, false, ""), http.MethodGet, port+"/readyz", "")
			return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "draining")
		})
	}
	if u := updates.next(); u.GetKind() != drain {
		t.Errorf("the stream said %v, want a drain", u)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, port := range []string{g.url, g.webhooks, g.operator} {
		if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(port, "http://")); err == nil {
			_ = conn.Close()
			t.Errorf("%s still accepts connections", port)
		}
	}
}

func TestAPortThatFailsEndsTheWholeNode(t *testing.T) {
	t.Parallel()
	cfg := newConfig(pgtest.New(t), newFakeProvider())
	apart(cfg)
	node, err := server.New(t.Context(), server.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider()})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Serve(t.Context(), listen(t)); err == nil {
		t.Error("it served three ports on one listener")
	}
	listeners := []net.Listener{listen(t), listen(t), listen(t)}
	served := make(chan error, 1)
	go func() { served <- node.Serve(context.WithoutCancel(t.Context()), listeners...) }()
	if err := listeners[1].Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-served:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v, want the reason", err)
		}
	case <-time.After(patience):
		t.Fatal("the node serves without one of its ports")
	}
}
