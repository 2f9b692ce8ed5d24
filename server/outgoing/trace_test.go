package outgoing_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/verigate/verigate/server/outgoing"
)

// recorder is a tracer provider and what it exported.
func recorder(t *testing.T) (*sdktrace.TracerProvider, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	return provider, exporter
}

// show writes out everything in a span that comes from the request.
func show(span tracetest.SpanStub) string {
	var text strings.Builder
	fmt.Fprintln(&text, span.Name, span.Status.Description)
	for _, attribute := range span.Attributes {
		fmt.Fprintln(&text, attribute.Key, attribute.Value.String())
	}
	for _, event := range span.Events {
		fmt.Fprintln(&text, event.Name)
		for _, attribute := range event.Attributes {
			fmt.Fprintln(&text, attribute.Key, attribute.Value.String())
		}
	}
	return text.String()
}

func TestASpanHoldsThePathAndTheServerTheWholeURL(t *testing.T) {
	t.Parallel()
	queries, headers := make(chan string, 1), make(chan http.Header, 1)
	server := plainTarget(t, func(w http.ResponseWriter, r *http.Request) {
		queries <- r.URL.RawQuery
		headers <- r.Header
		w.Header().Set("Location", "/next?token=location-marker")
		w.WriteHeader(http.StatusFound)
	})
	provider, exporter := recorder(t)
	client := newClient(t, outgoing.Options{Loopback: true, Tracer: provider})
	resp := mustGet(t, client, server.URL+"/path?token=query-marker#fragment-marker")
	readAll(t, resp)

	if got := <-queries; got != "token=query-marker" {
		t.Errorf("the server got the query %q", got)
	}
	if got := resp.Request.URL.RawQuery; got != "token=query-marker" {
		t.Errorf("the response belongs to a request with the query %q", got)
	}
	sent := <-headers
	for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
		if sent.Get(name) != "" {
			t.Errorf("the request carried %s", name)
		}
	}
	spans := exporter.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans; want 1", len(spans))
	}
	text := show(spans[0])
	if !strings.Contains(text, "url.full "+server.URL+"/path\n") {
		t.Errorf("the span does not hold the URL without its query:\n%s", text)
	}
	if strings.Contains(text, "marker") {
		t.Errorf("the span holds what it must not:\n%s", text)
	}
}

func TestTheSpanOfAFailureHoldsNoQueryAndNoAddress(t *testing.T) {
	t.Parallel()
	provider, exporter := recorder(t)
	client := newClient(t, outgoing.Options{Tracer: provider, Resolver: nameServer(t, always("10.20.30.40"))})
	if _, err := get(t, client, "https://example.com/path?token=query-marker"); !errors.Is(err, outgoing.ErrForbiddenAddress) {
		t.Fatalf("got %v", err)
	}
	spans := exporter.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans; want 1", len(spans))
	}
	text := show(spans[0])
	if !strings.Contains(text, outgoing.ErrForbiddenAddress.Error()) {
		t.Errorf("the span does not say why:\n%s", text)
	}
	if strings.Contains(text, "marker") || strings.Contains(text, "10.20.30.40") {
		t.Errorf("the span holds what it must not:\n%s", text)
	}
}

func TestARefusedURLLeavesNoSpan(t *testing.T) {
	t.Parallel()
	provider, exporter := recorder(t)
	client := newClient(t, outgoing.Options{Tracer: provider})
	if _, err := get(t, client, "https://user:marker@example.com/"); !errors.Is(err, outgoing.ErrForbiddenURL) {
		t.Fatalf("got %v", err)
	}
	if spans := exporter.GetSpans(); len(spans) != 0 {
		t.Errorf("it left %d spans", len(spans))
	}
}
