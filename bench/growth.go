package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/bench/report"
)

const (
	// growthBar is design.md's: figures stay within this share.
	growthBar = 0.2
	// growthWatchers is enough for a median in a short time: many short rounds in turns
	// say more of a machine whose speed changes than few long ones.
	growthWatchers = 200
)

// growthSizes are the default sizes; the first is the reference.
func growthSizes() []int64 { return []int64{10_000, 1_000_000, 10_000_000} }

// growth measures ingest, told, start and lists with more and more verifications
// stored: each size in a database and at a gateway of its own, all in turns.
func growth(ctx context.Context, s *session, t *report.Table) (err error) {
	sizes := s.options.Sizes
	if len(sizes) == 0 {
		sizes = size(s, growthSizes(), []int64{2000, 10_000})
	}
	peak, err := s.capacity(ctx)
	if err != nil {
		return err
	}
	p, err := startProvider(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	plan := grownPlan{
		rounds: size(s, 5, 1), duration: size(s, 800*time.Millisecond, time.Second/2), watchers: size(s, int64(growthWatchers), 50), peak: peak,
	}
	var all []*grown
	for i, stored := range sizes {
		g, stop, failed := s.grownTo(ctx, fmt.Sprintf("growth%d", i), stored, plan, p)
		defer func() { err = errors.Join(err, stop()) }()
		if failed != nil {
			return fmt.Errorf("with %d verifications: %w", stored, failed)
		}
		all = append(all, g)
		t.Notes = append(t.Notes, fmt.Sprintf("%d verifications were made in %.0f s", stored, g.filling.Seconds()))
	}
	for _, g := range all {
		if err := g.warmUp(ctx, plan.duration/2); err != nil {
			return fmt.Errorf("with %d verifications: %w", g.stored, err)
		}
	}
	for range plan.rounds {
		for _, g := range all {
			if err := g.round(ctx, plan); err != nil {
				return fmt.Errorf("with %d verifications: %w", g.stored, err)
			}
		}
	}
	for _, g := range all {
		g.figures(t, all[0])
	}
	t.Notes = append(t.Notes, "the reference is the first size; each size has a database and a gateway of its own, and they are measured in turns",
		"per verification stored: one row each in verification, verification_lookup, provider_ref, seen, transition and event_position",
		"each database is as some minutes after a checkpoint: all pages of the index of what was seen were written to since, and those of the refs were read")
	return nil
}

func (g *grown) figures(t *report.Table, first *grown) {
	reference := fmt.Sprintf("with %d", first.stored)
	add := func(name, unit string, values, references []float64, bar func(ratio float64) *report.Bar) {
		if len(values) == 0 || len(references) == 0 {
			return // fewer rows than a deep page needs
		}
		f := report.Compare(fmt.Sprintf("%d stored: %s", g.stored, name), unit, values, reference, references)
		if g != first && bar != nil {
			f.Bar = bar(f.Ratio.Median)
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
