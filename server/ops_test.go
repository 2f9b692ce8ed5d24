package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	connectv1 "connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace/noop"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

func TestANodeIsReadyWhileItsDatabaseAnswers(t *testing.T) {
	t.Parallel()
	line := newCable(t, pgtest.New(t))
	g := openOn(t, line.dsn, nil)
	if a := g.call(http.MethodGet, "/readyz", ""); a.status != http.StatusOK {
		t.Errorf("at first: %d %s", a.status, a.body)
	}
	line.cut()
	if a := g.call(http.MethodGet, "/readyz", ""); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "database") {
		t.Errorf("without a database: %d %s", a.status, a.body)
	}
	if a := g.call(http.MethodGet, "/livez", ""); a.status != http.StatusOK {
		t.Errorf("it is no longer alive: %d %s", a.status, a.body)
	}
	line.mend()
	eventually(t, "it is ready again", func() bool { return g.call(http.MethodGet, "/readyz", "").status == http.StatusOK })
}

// A balancer must be able to see it: the listener stays open while streams end.
func TestADrainingNodeSaysSoAndStillAnswers(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Drain = 5 * time.Second })
	id := g.start(g.api(g.key)).GetVerification().GetId()
	stopped := make(chan error, 1)
	go func() { stopped <- g.stop() }()
	eventually(t, "it says that it drains", func() bool {
		a := g.call(http.MethodGet, "/readyz", "")
		return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "draining")
	})
	if _, err := g.api(g.key).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: id}); err != nil {
		t.Errorf("a call while draining: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// In a rolling deploy the new release migrates first.
func TestANodeStaysReadyOnANewerSchemaAndAfterAnImpatientProbe(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
		t.Fatal(err)
	}
	g.server.ForgetMigrations()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	recorder := httptest.NewRecorder()
	g.server.Readiness().ServeHTTP(recorder, httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", nil))
	if recorder.Code != http.StatusOK {
		t.Errorf("an impatient probe on a newer schema: %d %s", recorder.Code, recorder.Body)
	}
	if a := g.call(http.MethodGet, "/readyz", ""); a.status != http.StatusOK {
		t.Errorf("the next probe: %d %s", a.status, a.body)
	}
}

func TestPendingMigrationsRefuseTheStartAndNameTheCommand(t *testing.T) {
	t.Parallel()
	_, err := server.New(t.Context(), server.Options{
		Config: newConfig(pgtest.NewEmpty(t), newFakeProvider()), Log: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider(),
	})
	if err == nil || !strings.Contains(err.Error(), "verigate migrate") || !strings.Contains(err.Error(), "00001") {
		t.Errorf("got %v, want it to name what is missing and `verigate migrate`", err)
	}
}

func TestAnAbsentDatabaseRefusesTheStartWithoutItsPassword(t *testing.T) {
	t.Parallel()
	cfg := newConfig("postgres://user:marked-password@127.0.0.1:1/x?sslmode=disable", newFakeProvider())
	_, err := server.New(t.Context(), server.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider()})
	if err == nil || strings.Contains(err.Error(), "marked") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

func TestHealthAnswersOverGRPC(t *testing.T) {
	t.Parallel()
	line := newCable(t, pgtest.New(t))
	g := openOn(t, line.dsn, nil)
	client := connectv1.NewClient[healthv1.HealthCheckRequest, healthv1.HealthCheckResponse](
		newHTTPClient(t, true, ""), g.url+"/grpc.health.v1.Health/Check", connectv1.WithGRPC())
	check := func(service string) (healthv1.HealthCheckResponse_ServingStatus, error) {
		response, err := client.CallUnary(t.Context(), connectv1.NewRequest(&healthv1.HealthCheckRequest{Service: service}))
		if err != nil {
			return 0, err
		}
		return response.Msg.GetStatus(), nil
	}
	for _, service := range []string{"", verigatev1connect.VerificationServiceName} {
		if status, err := check(service); status != healthv1.HealthCheckResponse_SERVING || err != nil {
			t.Errorf("%q: %v, %v", service, status, err)
		}
	}
	if _, err := check("nobody.v1.Nothing"); connectv1.CodeOf(err) != connectv1.CodeNotFound {
		t.Errorf("an unknown service: %v", err)
	}
	line.cut()
	if status, err := check(""); status != healthv1.HealthCheckResponse_NOT_SERVING || err != nil {
		t.Errorf("without a database: %v, %v", status, err)
	}
	line.mend()
}

func TestReflectionNamesTheServices(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	stream := grpcreflect.NewClient(newHTTPClient(t, true, ""), g.url, connectv1.WithGRPC()).NewStream(t.Context())
	names, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{verigatev1connect.VerificationServiceName, grpchealth.HealthV1ServiceName} {
		if !slices.ContainsFunc(names, func(name protoreflect.FullName) bool { return string(name) == want }) {
			t.Errorf("%v does not name %s", names, want)
		}
	}
	if files, err := stream.FileContainingSymbol(verigatev1connect.VerificationServiceName); err != nil || len(files) == 0 {
		t.Errorf("the service's file: %d, %v", len(files), err)
	}
	if _, err := stream.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestTheMetricsTellWhatHappened(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	id := g.start(api).GetVerification().GetId()
	g.decide(id, verification.Passed)
	g.deliver("fake", hook(verification.Passed, "nobody"))
	if err := send(t.Context(), g.api("nobody"), &verigatev1.ListVerificationsRequest{}); err == nil {
		t.Error("nobody was let in")
	}
	for name, want := range map[string]float64{
		`verigate_events_total{effect="applied",event="session_opened",rung="",source="gateway"}`:                                    1,
		`verigate_events_total{effect="applied",event="passed",rung="payload_key",source="provider"}`:                                1,
		`verigate_deliveries_parked_total{connection="fake"}`:                                                                        1,
		`verigate_credentials_refused_total{reason="token"}`:                                                                         1,
		`verigate_rpc_duration_seconds_count{code="ok",procedure="/verigate.v1.VerificationService/StartVerification"}`:              1,
		`verigate_rpc_duration_seconds_count{code="unauthenticated",procedure="/verigate.v1.VerificationService/ListVerifications"}`: 1,
	} {
		if got := g.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	eventually(t, "the tail is read", func() bool { return g.metric("verigate_tail_polls_total") > 1 })
}

func TestABadReloadKeepsTheOldConfiguration(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	bad := newConfig(dsn, g.provider)
	bad.ClientTokenKeys = nil
	if err := g.server.Reload(bad); err == nil {
		t.Fatal("a configuration without token keys was taken")
	}
	broken := newConfig(dsn, g.provider)
	broken.Connections[0].Settings = unopenable{}
	if err := g.server.Reload(broken); err == nil || !strings.Contains(err.Error(), broken.Connections[0].Name) {
		t.Fatalf("got %v, want an error that names the connection", err)
	}
	g.start(g.api(g.key))
	good := newConfig(dsn, g.provider)
	good.Flows[0].Name = "renamed"
	good.Flows[0].Scope, good.Flows[0].Connection = shopTest(), "fake"
	if err := g.server.Reload(good); err != nil {
		t.Fatal(err)
	}
	if err := send(t.Context(), g.api(g.key), &verigatev1.StartVerificationRequest{Flow: "renamed", Subject: "s"}); err != nil {
		t.Errorf("the new flow: %v", err)
	}
}
