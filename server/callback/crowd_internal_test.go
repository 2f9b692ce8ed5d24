package callback

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/verigate/verigate/server/verification"
)

func TestBrokenReceiversTakeUpBoundedMemory(t *testing.T) {
	t.Parallel()
	s := newEndpoints(Options{Log: slog.New(slog.DiscardHandler)}.withDefaults())
	scope, now := verification.Scope{Project: "shop", Environment: verification.Test}, time.Now()
	name := func(i int) endpointName { return endpointName{scope, originOf(fmt.Sprintf("https://r%d.example", i))} }
	busy := s.find(name(0), now)
	if s.takeTurn(t.Context(), busy) != nil {
		t.Fatal("there is no room for the first")
	}
	// For a second it takes them as they come, and does not look through all.
	for i := range endpointsKept + 100 {
		now = now.Add(time.Microsecond)
		e := s.find(name(i+1), now)
		for range breakAfter {
			if tell, err := e.breaker.Allow(); err == nil {
				tell(errFailing)
			}
		}
	}
	if len(s.byName) != endpointsKept+101 {
		t.Fatalf("%d are remembered, want all within a second", len(s.byName))
	}
	s.find(name(1), now)
	s.find(name(-1), now.Add(crowdedEvery))
	if len(s.byName) > endpointsKept {
		t.Errorf("%d are remembered, want %d at most", len(s.byName), endpointsKept)
	}
	if s.byName[name(0)] != busy || s.byName[name(1)] == nil || s.byName[name(2)] != nil {
		t.Error("forgotten was another one than that which nobody asked for longest")
	}
}

func TestMoreThatIsPutOffComesLater(t *testing.T) {
	t.Parallel()
	q, now := queue{gap: brokenGap, spread: brokenSpread}, time.Now()
	const many = 20_000
	var last time.Time
	for range many {
		last = q.next(now, 0)
	}
	if ahead := last.Sub(now); ahead != (many-1)*brokenGap {
		t.Errorf("the last of %d comes after %s, want one every %s", many, ahead, brokenGap)
	}
}
