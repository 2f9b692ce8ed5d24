package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/bench/crowd"
	"github.com/verigate/verigate/bench/peer"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
)

const (
	// watcherBar is in KB (1,024 bytes) and heartbeatBar in percent of one core;
	// both are the issue's.
	watcherBar   = 10.0
	heartbeatBar = 20.0
	// barWatchers is where heartbeats are judged, and the most that are opened.
	barWatchers = 100_000
	// bareWatchers are the most that the bare handler holds: what each of them takes
	// is the same from there on, and to open five times as many takes its time.
	bareWatchers = 20_000

	// The measurement uses shorter heartbeats than the default, to see enough of
	// them: their price is a price for each.
	fastHeartbeat    = 5 * time.Second
	defaultHeartbeat = 15 * time.Second

	kilobyte = 1024.0
	kb       = "KB"
	percent  = "% of a core"
	bareName = "a bare connect handler that waits"
	// ownFiles is how many file descriptors a process needs beside its lines.
	ownFiles = 300
)

// frugal makes both servers collect early, so that their memory is what they
// hold and not when they last collected.
func frugal() []string { return []string{"GOGC=25"} }

// watchersRun is one server with its crowd.
type watchersRun struct {
	*session

	crowd   *crowd.Crowd
	address string
	pid     int
	set     rig.Set
	open    int64
	empty   rig.Usage
}

// watchers measures memory and CPU for idle watchers: more and more of them on
// one gateway, and the same on a bare handler.
func watchers(ctx context.Context, s *session, t *report.Table) error {
	set := s.newSet()
	steps := size(s, s.withinTarget(t, []int64{1000, barWatchers}), []int64{200})
	if err := s.load(ctx, set, steps[len(steps)-1]); err != nil {
		return err
	}
	if err := s.watchersOver(ctx, t, set, "HTTP/2", perLine, steps); err != nil {
		return err
	}
	limit, err := fileLimit()
	if err != nil {
		return err
	}
	lines := []int64{1000, min(barWatchers, limit-ownFiles)}
	if lines[1] <= lines[0] {
		t.Notes = append(t.Notes, fmt.Sprintf("the limit of %d open files leaves no room for more than %d HTTP/1.1 lines; raise it with ulimit -n", limit, lines[0]))
		lines = lines[:1]
	}
	if err := s.watchersOver(ctx, t, set, "HTTP/1.1", 0, size(s, s.withinTarget(t, lines), []int64{100})); err != nil {
		return err
	}
	t.Notes = append(t.Notes,
		"memory is resident memory over that of the same process without watchers, once it has settled; "+s.collecting(),
		fmt.Sprintf("heartbeats are measured at one in %s and counted at one in %s, the default; the line \"as measured\" is not converted", s.heartbeat(), defaultHeartbeat),
		fmt.Sprintf("over HTTP/2 %d watchers share a line; the limit of open files is %d, and each HTTP/1.1 watcher needs one", perLine, limit))
	return nil
}

// watchersOver measures one protocol, gateway and bare handler in turns.
func (s *session) watchersOver(ctx context.Context, t *report.Table, set rig.Set, protocol string, share int64, steps []int64) (err error) {
	own, bare, stop, err := s.watchersRuns(ctx, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for i, step := range steps {
		memory, busy, err := own.grow(ctx, step, share, size(s, s.heartbeat(), time.Second))
		if err != nil {
			return err
		}
		references := min(step, bareWatchers)
		reference, _, err := bare.grow(ctx, references, share, 0)
		if err != nil {
			return err
		}
		name, referenceName := fmt.Sprintf("%s, %d watchers", protocol, step), bareName
		if references < step {
			referenceName = fmt.Sprintf("%s, %d of them", bareName, references)
		}
		held := report.Compare(name+", memory of each", kb, []float64{memory}, referenceName, []float64{reference})
		if share > 0 && i == len(steps)-1 {
			held.Bar = report.AtMost("each", memory, watcherBar)
		}
		normal := busy * float64(s.heartbeat()) / float64(defaultHeartbeat)
		beating := report.Single(name+", heartbeats", percent, normal)
		if step == barWatchers && share > 0 {
			beating.Bar = report.AtMost("all", normal, heartbeatBar)
		}
		t.Figures = append(t.Figures, held, beating, report.Single(name+", heartbeats as measured", percent, busy))
	}
	return nil
}

// watchersRuns starts both servers and a crowd for each.
func (s *session) watchersRuns(ctx context.Context, set rig.Set) (own, bare *watchersRun, stop func() error, err error) {
	var stops []func() error
	stop = func() error { return stopAll(stops) }
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	gateway, err := s.gateway(ctx, rig.GatewayOptions{Name: "gateway", Heartbeat: fastHeartbeat, Env: frugal()})
	if err != nil {
		return nil, nil, stop, err
	}
	stops = append(stops, gateway.Stop)
	plain, err := peer.Start(ctx, peer.Options{Folder: s.folder, Secret: s.secrets.Webhooks, Env: frugal()})
	if err != nil {
		return nil, nil, stop, err
	}
	stops = append(stops, plain.Stop)
	own = &watchersRun{session: s, address: gateway.Public, pid: gateway.PID(), set: set}
	bare = &watchersRun{session: s, address: plain.Address, pid: plain.PID(), set: set}
	for name, run := range map[string]*watchersRun{"watchers": own, "watchers-of-peer": bare} {
		run.crowd, err = crowd.Start(ctx, crowd.Options{Name: name, Folder: s.folder, Secrets: s.secrets})
		if err != nil {
			return nil, nil, stop, err
		}
		stops = append(stops, run.crowd.Stop)
		if run.empty, err = s.settled(ctx, run.pid); err != nil {
			return nil, nil, stop, err
		}
	}
	return own, bare, stop, nil
}

// grow opens watchers until there are as many as wanted, and returns the memory
// of each in KB and the CPU of all in percent of a core over the given time.
func (run *watchersRun) grow(ctx context.Context, want, share int64, watch time.Duration) (memory, busy float64, err error) {
	began := time.Now()
	err = run.crowd.Open(ctx, crowd.Watchers{
		Address: run.address, Set: run.set, First: run.open, Count: want - run.open, PerLine: share,
	})
	if err != nil {
		return 0, 0, err
	}
	run.open = want
	opening := time.Since(began)
	before, err := run.settled(ctx, run.pid)
	if err != nil {
		return 0, 0, err
	}
	// Memory last: what a stream keeps of its first heartbeat counts. Streams that were
	// opened at once have their first one a whole time later: a window that begins in
	// the middle has one of each. Those of a long opening are spread over all of it.
	held := before
	if watch > 0 {
		if opening < watch {
			if err := pause(ctx, watch/2); err != nil {
				return 0, 0, err
			}
		}
		if before, err = rig.UsageOf(run.pid); err != nil {
			return 0, 0, err
		}
		if err := pause(ctx, watch); err != nil {
			return 0, 0, err
		}
		after, err := rig.UsageOf(run.pid)
		if err != nil {
			return 0, 0, err
		}
		const hundred = 100
		busy = hundred * rig.Busy(before, after)
		if held, err = run.settled(ctx, run.pid); err != nil {
			return 0, 0, err
		}
	}
	return float64(held.RSS-run.empty.RSS) / kilobyte / float64(want), busy, nil
}

// settled returns the usage of a process once its memory stays as it is.
func (s *session) settled(ctx context.Context, pid int) (rig.Usage, error) {
	const step, slack = 500 * time.Millisecond, 0.005
	most := size(s, 8, 1)
	last, err := rig.UsageOf(pid)
	for range most {
		if err != nil {
			return last, err
		}
		if err := pause(ctx, step); err != nil {
			return last, err
		}
		now, err := rig.UsageOf(pid)
		if err != nil {
			return last, err
		}
		change := float64(now.RSS-last.RSS) / float64(last.RSS)
		last = now
		if change < slack && change > -slack {
			break
		}
	}
	return last, nil
}

// pause waits, or returns early when ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
