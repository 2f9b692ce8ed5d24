package telemetry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/verigate/verigate/server/telemetry"
)

func TestWithoutAnEndpointNothingIsTraced(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	provider, flush, err := telemetry.Tracing(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := provider.(noop.TracerProvider); !ok {
		t.Errorf("the provider is a %T", provider)
	}
	if err := flush(t.Context()); err != nil {
		t.Errorf("flush: %v", err)
	}
}

func TestSpansGoToTheEndpointBeforeTheEnd(t *testing.T) {
	posted := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { posted <- r.Method + " " + r.URL.Path }))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	provider, flush, err := telemetry.Tracing(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	_, span := provider.Tracer("test").Start(t.Context(), "work")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	if err := flush(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
	select {
	case got := <-posted:
		if got != "POST /v1/traces" {
			t.Errorf("the collector got %s", got)
		}
	default:
		t.Error("the span was not exported when the flush returned")
	}
}
