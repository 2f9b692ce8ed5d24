package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/bench/crowd"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
)

const (
	// nodesBar is the issue's, in milliseconds, and for the way between the nodes: the
	// rest is what told is judged by.
	nodesBar = 5.0
	// nodesWatchers is how many watch at the second node.
	nodesWatchers = 500
)

// nodes measures as told does, with the webhook at one node and the watcher at
// another, for each bus.
func nodes(ctx context.Context, s *session, t *report.Table) (err error) {
	peak, err := s.capacity(ctx)
	if err != nil {
		return err
	}
	// Two nodes share the machine that one had.
	const share = 4
	rate := peak / share
	nats, err := rig.StartNATS(ctx, s.folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nats.Stop()) }()
	buses := []struct{ name, value string }{{"none, the tail only", "none"}, {"postgres", "postgres"}, {"nats", nats.Ready}}
	buses = size(s, buses, buses[1:])
	plan := size(s, toldPlan{rounds: 2, duration: 2 * time.Second, each: nodesWatchers}, toldPlan{rounds: 1, duration: time.Second / 2, each: 50})
	sets, rows := make([][2]nodesSets, len(buses)), make(map[rig.Set]int64)
	for i := range sets {
		for j := range sets[i] {
			sets[i][j] = nodesSets{s.newSet(), s.newSet(), moreRows + int64(rate*plan.duration.Seconds()*float64(plan.rounds+1))}
			rows[sets[i][j].watched] = plan.each * int64(plan.rounds+1)
			rows[sets[i][j].background] = sets[i][j].rows
		}
	}
	if err := s.seed(ctx, rows); err != nil {
		return err
	}
	for i, bus := range buses {
		if err := s.nodesOver(ctx, t, bus.name, bus.value, rate, plan, sets[i]); err != nil {
			return fmt.Errorf("bus %s: %w", bus.name, err)
		}
	}
	t.Notes = append(t.Notes, fmt.Sprintf("%.0f deliveries a second, a quarter of what one node takes: both share the machine", rate),
		"without a bus the tail tells, every watch.poll_interval (500ms)")
	return nil
}

// nodesSets are the verifications of what one node's watchers are told.
type nodesSets struct {
	watched, background rig.Set
	rows                int64
}

func (s *session) nodesOver(ctx context.Context, t *report.Table, name, bus string, rate float64, plan toldPlan, sets [2]nodesSets) (err error) {
	near, far, stop, err := s.nodesStage(ctx, bus, sets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var across, within []percentiles
	for range plan.rounds {
		for _, side := range []struct {
			scene  *scene
			rounds *[]percentiles
		}{{far, &across}, {near, &within}} {
			times, err := side.scene.round(ctx, plan.each, plan, rate)
			if err != nil {
				return err
			}
			*side.rounds = append(*side.rounds, percentilesOf(times))
		}
	}
	for i, percentile := range percentileNames() {
		t.Figures = append(t.Figures, report.Compare(name+", "+percentile, milliseconds,
			column(across, i), "webhook and watcher at one node", column(within, i)))
	}
	way := make([]float64, len(across))
	for i := range across {
		way[i] = across[i][0] - within[i][0]
	}
	between := report.Single(name+", the way between the nodes, p50", milliseconds, way...)
	if bus != "none" {
		between.Bar = report.AtMost("p50", between.Value.Median, nodesBar)
	}
	t.Figures = append(t.Figures, between)
	return nil
}

// nodesStage starts two nodes and a crowd at each: near gets the webhooks and
// watches at the first node, far watches at the second.
func (s *session) nodesStage(ctx context.Context, bus string, sets [2]nodesSets) (near, far *scene, stop func() error, err error) {
	var stops []func() error
	stop = func() error { return stopAll(stops) }
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	scenes := make([]*scene, 2)
	first := ""
	for i, name := range []string{"node-1", "node-2"} {
		node, err := s.gateway(ctx, rig.GatewayOptions{Name: name, Bus: bus})
		if err != nil {
			return nil, nil, stop, err
		}
		stops = append(stops, node.Stop)
		if i == 0 {
			first = node.Webhooks
		}
		c, err := crowd.Start(ctx, crowd.Options{Name: "watchers-of-" + name, Folder: s.folder, Secrets: s.secrets})
		if err != nil {
			return nil, nil, stop, err
		}
		stops = append(stops, c.Stop)
		scenes[i] = &scene{
			crowd: c, webhooks: first, watch: node.Public, secret: s.secrets.Webhooks, watched: sets[i].watched, background: sets[i].background, rows: sets[i].rows,
		}
	}
	return scenes[0], scenes[1], stop, nil
}
