package verigate_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/clients/faultproxy/fault"
	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func hopelessEnds(b *bench) {
	id := b.start()
	for _, code := range []connect.Code{
		connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeNotFound,
		connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodeUnimplemented,
	} {
		b.closed(watchCall)
		b.proxy.Forget()
		b.faults(fault.Rule{Procedure: watchCall, Fault: fault.Error, Code: code.String(), Message: "as the test says"})
		w := b.watch(id)
		w.wantCode(code)
		if calls := b.closed(watchCall); calls.Begun != 1 || len(w.pauses()) > 0 {
			b.Errorf("%s: %d calls, pauses %v", code, calls.Begun, w.pauses())
		}
	}
}

func tokenIsRenewed(b *bench) {
	id := b.start()
	var asked atomic.Int64
	stale := b.clientWith(verigate.TokenFunc(func(context.Context) (string, error) {
		if asked.Add(1) == 1 {
			return "vg_test_stale", nil
		}
		return b.gateway.key, nil
	}))
	w := b.watchWith(stale, &verigatev1.WatchStatusRequest{Id: id})
	w.next()
	if calls := b.proxy.Calls(watchCall).Calls; len(calls) != 2 || calls[0].Authorization == calls[1].Authorization {
		b.Errorf("got %+v", calls)
	}
	if len(w.pauses()) > 0 {
		b.Errorf("it paused for %v", w.pauses())
	}
	w.stop(nil)
	b.closed(watchCall)
	b.proxy.Forget()

	bad := b.clientWith(verigate.TokenFunc(func(context.Context) (string, error) { return "vg_test_bad", nil }))
	b.watchWith(bad, &verigatev1.WatchStatusRequest{Id: id}).wantCode(connect.CodeUnauthenticated)
	if calls := b.closed(watchCall); calls.Begun != 2 {
		b.Errorf("%d calls with a bad token", calls.Begun)
	}
	b.proxy.Forget()
	fixed := b.clientWith(verigate.APIKey("vg_test_bad"))
	b.watchWith(fixed, &verigatev1.WatchStatusRequest{Id: id}).wantCode(connect.CodeUnauthenticated)
	if calls := b.closed(watchCall); calls.Begun != 1 {
		b.Errorf("%d calls with a key that cannot change", calls.Begun)
	}
}

func polls(b *bench) {
	id := b.start()
	b.faults(fault.Rule{Procedure: watchCall, Fault: fault.Error, Code: "unavailable"})
	w := b.watch(id)
	// The first poll tells where it stands, the second waits.
	open := 1
	b.wait(fault.Condition{Procedure: pollCall, Begun: 2, Open: &open})
	first := w.next()
	if n := b.proxy.Calls(watchCall).Begun; first.GetResult() != pending || n != 3 || !slices.Contains(w.states(), verigate.Polling) {
		b.Errorf("after %d streams: %v, the line was %v", n, first, w.states())
	}
	other := b.start()
	short := b.watch(other)
	b.wait(fault.Condition{Procedure: watchCall, Begun: 6})
	b.complete(other)
	short.wantEnd(pass, 0)

	b.faults()
	b.clock.forward(5 * time.Minute)
	if hit, err := b.proxy.Now(b.Context(), pollCall, fault.Cut); hit != 1 || err != nil {
		b.Fatalf("%d polls were open, %v", hit, err)
	}
	b.wait(fault.Condition{Procedure: watchCall, Begun: 7, Messages: 1})
	b.complete(id)
	w.wantEnd(pass, first.GetVersion())
	if states := w.states(); states[len(states)-2] != verigate.Live {
		b.Errorf("the line was %v", states)
	}
}

func breakCancels(b *bench) {
	id := b.start()
	for _, err := range verigate.Watch(b.Context(), b.client(), &verigatev1.WatchStatusRequest{Id: id}) {
		if err != nil {
			b.Fatal(err)
		}
		break
	}
	b.closed(watchCall)
}

func contextCancels(b *bench) {
	id := b.start()
	w := b.watch(id)
	w.next()
	why := errors.New("the user left")
	w.stop(why)
	if err := w.end(); !errors.Is(err, why) {
		b.Errorf("it ended with %v", err)
	}
	b.closed(watchCall)
	// A pause ends at once, too.
	b.clock.whole = true
	b.faults(fault.Rule{Procedure: watchCall, Fault: fault.Status, Status: 503, RetryAfter: "3600"})
	waits := make(chan struct{}, 1)
	late := b.watch(id, verigate.OnLine(func(line verigate.Line) {
		if line.State == verigate.Waiting {
			waits <- struct{}{}
		}
	}))
	<-waits
	late.stop(why)
	if err := late.end(); !errors.Is(err, why) {
		b.Errorf("it ended with %v", err)
	}
}

func severalWatches(b *bench) {
	const several = 20
	id := b.start()
	client := b.client()
	var watches []*watching
	for range several {
		watches = append(watches, b.watchWith(client, &verigatev1.WatchStatusRequest{Id: id}))
	}
	for _, w := range watches {
		w.next()
	}
	if _, err := client.GetVerification(b.Context(), &verigatev1.GetVerificationRequest{Id: id}); err != nil {
		b.Error(err)
	}
	b.complete(id)
	for _, w := range watches {
		w.wantEnd(pass, 0)
	}
}

func refusalSaysWhy(b *bench) {
	_, err := b.client().StartVerification(b.Context(), &verigatev1.StartVerificationRequest{Flow: "no-such-flow", Subject: "u1"})
	if answer, ok := errors.AsType[*connect.Error](err); !ok || answer.Code() != connect.CodeNotFound || answer.Message() == "" {
		b.Errorf("got %v", err)
	}
	w := b.watch("no-id")
	err = w.end()
	if answer, ok := errors.AsType[*connect.Error](err); !ok || answer.Code() != connect.CodeInvalidArgument || answer.Message() == "" {
		b.Errorf("got %v", err)
	}
}
