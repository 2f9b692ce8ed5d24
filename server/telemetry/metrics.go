package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/verigate/verigate/server/verification"
)

const namespace = "verigate"

// Metrics are the process's Prometheus metrics, in a registry of their own.
type Metrics struct {
	registry         *prometheus.Registry
	events           *prometheus.CounterVec
	parked           *prometheus.CounterVec
	mismatched       *prometheus.CounterVec
	callbackAttempts *prometheus.CounterVec
	callbacks        *prometheus.CounterVec
	oldestCallback   prometheus.Gauge
	refused          *prometheus.CounterVec
	unknownStatus    *prometheus.CounterVec
	calls            *prometheus.HistogramVec
	unauthenticated  *prometheus.CounterVec
	limited          *prometheus.CounterVec
	origins          prometheus.Counter
	tailPolls        prometheus.Counter
	hintsSent        prometheus.Counter
	hintsReceived    prometheus.Counter
	hintsDropped     *prometheus.CounterVec
	hintGaps         prometheus.Counter
	busConnected     *prometheus.GaugeVec
	missed           *prometheus.CounterVec
	fetches          *prometheus.CounterVec
	unresolved       *prometheus.GaugeVec
	pollable         *prometheus.GaugeVec
}

// NewMetrics registers everything. watchers reports the open ones.
func NewMetrics(watchers func() int) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		events: counter("events_total", "Events by what they did.",
			"event", "source", "effect", "rung"),
		parked: counter("deliveries_parked_total", "Deliveries that could not be matched to a verification.",
			"connection"),
		mismatched: counter("deliveries_mismatched_total", "Deliveries whose provider id and reference name different verifications; they are parked.",
			"connection"),
		callbackAttempts: counter("callback_attempts_total", "Attempts at delivering callbacks, by how they ended.",
			"outcome"),
		callbacks: counter("callbacks_total", "Callbacks that are over, by how they ended.",
			"state"),
		oldestCallback: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "oldest_callback_seconds", Help: "How long the oldest undelivered callback of the gateway has been tried; 0 if there is none.",
		}),
		refused: counter("webhooks_refused_total", "Webhook requests that were not stored.",
			"connection", "reason"),
		unknownStatus: counter("provider_unknown_status_total", "Provider statuses that the adapter does not know, taken as a review.",
			"connection"),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "rpc_duration_seconds", Help: "Calls by procedure and code.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"procedure", "code"}),
		unauthenticated: counter("credentials_refused_total", "Calls with a credential that is missing, bad or not meant for them.",
			"reason"),
		limited: counter("limited_total", "What was refused because of a limit.",
			"limit"),
		origins: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "origins_refused_total", Help: "Browser requests from an origin that is not configured.",
		}),
		tailPolls: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "tail_polls_total", Help: "Successful reads of the transition log's tail.",
		}),
		hintsSent: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "hints_sent_total", Help: "Hints to other nodes that the bus took.",
		}),
		hintsReceived: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "hints_received_total", Help: "Hints of other nodes.",
		}),
		hintsDropped: counter("hints_dropped_total", "Hints that nobody gets.",
			"reason"),
		hintGaps: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "hint_gaps_total", Help: "Times after which everything watched was read again, because hints may have been lost.",
		}),
		busConnected: gauge("bus_connected", "1 if this node hears hints over the bus, 0 if it does not.",
			"bus"),
		missed: counter("missed_webhooks_total", "Changes that asking the provider brought and a webhook should have.",
			"connection"),
		fetches: counter("fetches_total", "Questions to a provider about a verification by how they ended.",
			"connection", "outcome"),
		unresolved: gauge("oldest_unresolved_seconds", "Age of the oldest open verification.",
			"connection"),
		pollable: gauge("connection_pollable", "1 if the connection's provider can be asked what became of a verification, 0 if it cannot.",
			"connection"),
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "watchers", Help: "Open watchers on this node.",
	}, func() float64 { return float64(watchers()) })
	m.registry.MustRegister(m.events, m.parked, m.mismatched, m.callbackAttempts, m.callbacks, m.oldestCallback, m.refused, m.unknownStatus, m.calls, m.unauthenticated, m.limited, m.origins, m.tailPolls, open,
		m.missed, m.fetches, m.unresolved, m.pollable,
		m.hintsSent, m.hintsReceived, m.hintsDropped, m.hintGaps, m.busConnected,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Applied implements verification.Meter.
func (m *Metrics) Applied(event verification.EventKind, source verification.Source, effect verification.Effect, rung verification.Rung) {
	m.events.WithLabelValues(string(event), string(source), string(effect), string(rung)).Inc()
}

// Parked implements verification.Meter.
func (m *Metrics) Parked(connection string) { m.parked.WithLabelValues(connection).Inc() }

// Mismatched implements verification.Meter.
func (m *Metrics) Mismatched(connection string) { m.mismatched.WithLabelValues(connection).Inc() }

// FoundByPoll implements verification.Meter.
func (m *Metrics) FoundByPoll(connection string) { m.missed.WithLabelValues(connection).Inc() }

// Fetched implements reconcile.Meter.
func (m *Metrics) Fetched(connection, outcome string) {
	m.fetches.WithLabelValues(connection, outcome).Inc()
}

// OldestUnresolved implements reconcile.Meter.
func (m *Metrics) OldestUnresolved(connection string, age time.Duration) {
	m.unresolved.WithLabelValues(connection).Set(age.Seconds())
}

// Pollable implements reconcile.Meter.
func (m *Metrics) Pollable(connection string, pollable bool) {
	value := 0.0
	if pollable {
		value = 1
	}
	m.pollable.WithLabelValues(connection).Set(value)
}

// Forget implements reconcile.Meter.
func (m *Metrics) Forget(connection string) {
	m.unresolved.DeleteLabelValues(connection)
	m.pollable.DeleteLabelValues(connection)
}

// CallbackAttempted implements callback.Meter.
func (m *Metrics) CallbackAttempted(outcome string) {
	m.callbackAttempts.WithLabelValues(outcome).Inc()
}

// CallbackFinished implements callback.Meter.
func (m *Metrics) CallbackFinished(state string) { m.callbacks.WithLabelValues(state).Inc() }

// OldestCallback tells how long the oldest undelivered callback has been tried.
func (m *Metrics) OldestCallback(age time.Duration) { m.oldestCallback.Set(age.Seconds()) }

// Expect makes the counters of a connection begin with zero: what appears with its
// first count is missed by whoever looks for an increase.
func (m *Metrics) Expect(connections []string) {
	for _, connection := range connections {
		for _, of := range []*prometheus.CounterVec{m.parked, m.mismatched, m.unknownStatus, m.missed} {
			of.WithLabelValues(connection)
		}
	}
	for _, state := range []verification.CallbackState{verification.CallbackDelivered, verification.CallbackDead} {
		m.callbacks.WithLabelValues(string(state))
	}
}

// Refused implements webhook.Meter.
func (m *Metrics) Refused(connection, reason string) {
	m.refused.WithLabelValues(connection, reason).Inc()
}

// UnknownStatus implements webhook.Meter.
func (m *Metrics) UnknownStatus(connection string) {
	m.unknownStatus.WithLabelValues(connection).Inc()
}

// Called implements rpc.Meter.
func (m *Metrics) Called(procedure, code string, took time.Duration) {
	m.calls.WithLabelValues(procedure, code).Observe(took.Seconds())
}

// Unauthenticated implements rpc.Meter.
func (m *Metrics) Unauthenticated(reason string) { m.unauthenticated.WithLabelValues(reason).Inc() }

// Limited counts a refusal by the limit's name in the configuration.
func (m *Metrics) Limited(name string) { m.limited.WithLabelValues(name).Inc() }

// OriginRefused counts a browser request from an origin that is not configured.
func (m *Metrics) OriginRefused() { m.origins.Inc() }

// Polled counts a successful read of the transition log.
func (m *Metrics) Polled(int) { m.tailPolls.Inc() }
