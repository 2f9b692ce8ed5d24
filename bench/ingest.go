package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/bench/hook"
	"github.com/verigate/verigate/bench/load"
	"github.com/verigate/verigate/bench/measure"
	"github.com/verigate/verigate/bench/pgref"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
)

const (
	// ingestBar and halfLoadBar are design.md's and the issue's.
	ingestBar   = 2.0
	halfLoadBar = 20.0
	// barConnections is where the bar of ingest is judged.
	barConnections = 32
	// mostConnections reach the rate that half load is half of.
	mostConnections = 64
	// bareStride keeps the numbers of bare inserts apart, however far some clients
	// get.
	bareStride   = 1 << 40
	perSecond    = "1/s"
	milliseconds = "ms"
)

// ingestRun is the state of one measurement of ingest.
type ingestRun struct {
	*session

	bench  pgref.Runner
	decide pgref.Script
	bare   pgref.Script

	set     rig.Set
	gateway *rig.Gateway
	ledger  *ledger
	// rows and references are how many verifications gateway and reference have.
	rows, references int64
	// next and referenceNext are the first rows that nobody used, bareNext the
	// first id of the bare insert.
	next, referenceNext, bareNext int64
	// transactions counts those of the reference.
	transactions int64
	// referencePeak is what the reference reached with the most clients.
	referencePeak float64
}

// ingest measures acknowledged deliveries at several numbers of connections, in
// turns with pgbench at the same number of clients, and then the latency at half
// of what the most connections reach.
func ingest(ctx context.Context, s *session, t *report.Table) (err error) {
	run, err := s.newIngest(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.gateway.Stop()) }()
	for _, connections := range size(s, []int{1, 8, barConnections, mostConnections}, []int{barConnections}) {
		values, decides, bares, err := run.point(ctx, connections)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%d connections", connections)
		if !run.referenced() {
			figure := report.Single(name, perSecond, values...)
			t.Figures, s.peak = append(t.Figures, figure), max(s.peak, figure.Value.Median)
			continue
		}
		figure := report.Compare(name, perSecond, values, run.decide.Name, decides)
		if connections == barConnections {
			figure.Bar = report.AtLeast("ratio", figure.Ratio.Median, ingestBar)
		}
		t.Figures = append(t.Figures, figure, report.Compare(name, perSecond, values, run.bare.Name, bares))
		run.referencePeak = figure.Reference.Median
		s.peak = max(s.peak, figure.Value.Median)
	}
	if err := run.halfLoad(ctx, t); err != nil {
		return err
	}
	return run.audit(ctx, t)
}

// newIngest finds out how fast this machine is, makes enough verifications in
// both databases, and starts the gateway.
func (s *session) newIngest(ctx context.Context) (_ *ingestRun, err error) {
	run := &ingestRun{session: s, set: s.newSet()}
	var rate float64
	if run.referenced() {
		rate, err = run.prepareReference(ctx)
	} else {
		rate, err = s.capacity(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := run.seedFor(ctx, rate); err != nil {
		return nil, err
	}
	if run.gateway, err = s.gateway(ctx, rig.GatewayOptions{Name: "gateway"}); err != nil {
		return nil, err
	}
	if err := run.warmUp(ctx); err != nil {
		return nil, errors.Join(err, run.gateway.Stop())
	}
	return run, nil
}

// referenced tells that pgbench has a database.
func (run *ingestRun) referenced() bool { return run.pg.ReferencePool != nil }

// prepareReference returns how fast it is.
func (run *ingestRun) prepareReference(ctx context.Context) (float64, error) {
	program, err := run.pg.Program("pgbench")
	if err != nil {
		return 0, err
	}
	now := time.Now()
	run.bench = pgref.Runner{Program: program, DSN: run.pg.ReferenceDSN, Folder: run.folder}
	if run.decide, err = pgref.Decide(run.set, now); err != nil {
		return 0, err
	}
	var setUp string
	run.bare, setUp = pgref.Bare(run.set, now)
	if _, err := run.pg.ReferencePool.Exec(ctx, setUp); err != nil {
		return 0, fmt.Errorf("making the table of the bare insert: %w", err)
	}
	return run.calibrate(ctx)
}

// calibrate measures the reference once, to know how many rows are needed.
func (run *ingestRun) calibrate(ctx context.Context) (float64, error) {
	const clients = 8
	rows := size(run.session, int64(20_000), 10_000)
	if err := (rig.Bulk{Set: run.set, Rows: rows}).Load(ctx, run.pg.ReferencePool); err != nil {
		return 0, err
	}
	outcome, err := run.bench.Run(ctx, pgref.Run{Script: run.decide, Clients: clients, Duration: time.Second})
	return outcome.PerSecond, err
}

// seedFor makes rows for all measurements: as many as the reference needs if it is
// no faster than it was, and for the gateway several times as many.
func (run *ingestRun) seedFor(ctx context.Context, rate float64) error {
	// pgbench runs for a second before each measurement, leaves numbers out between its
	// runs, and is faster at more clients than it was found to be: its factor and the
	// spare are for that.
	const gatewayFactor, referenceFactor = 4.0, 3.5
	seconds, spare := size(run.session, 30.0, 4.0), size(run.session, int64(50_000), 25_000)
	run.rows = spare + int64(rate*seconds*gatewayFactor)
	run.ledger = newLedger(run.set, run.rows)
	if !run.referenced() {
		run.sayf("making %d verifications …", run.rows)
		return run.load(ctx, run.set, run.rows)
	}
	run.references = spare + int64(rate*seconds*referenceFactor)
	run.sayf("making %d and %d verifications …", run.rows, run.references)
	if err := (rig.Bulk{Set: run.set, Rows: run.references}).Load(ctx, run.pg.ReferencePool); err != nil {
		return err
	}
	// The gateway's come last: they end with a checkpoint of both.
	return run.load(ctx, run.set, run.rows)
}

func (run *ingestRun) warmUp(ctx context.Context) error {
	const connections = 8
	_, err := run.closed(ctx, connections, size(run.session, time.Second, time.Second/4))
	return err
}

// point measures one number of connections, the gateway and both references in
// turns.
func (run *ingestRun) point(ctx context.Context, connections int) (values, decides, bares []float64, err error) {
	rounds, duration := size(run.session, 2, 1), size(run.session, time.Second, time.Second/2)
	if connections == barConnections {
		rounds, duration = size(run.session, 7, 1), time.Second
	}
	for range rounds {
		got, err := run.closed(ctx, connections, duration)
		if err != nil {
			return nil, nil, nil, err
		}
		values = append(values, got.PerSecond())
		if !run.referenced() {
			continue
		}
		decided, err := run.decideOnce(ctx, pgref.Run{Clients: connections, Duration: duration})
		if err != nil {
			return nil, nil, nil, err
		}
		decides = append(decides, decided.PerSecond)
		if len(bares) > 0 {
			continue // it varies little, and each run takes its time
		}
		bare, err := run.bench.Run(ctx, pgref.Run{Script: run.bare, Clients: connections, First: run.bareNext, Duration: time.Second})
		if err != nil {
			return nil, nil, nil, err
		}
		run.bareNext += bareStride
		bares = append(bares, bare.PerSecond)
	}
	return values, decides, bares, nil
}

// decideOnce runs the reference on verifications that nobody decided.
func (run *ingestRun) decideOnce(ctx context.Context, r pgref.Run) (pgref.Outcome, error) {
	r.Script, r.First = run.decide, run.referenceNext
	outcome, err := run.bench.Run(ctx, r)
	if err != nil {
		return outcome, err
	}
	run.referenceNext, run.transactions = outcome.Next, run.transactions+outcome.Transactions
	if run.referenceNext > run.references {
		return outcome, errors.New("the reference's verifications ran out; pgbench is faster than expected, so make more in ingestRun.seedFor")
	}
	return outcome, nil
}

func (run *ingestRun) plan(connections int, duration time.Duration) load.Plan {
	return load.Plan{
		Address: run.gateway.Webhooks, Connections: connections, Duration: duration,
		NewSource: func() load.Source { return hook.NewMaker(run.set, run.gateway.Webhooks, run.secrets.Webhooks) },
		First:     run.next, Until: run.rows, Answered: run.ledger.note,
	}
}

func (run *ingestRun) closed(ctx context.Context, connections int, duration time.Duration) (*load.Outcome, error) {
	outcome, err := load.Closed(ctx, run.plan(connections, duration))
	return run.took(outcome, err)
}

// took accepts an outcome in which everything was acknowledged.
func (run *ingestRun) took(outcome *load.Outcome, err error) (*load.Outcome, error) {
	if err != nil {
		return nil, err
	}
	run.next = outcome.Next
	if outcome.Broken > 0 || len(outcome.Codes) != 1 || outcome.Acknowledged == 0 {
		return nil, unacknowledged(outcome, run.gateway.Tail())
	}
	if outcome.Starved {
		return nil, errors.New("the generated verifications ran out; this machine is faster than expected, so make more in ingestRun.seedFor")
	}
	return outcome, nil
}

// half is one round at half of the highest rate, and that half.
type half struct {
	rate  float64
	times percentiles
}

// halfLoad measures single times while half of the highest rate arrives, in turns
// with the reference at half of what it reached before: its times are not judged.
func (run *ingestRun) halfLoad(ctx context.Context, t *report.Table) error {
	var times, references []percentiles
	var rates, referenceRates []float64
	for range size(run.session, 3, 1) {
		own, err := run.halfRound(ctx)
		if err != nil {
			return err
		}
		rates, times = append(rates, own.rate), append(times, own.times)
		if !run.referenced() {
			continue
		}
		theirs, err := run.halfReference(ctx)
		if err != nil {
			return err
		}
		referenceRates, references = append(referenceRates, theirs.rate), append(references, theirs.times)
	}
	for i, name := range percentileNames() {
		figure := report.Single("at half load, "+name, milliseconds, column(times, i)...)
		if run.referenced() {
			figure = report.Compare(figure.Name, milliseconds, column(times, i), run.decide.Name+", at half of its own", column(references, i))
		}
		if name == "p99" {
			figure.Bar = report.AtMost("p99", figure.Value.Median, halfLoadBar)
		}
		t.Figures = append(t.Figures, figure)
	}
	if !run.referenced() {
		t.Notes = append(t.Notes, fmt.Sprintf("half load is %.0f deliveries a second", measure.Over(rates).Median),
			"without --reference-database-url there is no reference, and the bar of the rate cannot be judged")
		return nil
	}
	t.Notes = append(t.Notes, fmt.Sprintf("half load is %.0f deliveries a second, for the reference %.0f",
		measure.Over(rates).Median, measure.Over(referenceRates).Median))
	return nil
}

// halfLook is how long a round looks for the highest rate before it measures at half
// of it: what a machine does at one time is not half of what it did at another.
func (run *ingestRun) halfLook() time.Duration {
	return size(run.session, time.Second, time.Second/4)
}

func (run *ingestRun) halfTime() time.Duration {
	return size(run.session, 3*time.Second, time.Second/2)
}

func (run *ingestRun) halfRound(ctx context.Context) (half, error) {
	most, err := run.closed(ctx, mostConnections, run.halfLook())
	if err != nil {
		return half{}, err
	}
	plan := run.plan(mostConnections, run.halfTime())
	plan.Rate = most.PerSecond() / 2
	got, err := run.took(load.Open(ctx, plan))
	if err != nil {
		return half{}, err
	}
	return half{rate: plan.Rate, times: percentilesOf(got.Times)}, nil
}

func (run *ingestRun) halfReference(ctx context.Context) (half, error) {
	rate := run.referencePeak / 2
	got, err := run.decideOnce(ctx, pgref.Run{Clients: mostConnections, Duration: run.halfTime(), Rate: rate})
	return half{rate: rate, times: percentilesOf(got.Times)}, err
}

// audit counts in both databases: what was acknowledged is stored, and the
// reference really decided a verification in each transaction.
func (run *ingestRun) audit(ctx context.Context, t *report.Table) error {
	a, err := run.ledger.audit(ctx, run.pg.Pool)
	if err != nil {
		return err
	}
	t.Notes = append(t.Notes, fmt.Sprintf("all %d acknowledged deliveries are stored and applied exactly once", a.Acknowledged))
	if !run.referenced() {
		return nil
	}
	var decided int64
	err = run.pg.ReferencePool.QueryRow(ctx, "SELECT count(*) FROM verification WHERE state = 'approved'").Scan(&decided)
	if err != nil {
		return fmt.Errorf("counting what the reference decided: %w", err)
	}
	if decided < run.transactions {
		return fmt.Errorf("pgbench ended %d transactions and decided %d verifications: rows ran out, so make more in ingestRun.seedFor",
			run.transactions, decided)
	}
	return nil
}
