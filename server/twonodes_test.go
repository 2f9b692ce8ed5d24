package server_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// tailBound is how late another node may be: a poll of the tail, and slack for
// a slow machine.
const tailBound = 5 * time.Second

func TestAWebhookToOneNodeReachesWatchersOfTheOther(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := openOn(t, dsn, nil), openOn(t, dsn, nil)
	id := one.start(one.api(one.key)).GetVerification().GetId()
	updates := watch(t, two.api(one.key), &verigatev1.WatchStatusRequest{Id: id})
	first := updates.next()
	polled := make(chan *verigatev1.Verification, 1)
	poller := two.api(one.key)
	go func() {
		got, err := poller.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{
			Id: id, AfterVersion: first.GetVersion(), Wait: longWait(),
		})
		if err != nil {
			t.Errorf("GetVerification: %v", err)
		}
		polled <- got.GetVerification()
	}()
	eventually(t, "stream and poll wait on the other node", func() bool { return two.watchers() == 2 })
	began := time.Now()
	one.decide(id, verification.Passed)
	if u := updates.next(); u.GetState() != approved {
		t.Errorf("the stream said %v", u)
	}
	if v := <-polled; v.GetState() != approved {
		t.Errorf("the poll said %v", v)
	}
	if took := time.Since(began); took > tailBound {
		t.Errorf("the other node heard of it after %v", took)
	}
}

func TestTwoNodesExpireEachVerificationOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := openOn(t, dsn, nil), openOn(t, dsn, nil)
	const count = 20
	api := one.api(one.key)
	ids := make([]string, 0, count)
	for range count {
		started, err := api.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
			Flow: "identity", Subject: "s", ExpiresIn: durationpb.New(time.Second),
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, started.GetVerification().GetId())
	}
	for i, id := range ids {
		node := []*gateway{one, two}[i%2]
		updates := watch(t, node.api(one.key), &verigatev1.WatchStatusRequest{Id: id})
		for last := updates.next(); !last.GetTerminal(); last = updates.next() {
			if last.GetState() != pending {
				t.Errorf("%s went through %v", id, last.GetState())
			}
		}
	}
	for _, id := range ids {
		timeline, err := one.server.Store().Transitions(t.Context(), shopTest(), uuid.MustParse(id))
		if err != nil {
			t.Fatal(err)
		}
		ended := 0
		for i, transition := range timeline {
			if transition.Version != int64(i+1) {
				t.Errorf("%s has version %d in place %d", id, transition.Version, i+1)
			}
			if transition.Event == verification.LifetimeEnded && transition.To == verification.Expired {
				ended++
			}
		}
		if ended != 1 {
			t.Errorf("%s expired %d times", id, ended)
		}
	}
}

func TestALateDecisionWithinTheGracePeriodWinsOnAnyNode(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := openOn(t, dsn, nil), openOn(t, dsn, nil)
	api := one.api(one.key)
	started, err := api.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "s", ExpiresIn: durationpb.New(time.Second),
	})
	if err != nil {
		t.Fatal(err)
	}
	updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: started.GetVerification().GetId(), FollowRevisions: true})
	updates.next()
	if u := updates.next(); u.GetState() != expired {
		t.Fatalf("the stream said %v, want expired", u)
	}
	two.decide(started.GetVerification().GetId(), verification.Passed)
	if u := updates.next(); u.GetState() != approved {
		t.Errorf("the stream said %v, want approved", u)
	}
}
