package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/bench/crowd"
	"github.com/verigate/verigate/bench/hook"
	"github.com/verigate/verigate/bench/load"
	"github.com/verigate/verigate/bench/measure"
	"github.com/verigate/verigate/bench/peer"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
)

const (
	// toldMedianBar and toldTailBar are design.md's, in milliseconds.
	toldMedianBar = 3.0
	toldTailBar   = 20.0
	perLine       = 100
	// toldConnections is enough for an open arrival of half the capacity.
	toldConnections = 64
	toldPatience    = 30 * time.Second
	peerName        = "the same hops without a database"
)

// percentiles are those of one round of single times.
type percentiles [3]float64

func percentileNames() []string { return []string{"p50", "p99", "p99.9"} }

func percentilesOf(times []time.Duration) percentiles {
	var p percentiles
	for i, share := range []float64{measure.P50, measure.P99, measure.P999} {
		p[i] = measure.Milliseconds(measure.Percentile(times, share))
	}
	return p
}

// column returns one percentile of all rounds.
func column(rounds []percentiles, i int) []float64 {
	values := make([]float64, 0, len(rounds))
	for _, round := range rounds {
		values = append(values, round[i])
	}
	return values
}

// scene is where webhooks go in and watchers look.
type scene struct {
	crowd *crowd.Crowd
	// webhooks and watch are the addresses, watched the verifications that
	// somebody watches, and background those that nobody does.
	webhooks, watch     string
	secret              string
	watched, background rig.Set
	// rows is how many verifications are there that nobody watches.
	rows int64
	// next and nextBackground are the first rows that nobody used.
	next, nextBackground int64
	// open is how many watchers there are, opened from row next on.
	open int64
}

// told measures from the sending of a webhook to the watcher's terminal message.
func told(ctx context.Context, s *session, t *report.Table) error {
	peak, err := s.capacity(ctx)
	if err != nil {
		return err
	}
	for _, watchers := range size(s, s.withinTarget(t, []int64{1000, 20_000}), []int64{100}) {
		if err := s.toldAt(ctx, t, watchers, peak); err != nil {
			return err
		}
	}
	t.Notes = append(t.Notes, "most deliveries are about verifications that nobody watches")
	return nil
}

// toldPlan is the size of one number of watchers.
type toldPlan struct {
	rounds   int
	duration time.Duration
	// each is how many watchers are told in a round.
	each int64
	// polled is how many verifications the polling client asks about.
	polled int64
	// look is how long each round looks for the capacity that it loads by half.
	look time.Duration
}

func (s *session) toldPlan() toldPlan {
	return size(s,
		toldPlan{rounds: 2, duration: 3 * time.Second, each: 1000, polled: 200, look: time.Second},
		toldPlan{rounds: 1, duration: time.Second / 2, each: 50, polled: 20, look: time.Second / 4})
}

func (s *session) toldAt(ctx context.Context, t *report.Table, watchers int64, peak float64) (err error) {
	plan := s.toldPlan()
	stage, stop, err := s.toldStage(ctx, plan, watchers, peak)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var own, reference []percentiles
	var rates []float64
	for range plan.rounds {
		if err := stage.gateway.fill(ctx, watchers); err != nil {
			return err
		}
		rate, err := stage.gateway.half(ctx, plan.look)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
		times, err := stage.gateway.round(ctx, watchers, plan, rate)
		if err != nil {
			return err
		}
		own = append(own, percentilesOf(times))
		if times, err = stage.peer.round(ctx, watchers, plan, rate); err != nil {
			return err
		}
		reference = append(reference, percentilesOf(times))
	}
	for i, name := range percentileNames() {
		figure := report.Compare(fmt.Sprintf("%d watchers, %s", watchers, name), milliseconds, column(own, i), peerName, column(reference, i))
		switch i {
		case 0:
			figure.Bar = report.AtMost("p50", figure.Value.Median, toldMedianBar)
		case 1:
			figure.Bar = report.AtMost("p99", figure.Value.Median, toldTailBar)
		}
		t.Figures = append(t.Figures, figure)
	}
	rate := measure.Over(rates).Median
	t.Notes = append(t.Notes, fmt.Sprintf("with %d watchers half load is %.0f deliveries a second", watchers, rate))
	polled, err := s.polling(ctx, stage, plan, rate)
	if err != nil {
		return err
	}
	mean := []float64{measure.Milliseconds(measure.Mean(polled))}
	tail := []float64{measure.Milliseconds(measure.Percentile(polled, measure.P99))}
	const poller = "a client that polls every second"
	t.Figures = append(t.Figures,
		report.Compare(fmt.Sprintf("%d watchers, p50", watchers), milliseconds, []float64{measure.Over(column(own, 0)).Median}, poller+", mean", mean),
		report.Compare(fmt.Sprintf("%d watchers, p99", watchers), milliseconds, []float64{measure.Over(column(own, 1)).Median}, poller+", p99", tail))
	return nil
}

// toldStage is what one number of watchers needs.
type toldStage struct {
	gateway, peer *scene
	// polled are the verifications that the polling client asks about.
	polled rig.Set
}

// toldStage starts a gateway, a peer and a crowd for each.
func (s *session) toldStage(ctx context.Context, plan toldPlan, watchers int64, peak float64) (_ *toldStage, stop func() error, err error) {
	var stops []func() error
	stop = func() error { return stopAll(stops) }
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	watched, background, polled := s.newSet(), s.newSet(), s.newSet()
	// The machine may be faster by now than when the peak was measured.
	const spare = 2
	rows := moreRows + int64(spare*peak*(float64(plan.rounds+1)*plan.duration.Seconds()/2+float64(plan.rounds)*plan.look.Seconds()))
	err = s.seed(ctx, map[rig.Set]int64{watched: watchers + int64(plan.rounds)*plan.each, background: rows, polled: plan.polled})
	if err != nil {
		return nil, stop, err
	}
	node, err := s.gateway(ctx, rig.GatewayOptions{Name: "gateway"})
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, node.Stop)
	bare, err := peer.Start(ctx, peer.Options{Folder: s.folder, Secret: s.secrets.Webhooks})
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, bare.Stop)
	stage := &toldStage{polled: polled}
	for _, of := range []struct {
		scene           **scene
		name            string
		webhooks, watch string
	}{
		{&stage.gateway, "watchers", node.Webhooks, node.Public},
		{&stage.peer, "watchers-of-peer", bare.Address, bare.Address},
	} {
		c, err := crowd.Start(ctx, crowd.Options{Name: of.name, Folder: s.folder, Secrets: s.secrets})
		if err != nil {
			return nil, stop, err
		}
		stops = append(stops, c.Stop)
		*of.scene = &scene{
			crowd: c, webhooks: of.webhooks, watch: of.watch, secret: s.secrets.Webhooks,
			watched: watched, background: background, rows: rows,
		}
	}
	return stage, stop, nil
}

// stopAll stops what was started last first.
func stopAll(stops []func() error) error {
	var errs []error
	for i := len(stops) - 1; i >= 0; i-- {
		errs = append(errs, stops[i]())
	}
	return errors.Join(errs...)
}

// moreRows are made beyond what a rate asks for: a short look at a busy machine may
// have found next to nothing.
const moreRows = 5000

// errStarved is about webhooks that nobody has a verification for.
var errStarved = errors.New("the generated verifications ran out; this machine is faster than expected, so make more of them")

// fill opens the watchers that are missing.
func (sc *scene) fill(ctx context.Context, watchers int64) error {
	missing := watchers - sc.open
	if missing <= 0 {
		return nil
	}
	sc.open = watchers
	return sc.crowd.Open(ctx, crowd.Watchers{
		Address: sc.watch, Set: sc.watched, First: sc.next + watchers - missing, Count: missing, PerLine: perLine,
	})
}

// half looks for as long as it is told how many deliveries a second are acknowledged
// at most, and returns half of that.
func (sc *scene) half(ctx context.Context, look time.Duration) (float64, error) {
	outcome, err := load.Closed(ctx, load.Plan{
		Address: sc.webhooks, Connections: toldConnections, Duration: look, First: sc.nextBackground, Until: sc.rows,
		NewSource: func() load.Source { return hook.NewMaker(sc.background, sc.webhooks, sc.secret) },
	})
	if err != nil {
		return 0, err
	}
	if outcome.Broken > 0 || len(outcome.Codes) != 1 || outcome.Acknowledged == 0 {
		return 0, unacknowledged(outcome, "")
	}
	if sc.nextBackground = outcome.Next; outcome.Starved {
		return 0, errStarved
	}
	return outcome.PerSecond() / 2, nil
}

// round brings the number of watchers up, sends webhooks at the given rate, some
// of them about watched verifications, and returns how long each told watcher
// waited.
func (sc *scene) round(ctx context.Context, watchers int64, plan toldPlan, rate float64) ([]time.Duration, error) {
	if err := sc.fill(ctx, watchers); err != nil {
		return nil, err
	}
	first, sent, err := sc.send(ctx, min(plan.each, watchers), plan.duration, rate)
	if err != nil {
		return nil, err
	}
	sc.open -= int64(len(sent))
	told, err := sc.crowd.Told(ctx, int64(len(sent)), toldPatience)
	if err != nil {
		return nil, err
	}
	times := make([]time.Duration, 0, len(told))
	for _, one := range told {
		at := sent[one.Row-first]
		if at.IsZero() {
			return nil, fmt.Errorf("a watcher of verification %d was told of a decision that nobody sent", one.Row)
		}
		times = append(times, time.Duration(one.At-at.UnixNano()))
	}
	return times, nil
}

// send sends webhooks for the plan's time. The returned times are those of the
// decisions about watched verifications, from row first on.
func (sc *scene) send(ctx context.Context, each int64, duration time.Duration, rate float64) (first int64, sent []time.Time, err error) {
	every := max(int64(rate*duration.Seconds())/each, 1)
	first, start := sc.next, sc.nextBackground
	if start+every*each > sc.rows {
		return 0, nil, errStarved
	}
	sent = make([]time.Time, each)
	outcome, err := load.Open(ctx, load.Plan{
		Address: sc.webhooks, Connections: toldConnections, Duration: duration + time.Second, Rate: rate,
		First: start, Until: start + every*each,
		NewSource: func() load.Source {
			return &mixed{
				watched:    hook.NewMaker(sc.watched, sc.webhooks, sc.secret),
				background: hook.NewMaker(sc.background, sc.webhooks, sc.secret), start: start, every: every, first: first,
			}
		},
		Answered: func(n int64, at time.Time) {
			if i := n - start; i%every == 0 {
				sent[i/every] = at
			}
		},
	})
	if err != nil {
		return 0, nil, err
	}
	if outcome.Broken > 0 || len(outcome.Codes) != 1 || outcome.Acknowledged == 0 {
		return 0, nil, unacknowledged(outcome, "")
	}
	done := int64(0)
	for done < each && !sent[done].IsZero() {
		done++
	}
	sc.next, sc.nextBackground = first+done, outcome.Next
	return first, sent[:done], nil
}

// mixed makes webhooks of which each every-th is about a watched verification.
type mixed struct {
	watched, background *hook.Maker
	start, every, first int64
}

// Request implements load.Source.
func (m *mixed) Request(n int64, now time.Time) []byte {
	if i := n - m.start; i%m.every == 0 {
		return m.watched.Request(m.first+i/m.every, now)
	}
	return m.background.Request(n, now)
}
