package bench

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/bench/crowd"
	"github.com/verigate/verigate/bench/load"
	"github.com/verigate/verigate/bench/measure"
	"github.com/verigate/verigate/bench/rig"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	// listPage and listPages are how deep lists are read: to 10,000 rows.
	listPage, listPages = 100, 100
	// firstPages is how many first pages a round reads.
	firstPages = 40
	// grownLoad is the part of the capacity at which watchers are told. At half of it
	// their median says how near the capacity is rather than what a delivery costs.
	grownLoad = 0.25
)

// grownPlan is what is measured at each size.
type grownPlan struct {
	rounds   int
	duration time.Duration
	// watchers are told in each round.
	watchers int64
	peak     float64
}

// grown is one size, with its figures: one value a round.
type grown struct {
	*session

	stored  int64
	bulk    rig.Bulk
	filling time.Duration

	scene   *scene
	flood   load.Plan
	starter *starter

	ingest               []float64
	told, start          []percentiles
	firstPage, deepPages []float64
}

// grownTo fills a database of its own, and starts a gateway and a crowd. stop may
// be called in any case.
func (s *session) grownTo(ctx context.Context, name string, stored int64, plan grownPlan, p *provider) (_ *grown, stop func() error, err error) {
	var stops []func() error
	stop = func() error { return stopAll(stops) }
	database, drop, err := s.pg.Another(ctx, name)
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, drop)
	if err := database.WithoutAutovacuum(ctx); err != nil {
		return nil, stop, err
	}
	own := *s
	own.pg = database
	began := time.Now()
	bulk := rig.Bulk{Set: s.newSet(), Rows: stored, Decided: true}
	if err := bulk.Load(ctx, database.Pool); err != nil {
		return nil, stop, err
	}
	g := &grown{session: &own, stored: stored, bulk: bulk, filling: time.Since(began)}
	g.sayf("growth: %d verifications were made in %.0f s", stored, g.filling.Seconds())
	// The machine may be faster by now than when the peak was measured.
	const spare = 1.5
	open, watched, background := s.newSet(), s.newSet(), s.newSet()
	arrivals := spare * plan.peak * plan.duration.Seconds() * float64(plan.rounds+1)
	rows, backgroundRows := moreRows+int64(arrivals), moreRows+int64(grownLoad*arrivals)
	err = own.seed(ctx, map[rig.Set]int64{open: rows, background: backgroundRows, watched: plan.watchers * int64(plan.rounds+1)})
	if err != nil {
		return nil, stop, err
	}
	key, err := rig.NewAPIKey(ctx, database.Pool, s.names.Project)
	if err != nil {
		return nil, stop, err
	}
	gateway, err := own.gateway(ctx, rig.GatewayOptions{Name: name, ProviderURL: p.url})
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, gateway.Stop)
	c, err := crowd.Start(ctx, crowd.Options{Name: "watchers-of-" + name, Folder: s.folder, Secrets: s.secrets})
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, c.Stop)
	g.scene = &scene{crowd: c, webhooks: gateway.Webhooks, watch: gateway.Public, secret: s.secrets.Webhooks, watched: watched, background: background, rows: backgroundRows}
	g.flood = own.webhooks(gateway, open, rows)
	g.flood.Connections = barConnections
	g.starter = &starter{name: gatewayName, address: gateway.Public, webhooks: gateway.Webhooks, key: key, names: s.names, provider: p}
	g.starter.connect()
	stops = append(stops, func() error { g.starter.line.CloseIdleConnections(); return nil })
	return g, stop, nil
}

// warmUp makes the database as one that has run for a while, and opens lines and
// pools. Nothing may be generated in any database from then on.
func (g *grown) warmUp(ctx context.Context, duration time.Duration) error {
	if err := g.bulk.Meet(ctx, g.pg.Pool); err != nil {
		return err
	}
	if _, err := g.starter.run(ctx, startRate, duration); err != nil {
		return err
	}
	_, err := g.deliver(ctx, duration)
	return err
}

// deliver sends as many webhooks as are acknowledged.
func (g *grown) deliver(ctx context.Context, duration time.Duration) (perSecond float64, err error) {
	g.flood.Duration = duration
	outcome, err := load.Closed(ctx, g.flood)
	if err != nil {
		return 0, err
	}
	if outcome.Broken > 0 || len(outcome.Codes) > 1 || outcome.Acknowledged == 0 && !outcome.Starved {
		return 0, unacknowledged(outcome, "")
	}
	if outcome.Acknowledged == 0 {
		return 0, errStarved
	}
	g.flood.First = outcome.Next
	if outcome.Starved {
		g.sayf("growth: the verifications for ingest ran out before the time; the rate counts all the same")
	}
	return outcome.PerSecond(), nil
}

// round measures all, what leaves most to do afterwards last.
func (g *grown) round(ctx context.Context, plan grownPlan) error {
	times, err := g.starter.run(ctx, startRate, plan.duration)
	if err != nil {
		return err
	}
	g.start = append(g.start, percentilesOf(times))
	if err := g.list(ctx); err != nil {
		return err
	}
	told := toldPlan{duration: plan.duration, each: plan.watchers}
	if times, err = g.scene.round(ctx, plan.watchers, told, plan.peak*grownLoad); err != nil {
		return err
	}
	g.told = append(g.told, percentilesOf(times))
	rate, err := g.deliver(ctx, plan.duration)
	g.ingest = append(g.ingest, rate)
	return err
}

// list reads some first pages, and pages down to 10,000 rows, of which it times the
// last ones.
func (g *grown) list(ctx context.Context) error {
	const last = 30
	var first, deep []time.Duration
	for range firstPages {
		_, took, err := g.page(ctx, "")
		if err != nil {
			return fmt.Errorf("listing the first page: %w", err)
		}
		first = append(first, took)
	}
	g.firstPage = append(g.firstPage, measure.Milliseconds(measure.Percentile(first, measure.P50)))
	token := ""
	for page := range listPages {
		next, took, err := g.page(ctx, token)
		if err != nil {
			return fmt.Errorf("listing page %d: %w", page, err)
		}
		if page >= listPages-last {
			deep = append(deep, took)
		}
		if token = next; token == "" {
			break
		}
	}
	if len(deep) > 0 {
		g.deepPages = append(g.deepPages, measure.Milliseconds(measure.Percentile(deep, measure.P50)))
	}
	return nil
}

// page reads one page, and returns the token of the next.
func (g *grown) page(ctx context.Context, token string) (next string, took time.Duration, err error) {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+g.starter.key)
	began := time.Now()
	answer, err := g.starter.service.ListVerifications(ctx, &verigatev1.ListVerificationsRequest{PageSize: listPage, PageToken: token})
	return answer.GetNextPageToken(), time.Since(began), err
}
