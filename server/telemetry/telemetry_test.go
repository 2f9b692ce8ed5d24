package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
)

// request runs a handler behind the middleware and returns the response and
// the lines it logged.
func request(t *testing.T, id string, handle func(ctx context.Context, log *slog.Logger)) (*http.Response, []map[string]any) {
	t.Helper()
	var buffer bytes.Buffer
	log := telemetry.NewLogger(&buffer, slog.LevelInfo, true)
	handler := telemetry.WithRequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(r.Context(), log) }))
	in := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if id != "" {
		in.Header.Set(telemetry.RequestIDHeader, id)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, in)
	response := recorder.Result()
	t.Cleanup(func() { _ = response.Body.Close() })
	var lines []map[string]any
	for text := range strings.Lines(buffer.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return response, lines
}

func TestARequestKeepsItsPlainIDAndGetsOneOtherwise(t *testing.T) {
	t.Parallel()
	for given, kept := range map[string]bool{
		"abc-DEF_1.2": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "a\"b": false, "é": false, "<script>": false,
	} {
		response, lines := request(t, given, func(ctx context.Context, log *slog.Logger) { log.InfoContext(ctx, "hello") })
		id := response.Header.Get(telemetry.RequestIDHeader)
		if (id == given) != kept || id == "" {
			t.Errorf("%q became %q", given, id)
		}
		if len(lines) != 1 || lines[0]["request_id"] != id {
			t.Errorf("%q: logged %v, want the id %q", given, lines, id)
		}
	}
}

func TestTheVerificationIsOnEveryLineAfterItIsKnown(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	_, lines := request(t, "r", func(ctx context.Context, log *slog.Logger) {
		log.InfoContext(ctx, "before")
		telemetry.NoteVerification(ctx, id)
		log.InfoContext(ctx, "after")
		log.With("a", 1).WithGroup("g").InfoContext(ctx, "grouped")
		log.InfoContext(ctx, "own", "verification_id", "its own")
	})
	if len(lines) != 4 || lines[0]["verification_id"] != nil || lines[1]["verification_id"] != id.String() {
		t.Fatalf("logged %v", lines)
	}
	if lines[2]["a"] != float64(1) || !strings.Contains(marshal(t, lines[2]), id.String()) {
		t.Errorf("a derived logger forgot the id: %v", lines[2])
	}
	if lines[3]["verification_id"] != "its own" {
		t.Errorf("the line's own id was overruled: %v", lines[3])
	}
}

func TestARequestKnowsItsIDAndNothingElseHasOne(t *testing.T) {
	t.Parallel()
	if id := telemetry.RequestID(t.Context()); id != "" {
		t.Errorf("outside a request the id is %q", id)
	}
	inside := ""
	response, _ := request(t, "", func(ctx context.Context, _ *slog.Logger) { inside = telemetry.RequestID(ctx) })
	if inside == "" || inside != response.Header.Get(telemetry.RequestIDHeader) {
		t.Errorf("inside it is %q, the caller is told %q", inside, response.Header.Get(telemetry.RequestIDHeader))
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOutsideARequestNothingIsAdded(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	telemetry.NoteVerification(t.Context(), uuid.Must(uuid.NewV7()))
	telemetry.NewLogger(&buffer, slog.LevelInfo, false).InfoContext(t.Context(), "hello")
	if text := buffer.String(); strings.Contains(text, "_id") || !strings.Contains(text, "msg=hello") {
		t.Errorf("logged %s", text)
	}
}

func TestALineOfATracedRequestNamesItsTrace(t *testing.T) {
	t.Parallel()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	var buffer bytes.Buffer
	telemetry.NewLogger(&buffer, slog.LevelInfo, true).InfoContext(trace.ContextWithSpanContext(t.Context(), span), "hello")
	if !strings.Contains(buffer.String(), `"trace_id":"`+span.TraceID().String()+`"`) {
		t.Errorf("logged %s", buffer.String())
	}
}

func TestWhatIsBelowTheLevelIsNotLogged(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	log := telemetry.NewLogger(&buffer, slog.LevelWarn, true)
	log.InfoContext(t.Context(), "quiet")
	if buffer.Len() != 0 {
		t.Errorf("logged %s", buffer.String())
	}
}

func TestEveryCountShowsUp(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(func() int { return 7 })
	m.Applied(verification.Passed, verification.SourceProvider, verification.Applied, verification.RungBoundRef)
	m.Parked("fake")
	m.Refused("fake", "signature")
	m.UnknownStatus("fake")
	m.Called("/p", "ok", 30*time.Millisecond)
	m.Unauthenticated("revoked")
	m.Limited("per_key")
	m.OriginRefused()
	m.Polled(3)
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text := recorder.Body.String()
	for _, line := range []string{
		`verigate_events_total{effect="applied",event="passed",rung="bound_ref",source="provider"} 1`,
		`verigate_deliveries_parked_total{connection="fake"} 1`,
		`verigate_webhooks_refused_total{connection="fake",reason="signature"} 1`,
		`verigate_provider_unknown_status_total{connection="fake"} 1`,
		`verigate_rpc_duration_seconds_count{code="ok",procedure="/p"} 1`,
		`verigate_rpc_duration_seconds_bucket{code="ok",procedure="/p",le="0.025"} 0`,
		`verigate_rpc_duration_seconds_bucket{code="ok",procedure="/p",le="0.05"} 1`,
		`verigate_credentials_refused_total{reason="revoked"} 1`,
		`verigate_limited_total{limit="per_key"} 1`,
		`verigate_origins_refused_total 1`,
		`verigate_tail_polls_total 1`,
		`verigate_watchers 7`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if !regexp.MustCompile(`(?m)^go_goroutines \d+$`).MatchString(text) {
		t.Error("the runtime's own metrics are missing")
	}
}

func TestTwoProcessesInOneShareNoMetrics(t *testing.T) {
	t.Parallel()
	none := func() int { return 0 }
	one, two := telemetry.NewMetrics(none), telemetry.NewMetrics(none)
	one.OriginRefused()
	recorder := httptest.NewRecorder()
	two.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if !strings.Contains(recorder.Body.String(), "verigate_origins_refused_total 0\n") {
		t.Error("one counted for the other")
	}
}
