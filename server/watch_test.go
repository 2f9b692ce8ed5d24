package server_test

import (
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

// Short names for what the tests compare with.
const (
	snapshot  = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT
	update    = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE
	heartbeat = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_HEARTBEAT
	drain     = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN

	pending    = verigatev1.VerificationState_VERIFICATION_STATE_PENDING
	processing = verigatev1.VerificationState_VERIFICATION_STATE_PROCESSING
	approved   = verigatev1.VerificationState_VERIFICATION_STATE_APPROVED
	declined   = verigatev1.VerificationState_VERIFICATION_STATE_DECLINED
	canceled   = verigatev1.VerificationState_VERIFICATION_STATE_CANCELED
	expired    = verigatev1.VerificationState_VERIFICATION_STATE_EXPIRED
)

func TestTheFirstMessageComesAtOnceEvenWhenNothingIsNewer(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	v := g.start(api).GetVerification()
	for _, after := range []int64{0, 1, v.GetVersion(), v.GetVersion() + 10} {
		first := watch(t, api, &verigatev1.WatchStatusRequest{Id: v.GetId(), AfterVersion: after}).next()
		if first.GetKind() != snapshot || first.GetVersion() != v.GetVersion() || first.GetState() != pending {
			t.Errorf("after version %d the first message is %v", after, first)
		}
	}
}

func TestAfterTheFirstMessageOnlyNewerOnesComeEachWithTheWholeState(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	v := g.start(api).GetVerification()
	updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: v.GetId()})
	updates.next()
	repeated := hook(verification.PersonSubmitted, v.GetId())
	for range 3 {
		g.deliver("fake", repeated)
	}
	g.decide(v.GetId(), verification.PersonSubmitted)
	first := updates.next()
	if first.GetKind() != update || first.GetState() != processing || first.GetVersion() != v.GetVersion()+1 {
		t.Errorf("the first update is %v", first)
	}
	g.decide(v.GetId(), verification.Passed)
	last := updates.next()
	if last.GetVerificationId() != v.GetId() || last.GetState() != approved || last.GetVersion() != v.GetVersion()+2 ||
		last.GetResult() != verigatev1.VerificationResult_VERIFICATION_RESULT_PASS || last.GetUpdateTime() == nil || !last.GetTerminal() {
		t.Errorf("the last update is %v, not the whole state", last)
	}
	updates.end()
}

func TestAStreamOfADecidedVerificationSaysSoAndEnds(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	id := g.start(api).GetVerification().GetId()
	g.decide(id, verification.Rejected)
	updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: id, AfterVersion: 99})
	if only := updates.next(); only.GetKind() != snapshot || !only.GetTerminal() || only.GetState() != declined {
		t.Errorf("the only message is %v", only)
	}
	updates.end()
}

func TestFollowRevisionsStaysAfterATerminalState(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	id := g.start(api).GetVerification().GetId()
	updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: id, FollowRevisions: true})
	updates.next()
	g.decide(id, verification.Passed)
	if u := updates.next(); u.GetState() != approved || !u.GetTerminal() {
		t.Errorf("the decision came as %v", u)
	}
	g.decide(id, verification.RevisedToRejected)
	if u := updates.next(); u.GetState() != declined || !u.GetTerminal() {
		t.Errorf("the revision came as %v", u)
	}
}

func TestHeartbeatsCarryTheVersion(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Watch.Heartbeat = 40 * time.Millisecond })
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			api := g.in(t).apiOver(w, g.key)
			v := g.in(t).start(api).GetVerification()
			updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: v.GetId()})
			updates.next()
			for range 3 {
				if u := updates.next(); u.GetKind() != heartbeat || u.GetVersion() != v.GetVersion() || u.GetState() != pending {
					t.Errorf("got %v, want a heartbeat of version %d", u, v.GetVersion())
				}
			}
			g.in(t).decide(v.GetId(), verification.PersonSubmitted)
			news := updates.next()
			for news.GetKind() == heartbeat && news.GetVersion() == v.GetVersion() {
				news = updates.next()
			}
			if news.GetKind() != update || news.GetVersion() != v.GetVersion()+1 {
				t.Fatalf("got %v, want the update", news)
			}
			for range 2 {
				if u := updates.next(); u.GetKind() != heartbeat || u.GetVersion() != news.GetVersion() || u.GetState() != news.GetState() {
					t.Errorf("got %v, want a heartbeat of what %v told", u, news)
				}
			}
		})
	}
}

func TestAnOldStreamIsDrained(t *testing.T) {
	t.Parallel()
	const age = 200 * time.Millisecond
	g := open(t, func(c *config.Config) { c.Watch.MaxAge = age })
	api := g.api(g.key)
	v := g.start(api).GetVerification()
	began := time.Now()
	updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: v.GetId()})
	updates.next()
	last := updates.next()
	if last.GetKind() != drain || last.GetVersion() != v.GetVersion() || last.GetTerminal() {
		t.Errorf("the last message is %v", last)
	}
	if after := last.GetReconnectAfter(); after == nil || after.AsDuration() < 0 || after.AsDuration() > time.Second {
		t.Errorf("reconnect after %v, want at most a second", after)
	}
	if lived := time.Since(began); lived < age/2 {
		t.Errorf("the stream lived %v, want at least half of %v", lived, age)
	}
	updates.end()
}

func TestAHangUpFreesTheWatcher(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	open := make([]*stream, 0, len(wires()))
	for _, w := range wires() {
		s := watch(t, g.apiOver(w, g.key), &verigatev1.WatchStatusRequest{Id: id})
		s.next()
		open = append(open, s)
	}
	if n := g.watchers(); n != len(open) {
		t.Errorf("%d watchers, want %d", n, len(open))
	}
	for _, s := range open {
		s.close()
	}
	eventually(t, "all watchers are freed", func() bool { return g.watchers() == 0 })
}

func TestOneWatcherTooManyIsToldWhenToRetry(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Watch.MaxWatchers = 1 })
	api := g.api(g.key)
	id := g.start(api).GetVerification().GetId()
	first := watch(t, api, &verigatev1.WatchStatusRequest{Id: id})
	first.next()
	err := send(t.Context(), api, &verigatev1.WatchStatusRequest{Id: id})
	wantCode(t, err, connect.CodeResourceExhausted)
	retry := details[*errdetails.RetryInfo](t, err)
	if len(retry) != 1 || retry[0].GetRetryDelay().AsDuration() <= 0 {
		t.Errorf("retry details %v, want one with a delay", retry)
	}
	first.close()
	eventually(t, "the place is free again", func() bool {
		return send(t.Context(), api, &verigatev1.WatchStatusRequest{Id: id}) == nil
	})
}

func TestWatchingWhatDoesNotExistLeavesNoWatcher(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	err := send(t.Context(), g.api(g.key), &verigatev1.WatchStatusRequest{Id: "01900000-0000-7000-8000-000000000000"})
	wantCode(t, err, connect.CodeNotFound)
	eventually(t, "no watcher is left", func() bool { return g.watchers() == 0 })
}
