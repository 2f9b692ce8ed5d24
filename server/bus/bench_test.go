package bus_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// BenchmarkHint measures from Publish on one node until the other's receiver has
// the hint, one at a time, and reports the median and the 99th percentile.
func BenchmarkHint(b *testing.B) {
	nats := serveNATS(b, nil)
	dsn := pgtest.New(b)
	for name, carrier := range map[string]func() bus.Carrier{
		"postgres": func() bus.Carrier { return postgresOver(b, dsn, dsn) },
		"nats":     func() bus.Carrier { return bus.NATS(onNATS(nats)) },
	} {
		b.Run(name, func(b *testing.B) {
			one, two := join(b, carrier()), join(b, carrier())
			var took []time.Duration
			for b.Loop() {
				id, began := uuid.New(), time.Now()
				one.publish(id, 1)
				two.wants(id, 1)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			const percent = 100
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/percent].Microseconds()), "p99-µs")
		})
	}
}
