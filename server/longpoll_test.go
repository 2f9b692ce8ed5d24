package server_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/verification"
)

// longWait is longer than any test may take.
func longWait() *durationpb.Duration { return durationpb.New(time.Minute) }

func TestALongPollAnswersAtOnceWhenTheStateIsNewer(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	started := g.start(g.api(g.key))
	v := started.GetVerification()
	began := time.Now()
	for _, credential := range []string{g.key, started.GetClientToken()} {
		got, err := g.api(credential).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{
			Id: v.GetId(), AfterVersion: v.GetVersion() - 1, Wait: longWait(),
		})
		if err != nil || got.GetVerification().GetVersion() != v.GetVersion() {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if took := time.Since(began); took > longWait().AsDuration()/2 {
		t.Errorf("two polls took %v", took)
	}
}

func TestALongPollWaitsForTheDecision(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			g := g.in(t)
			started := g.start(g.api(g.key))
			v := started.GetVerification()
			answered := make(chan *verigatev1.Verification, 1)
			api := g.apiOver(w, started.GetClientToken())
			go func() {
				got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{
					Id: v.GetId(), AfterVersion: v.GetVersion(), Wait: longWait(),
				})
				if err != nil {
					t.Errorf("GetVerification: %v", err)
				}
				answered <- got.GetVerification()
			}()
			eventually(t, "the poll waits", func() bool { return g.watchers() > 0 })
			g.decide(v.GetId(), verification.Passed)
			select {
			case got := <-answered:
				if got.GetState() != approved || got.GetVersion() != v.GetVersion()+1 {
					t.Errorf("the poll said %v", got)
				}
			case <-time.After(patience):
				t.Error("the poll did not hear of the decision")
			}
		})
	}
}

func TestALongPollThatRunsOutReturnsTheCurrentState(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	v := g.start(api).GetVerification()
	const wait = 150 * time.Millisecond
	began := time.Now()
	got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{
		Id: v.GetId(), AfterVersion: v.GetVersion(), Wait: durationpb.New(wait),
	})
	if err != nil || got.GetVerification().GetVersion() != v.GetVersion() {
		t.Errorf("got %v, %v", got, err)
	}
	if took := time.Since(began); took < wait {
		t.Errorf("answered after %v, before the wait of %v was over", took, wait)
	}
	if n := g.watchers(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

func TestALongPollByReferenceWaitsToo(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	started, err := api.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "s", Reference: "order-7"})
	if err != nil {
		t.Fatal(err)
	}
	v := started.GetVerification()
	answered := make(chan *verigatev1.Verification, 1)
	go func() {
		got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{
			Reference: "order-7", AfterVersion: v.GetVersion(), Wait: longWait(),
		})
		if err != nil {
			t.Errorf("GetVerification: %v", err)
		}
		answered <- got.GetVerification()
	}()
	eventually(t, "the poll waits", func() bool { return g.watchers() == 1 })
	g.decide(v.GetId(), verification.Rejected)
	if got := <-answered; got.GetState() != declined {
		t.Errorf("the poll said %v", got)
	}
}
