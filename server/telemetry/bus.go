package telemetry

// HintsSent implements bus.Meter.
func (m *Metrics) HintsSent(count int) { m.hintsSent.Add(float64(count)) }

// HintsReceived implements bus.Meter.
func (m *Metrics) HintsReceived(count int) { m.hintsReceived.Add(float64(count)) }

// HintsDropped implements bus.Meter.
func (m *Metrics) HintsDropped(reason string, count int) {
	m.hintsDropped.WithLabelValues(reason).Add(float64(count))
}

// HintGap implements bus.Meter.
func (m *Metrics) HintGap() { m.hintGaps.Inc() }

// BusConnected implements bus.Meter.
func (m *Metrics) BusConnected(carrier string, connected bool) {
	value := 0.0
	if connected {
		value = 1
	}
	m.busConnected.WithLabelValues(carrier).Set(value)
}
