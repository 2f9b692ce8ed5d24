package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/verigate/verigate/bench/load"
	"github.com/verigate/verigate/bench/measure"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
)

const (
	// overloadFactor and overloadTime are the issue's.
	overloadFactor = 2.0
	// quickFactor makes the gateway refuse within a moment.
	quickFactor  = 6.0
	overloadTime = time.Minute
	// overloadConnections is far more than the 1,024 deliveries that the gateway
	// takes in hand (package server/intake).
	overloadConnections = 3000
	// quickConnections are still more than it takes in hand.
	quickConnections = 1300
	// recoveryBar is in seconds, memoryBar in MB: what "recovery within seconds" and
	// "memory bounded" come to here.
	recoveryBar = 5.0
	memoryBar   = 512.0
	megabyte    = 1 << 20
	// recovered is how slow, against before, counts as back to normal.
	recovered = 2.0
)

// overload sends twice of what the gateway can take for a minute, and then looks
// what became of the promises, of its memory and of its speed.
func overload(ctx context.Context, s *session, t *report.Table) (err error) {
	peak, err := s.capacity(ctx)
	if err != nil {
		return err
	}
	o := &overloaded{session: s, peak: peak, duration: size(s, overloadTime, 2*time.Second), lines: size(s, overloadConnections, quickConnections),
		factor: size(s, overloadFactor, quickFactor)}
	if err := o.prepare(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.gateway.Stop()) }()
	before, err := o.calm.median(ctx, time.Second)
	if err != nil {
		return err
	}
	if err := o.flood(ctx, t); err != nil {
		return err
	}
	ended := time.Now()
	back, err := o.calm.recovery(ctx, before, ended)
	if err != nil {
		return err
	}
	a, err := o.ledger.audit(ctx, s.pg.Pool)
	if err != nil && !errors.Is(err, errLost) {
		return err
	}
	wrong := float64(a.Lost + a.Wrong)
	t.Figures = append(t.Figures,
		report.Judged(report.Single("acknowledged and not applied exactly once", "deliveries", wrong), report.AtMost("lost", wrong, 0)),
		report.Judged(report.Single("until as fast as before", "s", back.Seconds()), report.AtMost("recovery", back.Seconds(), recoveryBar)))
	t.Notes = append(t.Notes, fmt.Sprintf("as fast as before means a median of at most %.0f times the one before, %.2f ms, at a quarter of the capacity",
		recovered, measure.Milliseconds(before)))
	return nil
}

// overloaded is one measurement.
type overloaded struct {
	*session

	peak     float64
	duration time.Duration
	lines    int
	// factor says how many times the capacity arrives.
	factor  float64
	set     rig.Set
	rows    int64
	gateway *rig.Gateway
	ledger  *ledger
	calm    *calmly
}

// prepare makes a verification for each arrival and starts the gateway.
func (o *overloaded) prepare(ctx context.Context) (err error) {
	const calmSeconds = 10
	calm, calmRows := o.newSet(), int64(o.peak*calmSeconds)
	o.set, o.rows = o.newSet(), int64(o.peak*o.duration.Seconds()*o.factor)+2*int64(o.lines)
	o.ledger = newLedger(o.set, o.rows)
	o.sayf("making %d verifications …", o.rows)
	if err := o.load(ctx, o.set, o.rows); err != nil {
		return err
	}
	if err := o.seed(ctx, map[rig.Set]int64{calm: calmRows}); err != nil {
		return err
	}
	if o.gateway, err = o.session.gateway(ctx, rig.GatewayOptions{Name: "gateway"}); err != nil {
		return err
	}
	o.calm = &calmly{plan: o.webhooks(o.gateway, calm, calmRows), rate: o.peak / 4}
	return nil
}

// flood sends, and says what was answered and how much memory that took.
func (o *overloaded) flood(ctx context.Context, t *report.Table) error {
	start, err := o.usage()
	if err != nil {
		return err
	}
	plan := o.webhooks(o.gateway, o.set, o.rows)
	plan.Connections, plan.Duration, plan.Rate, plan.Answered = o.lines, o.duration, o.peak*o.factor, o.ledger.note
	outcome, err := load.Open(ctx, plan)
	if err != nil {
		return err
	}
	end, err := o.usage()
	if err != nil {
		return err
	}
	overloadFigures(t, outcome, o.peak)
	if o.gateway.PID() != 0 {
		most := float64(end.PeakRSS) / megabyte
		t.Figures = append(t.Figures, report.Judged(
			report.Compare("most memory", "MB", []float64{most}, "before", []float64{float64(start.RSS) / megabyte}),
			report.AtMost("memory", most, memoryBar)))
	}
	t.Notes = append(t.Notes, fmt.Sprintf("%.0f deliveries a second were due for %s, on %d lines", plan.Rate, o.duration, o.lines))
	if outcome.Unsent > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d of them found all lines waiting for answers and were never sent", outcome.Unsent))
	}
	return nil
}

// usage is zero where the process is not known.
func (o *overloaded) usage() (rig.Usage, error) {
	if o.gateway.PID() == 0 {
		return rig.Usage{}, nil
	}
	return rig.UsageOf(o.gateway.PID())
}

// overloadFigures says what was answered.
func overloadFigures(t *report.Table, outcome *load.Outcome, peak float64) {
	other := outcome.Broken
	for code, n := range outcome.Codes {
		if code != http.StatusOK && code != http.StatusServiceUnavailable {
			other += n
		}
	}
	refused := outcome.Codes[http.StatusServiceUnavailable]
	t.Figures = append(t.Figures,
		report.Compare("acknowledged", perSecond, []float64{outcome.PerSecond()}, "the most without overload", []float64{peak}),
		report.Single("refused with 503", perSecond, float64(refused)/outcome.Elapsed.Seconds()),
		report.Judged(report.Single("503 without Retry-After", "answers", float64(outcome.WithoutRetryAfter)),
			report.AtMost("count", float64(outcome.WithoutRetryAfter), 0)),
		report.Judged(report.Single("anything else, or no answer", "answers", float64(other)), report.AtMost("count", float64(other), 0)),
		report.Single("p50 of the acknowledged", milliseconds, percentilesOf(outcome.Times)[0]),
		report.Single("p99 of the acknowledged", milliseconds, percentilesOf(outcome.Times)[1]))
}

// calmly sends a little and measures how fast the gateway is then.
type calmly struct {
	plan load.Plan
	rate float64
	// starved tells that the rows ran out.
	starved bool
}

// median returns the median of single times over the given time.
func (c *calmly) median(ctx context.Context, duration time.Duration) (time.Duration, error) {
	c.plan.Connections, c.plan.Duration, c.plan.Rate = 16, duration, c.rate
	outcome, err := load.Open(ctx, c.plan)
	if err != nil {
		return 0, err
	}
	c.plan.First = outcome.Next
	c.starved = outcome.Starved
	// Whatever is still refused is not as fast as before.
	if outcome.Acknowledged < int64(len(outcome.Times)) || outcome.Codes[http.StatusOK] == 0 || len(outcome.Codes) > 1 {
		return time.Hour, nil
	}
	return measure.Percentile(outcome.Times, measure.P50), nil
}

// recovery returns how long after the end it took until the gateway was as fast
// as before, or until the rows ran out: then it still was not.
func (c *calmly) recovery(ctx context.Context, before time.Duration, end time.Time) (time.Duration, error) {
	const glance = 250 * time.Millisecond
	for {
		began := time.Now()
		now, err := c.median(ctx, glance)
		if err != nil {
			return 0, err
		}
		if c.starved || float64(now) <= recovered*float64(before) {
			return began.Sub(end), nil
		}
	}
}
