package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

var (
	errDown    = verification.NewError(verification.KindUnavailable, "DOWN", "does not answer")
	errRefuses = verification.NewError(verification.KindRefused, "REFUSES", "refuses the question")
)

// onClock runs test with a gate on a clock that only the test moves.
func onClock(t *testing.T, test func(t *testing.T, g *gate)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := Deps{Now: time.Now, Random: func() float64 { return 0 }}
		test(t, newGate("human", d.withDefaults()))
	})
}

// forward lets time pass.
func forward(d time.Duration) { <-time.After(d) }

// pass goes through the gate with a question that ends with err.
func (g *gate) pass(t *testing.T, err error) {
	t.Helper()
	done, wait := g.admit(uuid.New())
	if done == nil {
		t.Fatalf("it is sent away for %s", wait)
	}
	done(err)
}

// refuse expects to be sent away for a time.
func (g *gate) refuse(t *testing.T, want time.Duration) {
	t.Helper()
	if done, wait := g.admit(uuid.New()); done != nil || wait != want {
		t.Fatalf("it is admitted: %t, sent away for %s, want %s", done != nil, wait, want)
	}
}

// trip opens the circuit.
func (g *gate) trip(t *testing.T) {
	t.Helper()
	for range tripAfter {
		g.pass(t, errDown)
	}
}

func TestTheRateIsKeptAndEverybodyGetsATurn(t *testing.T) {
	onClock(t, func(t *testing.T, g *gate) {
		for range defaultBurst {
			g.pass(t, nil)
		}
		const second = time.Second / time.Duration(defaultRate)
		first, next := uuid.New(), uuid.New()
		if _, wait := g.admit(first); wait != second {
			t.Fatalf("the first one too many waits %s", wait)
		}
		if _, wait := g.admit(next); wait != 2*second {
			t.Fatalf("the next one waits %s", wait)
		}
		if _, wait := g.admit(first); wait != second {
			t.Fatalf("who comes too early waits %s", wait)
		}
		forward(second)
		if done, wait := g.admit(first); done == nil {
			t.Fatalf("whose turn it is waits %s", wait)
		}
		g.charge()
		forward(second)
		if done, wait := g.admit(next); done == nil {
			t.Fatalf("the next one waits %s", wait)
		}
		g.refuse(t, 2*second)
	})
}

func TestNoTurnIsFartherAwayThanAMinute(t *testing.T) {
	onClock(t, func(t *testing.T, g *gate) {
		longest := time.Duration(0)
		for range 2 * manyTurns {
			_, wait := g.admit(uuid.New())
			longest = max(longest, wait)
		}
		turns := defaultRate * 60
		if longest != longestQueue || len(g.turns) != int(turns) {
			t.Fatalf("the longest wait is %s, %d have a turn", longest, len(g.turns))
		}
		// Those turns are never taken; they do not pile up.
		for range 20 {
			forward(2 * longestQueue)
			for range int(turns) {
				g.admit(uuid.New())
			}
		}
		if len(g.turns) > manyTurns+int(turns) {
			t.Fatalf("%d turns are kept", len(g.turns))
		}
	})
}

func TestAConnectionThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	onClock(t, func(t *testing.T, g *gate) {
		g.trip(t)
		g.refuse(t, openFor)
		forward(openFor - time.Second)
		g.refuse(t, time.Second)
		forward(time.Second + time.Nanosecond)
		// One is let through to see; the others wait for it.
		probe, _ := g.admit(uuid.New())
		if probe == nil {
			t.Fatal("nobody is let through to see")
		}
		g.refuse(t, probeWait)
		probe(errDown)
		g.refuse(t, openFor)
		forward(openFor + time.Nanosecond)
		g.pass(t, nil)
		for range tripAfter - 1 {
			g.pass(t, errDown)
		}
		g.pass(t, nil)
	})
}

func TestOnlyFailuresInARowOpenTheCircuit(t *testing.T) {
	onClock(t, func(t *testing.T, g *gate) {
		for range tripAfter {
			g.pass(t, errDown)
			g.pass(t, errRefuses)
			forward(time.Second)
		}
		for range tripAfter {
			g.pass(t, errRefuses)
			forward(time.Second)
		}
		g.pass(t, nil)
	})
}

func TestAQuestionThatWasNotPutSaysNothing(t *testing.T) {
	onClock(t, func(t *testing.T, g *gate) {
		for range tripAfter - 1 {
			g.pass(t, errDown)
		}
		g.pass(t, provider.ErrNotFetchable)
		g.pass(t, errNotAsked)
		forward(time.Second)
		g.pass(t, errDown)
		g.refuse(t, openFor)
		forward(openFor + time.Nanosecond)
		g.pass(t, errNotAsked)
		probe, wait := g.admit(uuid.New())
		if probe == nil {
			t.Fatalf("nobody else is let through to see for %s", wait)
		}
		g.refuse(t, probeWait)
		probe(nil)
		g.pass(t, nil)
	})
}

func TestAConnectionThatAsksForAPauseGetsIt(t *testing.T) {
	onClock(t, func(t *testing.T, g *gate) {
		g.pass(t, errDown.After(10*time.Minute))
		g.refuse(t, 10*time.Minute)
		forward(10*time.Minute - time.Second)
		g.refuse(t, time.Second)
		forward(time.Second)
		// An open circuit is shut at least that long, and at least its own time.
		for range tripAfter - 1 {
			g.pass(t, errDown.After(time.Millisecond))
			forward(time.Second)
		}
		g.refuse(t, openFor-time.Second)
		forward(openFor)
		g.pass(t, errDown.After(time.Hour))
		g.refuse(t, time.Hour)
	})
}

func TestWhoIsSentAwayDoesNotComeBackWithTheOthers(t *testing.T) {
	onClock(t, func(t *testing.T, g *gate) {
		g.random = func() float64 { return 0.5 }
		g.trip(t)
		g.refuse(t, openFor+openFor/4)
		g.shutUntil = time.Now().Add(24 * time.Hour)
		g.refuse(t, 24*time.Hour+openFor/2)
	})
}
