package verigate_test

import (
	"slices"
	"time"

	"github.com/verigate/verigate/clients/faultproxy/fault"
	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func firstMessage(b *bench) {
	id := b.start()
	first := b.watch(id).next()
	if first.GetVerificationId() != id || first.GetResult() != pending || first.GetTerminal() || first.GetVersion() < 1 {
		b.Errorf("the first message is %v", first)
	}
	b.complete(id)
	seen := b.watchWith(b.client(), &verigatev1.WatchStatusRequest{Id: id})
	seen.wantEnd(pass, 0)
	// It is yielded even to somebody who has seen it: there is nothing else to say.
	newest := b.version(id)
	again := b.watchWith(b.client(), &verigatev1.WatchStatusRequest{Id: id, AfterVersion: newest})
	again.wantEnd(pass, newest-1)
}

// version is where a verification stands.
func (b *bench) version(id string) int64 {
	b.Helper()
	answer, err := b.client().GetVerification(b.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil {
		b.Fatal(err)
	}
	return answer.GetVerification().GetVersion()
}

func onceInOrder(b *bench) {
	id := b.start()
	// Messages that are no news: heartbeats, and the snapshot of a second stream.
	b.faults(fault.Rule{Procedure: watchCall, Fault: fault.Cut, After: 2, Times: 1})
	w := b.watch(id)
	b.wait(fault.Condition{Procedure: watchCall, Begun: 2, Messages: 2})
	b.complete(id)
	w.wantEnd(pass, 0)
}

func endsAfterTerminal(b *bench) {
	id := b.start()
	w := b.watch(id)
	w.next()
	b.complete(id)
	w.wantEnd(pass, 0)
	if calls := b.closed(watchCall); calls.Begun != 1 {
		b.Errorf("%d streams: %+v", calls.Begun, calls)
	}
}

func cutIsResumed(b *bench)       { b.resumedAfter(fault.Cut) }
func truncatedIsResumed(b *bench) { b.resumedAfter(fault.Truncate) }
func endedIsResumed(b *bench)     { b.resumedAfter(fault.End) }

// resumedAfter breaks the first stream after its first message.
func (b *bench) resumedAfter(kind fault.Kind, options ...verigate.Option) fault.Calls {
	b.Helper()
	id := b.start()
	b.faults(fault.Rule{Procedure: watchCall, Fault: kind, After: 1, Times: 1})
	w := b.watch(id, options...)
	first := w.next()
	calls := b.wait(fault.Condition{Procedure: watchCall, Begun: 2, Messages: 1})
	if asked := b.asked(calls.Calls[1]); asked.GetId() != id || asked.GetAfterVersion() != first.GetVersion() {
		b.Errorf("it came back with %v, want after_version %d", asked, first.GetVersion())
	}
	b.complete(id)
	w.wantEnd(pass, first.GetVersion())
	b.closed(watchCall)
	return calls
}

func halfOpenIsNoticed(b *bench) { b.noticedAfterThreeHeartbeats(fault.HalfOpen) }

func stallIsNoticed(b *bench) {
	b.noticedAfterThreeHeartbeats(fault.Stall)
	// So is one that never began.
	b.proxy.Forget()
	b.faults(fault.Rule{Procedure: watchCall, Fault: fault.Buffer, Times: 1})
	w := b.watch(b.start(), verigate.Heartbeat(heartbeat))
	w.next()
	if got := w.reasons(); len(got) == 0 || got[0] != "no message for 1.5s" {
		b.Errorf("it gave up because of %q", got)
	}
}

func (b *bench) noticedAfterThreeHeartbeats(kind fault.Kind) {
	b.Helper()
	calls := b.resumedAfter(kind, verigate.Heartbeat(heartbeat)).Calls
	if silent := calls[1].BeganMS - calls[0].BeganMS; silent < (3 * heartbeat).Milliseconds() {
		b.Errorf("given up after %d ms", silent)
	}
}

func pausesGrow(b *bench) {
	b.clock.skips, b.clock.whole = true, true
	id := b.start()
	failing := fault.Rule{Procedure: watchCall, Fault: fault.Error, Code: "unavailable", Times: 1}
	// Connected, but without a message.
	empty := fault.Rule{Procedure: watchCall, Fault: fault.Truncate, Times: 1}
	b.faults(failing, empty, failing, empty,
		fault.Rule{Procedure: watchCall, Fault: fault.Cut, After: 1, Times: 1}, failing)
	w := b.watch(id, verigate.StreamsOnly())
	w.next()
	b.wait(fault.Condition{Procedure: watchCall, Begun: 7, Messages: 1})
	const ms = time.Millisecond
	want := []time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 250 * ms, 500 * ms}
	if got := w.pauses(); !slices.Equal(got, want) {
		b.Errorf("pauses %v, want %v", got, want)
	}
}

func askedPauseIsGiven(b *bench) {
	id := b.start()
	b.faults(
		fault.Rule{Procedure: watchCall, Fault: fault.Status, Status: 503, Body: "<html>busy</html>", RetryAfter: "1", Times: 1},
		fault.Rule{Procedure: watchCall, Fault: fault.Error, Code: "resource_exhausted", RetryAfter: "1", Times: 1},
	)
	b.watch(id).next()
	calls := b.proxy.Calls(watchCall).Calls
	for i := range 2 {
		if pause := calls[i+1].BeganMS - *calls[i].EndedMS; pause < 1000 {
			b.Errorf("it came back after %d ms, asked for 1 s", pause)
		}
	}
}

func slowConsumer(b *bench) {
	id := b.start()
	busy, received := make(chan struct{}), make(chan int, 1)
	go func() {
		got := 0
		request := &verigatev1.WatchStatusRequest{Id: id}
		for m, err := range verigate.Watch(b.Context(), b.client(), request, verigate.Heartbeat(2*heartbeat), verigate.EveryMessage()) {
			if err != nil {
				b.Error(err)
			}
			if got++; got == 1 {
				<-busy
			}
			if m.GetTerminal() && m.GetResult() != pass {
				b.Errorf("got %v", m)
			}
		}
		received <- got
	}()
	// Longer than a line may be silent, and all that time nobody listens.
	b.wait(fault.Condition{Procedure: watchCall, Messages: 10})
	b.complete(id)
	calls := b.closed(watchCall)
	close(busy)
	select {
	case got := <-received:
		if sent := calls.Calls[0].Messages; got != sent || b.proxy.Calls(watchCall).Begun != 1 {
			b.Errorf("%d of %d messages: %+v", got, sent, b.proxy.Calls(watchCall))
		}
	case <-time.After(patience):
		b.Fatal("the watch does not end")
	}
}

func revisions(b *bench) {
	id := b.start()
	w := b.watchWith(b.client(), &verigatev1.WatchStatusRequest{Id: id, FollowRevisions: true})
	b.complete(id)
	w.nextWith(pass)
	b.gateway.sandbox(b.T, "case", id, "--result", "declined", "--reason", "FAKE_ID")
	w.nextWith(fail)
	b.gateway.sandbox(b.T, "case", id, "--result", "approved")
	w.nextWith(pass)
}

// nextWith waits for a message with a result.
func (w *watching) nextWith(result verigatev1.VerificationResult) {
	w.bench.Helper()
	for w.next().GetResult() != result {
		continue
	}
}
