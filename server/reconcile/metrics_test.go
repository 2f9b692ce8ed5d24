package reconcile_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
)

var (
	_ reconcile.Meter    = (*telemetry.Metrics)(nil)
	_ verification.Meter = (*telemetry.Metrics)(nil)
	_ reconcile.Domain   = (*verification.Service)(nil)
)

func TestTheMetricsSayWhatWasAsked(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(func() int { return 0 })
	m.FoundByPoll("human")
	m.Fetched("human", reconcile.OutcomeAnswered)
	m.OldestUnresolved("human", 90*time.Second)
	m.OldestUnresolved("former", time.Second)
	m.Pollable("human", true)
	m.Pollable("silent", false)
	m.Pollable("former", true)
	m.Forget("former")
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	text := recorder.Body.String()
	for _, line := range []string{
		`verigate_missed_webhooks_total{connection="human"} 1`,
		`verigate_fetches_total{connection="human",outcome="answered"} 1`,
		`verigate_oldest_unresolved_seconds{connection="human"} 90`,
		`verigate_connection_pollable{connection="human"} 1`,
		`verigate_connection_pollable{connection="silent"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if strings.Contains(text, "former") {
		t.Error("a connection that is gone is still shown")
	}
}
