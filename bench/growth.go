package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/bench/crowd"
	"github.com/verigate/verigate/bench/load"
	"github.com/verigate/verigate/bench/measure"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	// growthBar is design.md's: figures stay within this share.
	growthBar = 0.2
	// listPage and listPages are how deep lists are read: to 10,000 rows.
	listPage, listPages = 100, 100
	// growthWatchers is enough for percentiles in a short time.
	growthWatchers = 500
)

// growthSizes are the default sizes; the first is the reference.
func growthSizes() []int64 { return []int64{10_000, 1_000_000, 10_000_000} }

// grown are the figures at one size, one value a round.
type grown struct {
	stored               int64
	ingest               []float64
	told, start          []percentiles
	firstPage, deepPages []float64
	filling              time.Duration
}

// growth measures ingest, told, start and lists with more and more verifications
// stored.
func growth(ctx context.Context, s *session, t *report.Table) error {
	sizes := s.options.Sizes
	if len(sizes) == 0 {
		sizes = size(s, growthSizes(), []int64{2000, 10_000})
	}
	peak, err := s.capacity(ctx)
	if err != nil {
		return err
	}
	var first *grown
	for _, stored := range sizes {
		g, err := s.grownTo(ctx, stored, peak)
		if err != nil {
			return fmt.Errorf("with %d verifications: %w", stored, err)
		}
		if first == nil {
			first = g
		}
		g.figures(t, first)
		t.Notes = append(t.Notes, fmt.Sprintf("%d verifications were made in %.0f s", stored, g.filling.Seconds()))
	}
	t.Notes = append(t.Notes, "the reference is the first size; sizes cannot be measured in turns, so the machine's mood is in the ratios",
		"per verification stored: one row each in verification, provider_ref, seen, transition and event_position")
	return nil
}

func (g *grown) figures(t *report.Table, first *grown) {
	reference := fmt.Sprintf("with %d", first.stored)
	add := func(name, unit string, values, references []float64, bar func(ratio float64) *report.Bar) {
		f := report.Compare(fmt.Sprintf("%d stored: %s", g.stored, name), unit, values, reference, references)
		if len(values) == 0 || len(references) == 0 {
			return // fewer rows than a deep page needs
		}
		if g != first && bar != nil {
			// The ratio of medians: the rounds of two sizes are no pairs.
			f.Bar = bar(f.Value.Median / f.Reference.Median)
		}
		t.Figures = append(t.Figures, f)
	}
	slower := func(ratio float64) *report.Bar { return report.AtMost("ratio", ratio, 1+growthBar) }
	add("ingest", perSecond, g.ingest, first.ingest, func(ratio float64) *report.Bar { return report.AtLeast("ratio", ratio, 1-growthBar) })
	for _, kind := range []struct {
		name                 string
		rounds, firstsRounds []percentiles
	}{{"told", g.told, first.told}, {"start", g.start, first.start}} {
		add(kind.name+", p50", milliseconds, column(kind.rounds, 0), column(kind.firstsRounds, 0), slower)
		// Too few samples to judge a tail by a fifth.
		add(kind.name+", p99", milliseconds, column(kind.rounds, 1), column(kind.firstsRounds, 1), nil)
	}
	add("list, first page", milliseconds, g.firstPage, first.firstPage, slower)
	add("list, pages at row 10,000", milliseconds, g.deepPages, first.deepPages, slower)
}

// grownTo fills the database and measures.
func (s *session) grownTo(ctx context.Context, stored int64, peak float64) (_ *grown, err error) {
	g := &grown{stored: stored}
	began := time.Now()
	if err := (rig.Bulk{Set: s.newSet(), Rows: stored, Decided: true}).Load(ctx, s.pg.Pool); err != nil {
		return nil, err
	}
	g.filling = time.Since(began)
	rounds := size(s, 2, 1)
	if err := s.grownWebhooks(ctx, g, rounds, peak); err != nil {
		return nil, err
	}
	own, _, stop, err := s.starters(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for range rounds {
		times, err := own.run(ctx, startRate, size(s, 2*time.Second, time.Second/2))
		if err != nil {
			return nil, err
		}
		g.start = append(g.start, percentilesOf(times))
		if err := own.list(ctx, g); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// grownWebhooks measures ingest and told.
func (s *session) grownWebhooks(ctx context.Context, g *grown, rounds int, peak float64) (err error) {
	plan := toldPlan{rounds: rounds, duration: size(s, 2*time.Second, time.Second/2), each: size(s, int64(growthWatchers), 50)}
	const spare = 2
	open, watched, background := s.newSet(), s.newSet(), s.newSet()
	rows := int64(peak*plan.duration.Seconds()*float64(rounds)*spare) + spare*barConnections
	for set, count := range map[rig.Set]int64{open: rows, background: rows, watched: plan.each * int64(rounds+1)} {
		if err := rig.Seed(ctx, s.pg.Pool, set, 0, count); err != nil {
			return err
		}
	}
	gateway, err := s.gateway(ctx, rig.GatewayOptions{Name: "gateway"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gateway.Stop()) }()
	c, err := crowd.Start(ctx, crowd.Options{Name: "watchers", Folder: s.folder, Secrets: s.secrets})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	sc := &scene{crowd: c, webhooks: gateway.Webhooks, watch: gateway.Public, secret: s.secrets.Webhooks, watched: watched, background: background}
	flood := s.webhooks(gateway, open, rows)
	flood.Connections, flood.Duration = barConnections, plan.duration
	for range rounds {
		times, err := sc.round(ctx, plan.each, plan, peak/2)
		if err != nil {
			return err
		}
		g.told = append(g.told, percentilesOf(times))
		outcome, err := load.Closed(ctx, flood)
		if err != nil {
			return err
		}
		if outcome.Starved {
			s.sayf("growth: the verifications for ingest ran out before the time; the rate counts all the same")
		}
		flood.First = outcome.Next
		g.ingest = append(g.ingest, outcome.PerSecond())
	}
	return nil
}

// list reads pages down to 10,000 rows, and times the first and the last ten.
func (st *starter) list(ctx context.Context, g *grown) error {
	const last = 10
	token := ""
	var deep []time.Duration
	for page := range listPages {
		call, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set("Authorization", "Bearer "+st.key)
		began := time.Now()
		answer, err := st.service.ListVerifications(call, &verigatev1.ListVerificationsRequest{PageSize: listPage, PageToken: token})
		if err != nil {
			return fmt.Errorf("listing page %d: %w", page, err)
		}
		took := time.Since(began)
		if page == 0 {
			g.firstPage = append(g.firstPage, measure.Milliseconds(took))
		}
		if page >= listPages-last {
			deep = append(deep, took)
		}
		if token = answer.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(deep) > 0 {
		g.deepPages = append(g.deepPages, measure.Milliseconds(measure.Percentile(deep, measure.P50)))
	}
	return nil
}
