package reconcile

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// file is a configuration: connections, and whether each can be asked.
type file map[string]bool

func (f file) Names() []string { return slices.Sorted(maps.Keys(f)) }

func (f file) Fetcher(connection string) (provider.Fetcher, bool) { return mute{}, f[connection] }

type mute struct{}

func (mute) Fetch(context.Context, string, string) (verification.Event, error) {
	return verification.Event{}, provider.ErrNotFetchable
}

// gauges are what was told of each connection.
type gauges struct {
	Meter
	pollable map[string]bool
	ages     map[string]time.Duration
}

func (g gauges) Pollable(connection string, pollable bool) { g.pollable[connection] = pollable }

func (g gauges) OldestUnresolved(connection string, age time.Duration) { g.ages[connection] = age }

func (g gauges) Forget(connection string) {
	delete(g.pollable, connection)
	delete(g.ages, connection)
}

// ages is a database that knows when the oldest open ones were created.
type ages struct {
	Store
	oldest map[string]time.Time
}

func (a ages) OldestUnresolved(_ context.Context, connection string) (time.Time, error) {
	return a.oldest[connection], nil
}

func TestTheReportFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	connections, told := file{"human": true, "prise": false}, gauges{pollable: map[string]bool{}, ages: map[string]time.Duration{}}
	var log bytes.Buffer
	s := NewScheduler(Deps{
		Store:       ages{oldest: map[string]time.Time{"human": now.Add(-time.Hour), "prise": now.Add(time.Second)}},
		Connections: connections, Meter: told, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
	})
	said := func(connection string) int { return strings.Count(log.String(), "connection="+connection) }
	s.report(t.Context())
	s.report(t.Context())
	if !told.pollable["human"] || told.pollable["prise"] || told.ages["human"] != time.Hour || told.ages["prise"] != 0 {
		t.Fatalf("told were %v and %v", told.pollable, told.ages)
	}
	if said("prise") != 1 || said("human") != 0 {
		t.Fatalf("the log is %q", log.String())
	}

	// Another file: one changed, one is gone.
	connections["human"] = false
	delete(connections, "prise")
	s.report(t.Context())
	if told.pollable["human"] || len(told.pollable) != 1 || len(told.ages) != 1 {
		t.Fatalf("told were %v and %v", told.pollable, told.ages)
	}
	if said("human") != 1 {
		t.Fatalf("the log is %q", log.String())
	}

	// And back: what is new again is told again.
	connections["prise"] = false
	s.report(t.Context())
	if said("prise") != 2 || said("human") != 1 {
		t.Fatalf("the log is %q", log.String())
	}
}
