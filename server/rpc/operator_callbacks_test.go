package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

func rival() verification.Scope {
	return verification.Scope{Project: "rival", Environment: verification.Test}
}

func TestCallbacksAreReadInPagesThatMissNothing(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	one := l.add(t, scope(), 7, verification.CallbackDead)
	l.add(t, scope(), 4, verification.CallbackDelivered)
	l.add(t, rival(), 5, verification.CallbackDead)
	dead := []verigatev1.CallbackState{verigatev1.CallbackState_CALLBACK_STATE_DEAD}
	for name, c := range map[string]struct {
		request *verigatev1.ListCallbacksRequest
		want    int
	}{
		"all of the scope":    {&verigatev1.ListCallbacksRequest{}, 11},
		"those in a state":    {&verigatev1.ListCallbacksRequest{States: dead}, 7},
		"of one verification": {&verigatev1.ListCallbacksRequest{VerificationId: one.String()}, 7},
		"of nobody":           {&verigatev1.ListCallbacksRequest{VerificationId: uuid.Must(uuid.NewV7()).String()}, 0},
	} {
		var seen []string
		for pages := 1; ; pages++ {
			c.request.PageSize = int32(2 + pages%2)
			page, err := l.at().ListCallbacks(t.Context(), c.request)
			if err != nil || pages > c.want+1 {
				t.Fatalf("%s: page %d: %v", name, pages, err)
			}
			for _, found := range page.GetCallbacks() {
				seen = append(seen, found.GetId())
			}
			if c.request.PageToken = page.GetNextPageToken(); page.GetNextPageToken() == "" {
				break
			}
		}
		// UUIDv7: newest first.
		sorted := slices.Compact(slices.Sorted(slices.Values(seen)))
		slices.Reverse(sorted)
		if len(seen) != c.want || !slices.Equal(sorted, seen) {
			t.Errorf("%s: %d callbacks, want %d, each once and newest first: %v", name, len(seen), c.want, seen)
		}
	}
}

func TestAPageTokenOfCallbacksIsForItsListOnly(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	about := l.add(t, scope(), 3, verification.CallbackDead)
	first, err := l.at().ListCallbacks(t.Context(), &verigatev1.ListCallbacksRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.at().ListCallbacks(t.Context(), &verigatev1.ListCallbacksRequest{VerificationId: about.String(), PageToken: first.GetNextPageToken()})
	wantField(t, "the token of another list", err, "page_token")
}

func TestACallbackIsShownWithItsAttempts(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	about := l.add(t, scope(), 1, verification.CallbackDead)
	c := l.callbacks[0]
	l.attempts = map[uuid.UUID][]*verification.CallbackAttempt{c.ID: {
		{Number: 1, StartTime: time.Unix(10, 0), Duration: 15 * time.Second, Reason: verification.CallbackTimeout},
		{Number: 2, StartTime: time.Unix(20, 0), Duration: time.Millisecond, StatusCode: 503, Reason: verification.CallbackStatus},
	}}
	found, err := l.at().GetCallback(t.Context(), &verigatev1.GetCallbackRequest{Id: c.ID.String()})
	if err != nil {
		t.Fatal(err)
	}
	shown := found.GetCallback()
	if shown.GetEventId() != about.String()+".1" || shown.GetVerificationId() != about.String() || shown.GetVersion() != 1 ||
		shown.GetChannel() != verigatev1.CallbackChannel_CALLBACK_CHANNEL_EVENTS || shown.GetUrl() != c.URL ||
		shown.GetState() != verigatev1.CallbackState_CALLBACK_STATE_DEAD || shown.GetReason() != "expired" || shown.GetAttempts() != 3 ||
		!shown.GetCreateTime().AsTime().Equal(c.CreateTime) || !shown.GetFinishTime().AsTime().Equal(c.FinishTime) || shown.GetNextAttemptTime() != nil {
		t.Errorf("shown %v", shown)
	}
	attempts := found.GetAttempts()
	if len(attempts) != 2 || attempts[0].GetReason() != "timeout" || attempts[0].GetStatusCode() != 0 || attempts[0].GetDuration().AsDuration() != 15*time.Second ||
		attempts[1].GetNumber() != 2 || attempts[1].GetStatusCode() != 503 || attempts[1].GetReason() != "status" || attempts[1].GetStartTime().AsTime().Unix() != 20 {
		t.Errorf("attempts %v", attempts)
	}
}

func TestARetriedCallbackIsPendingAndInTheAuditLog(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	l.add(t, scope(), 1, verification.CallbackDead)
	l.add(t, scope(), 1, verification.CallbackDelivered)
	id := l.callbacks[0].ID.String()
	done, err := l.at().RetryCallback(t.Context(), &verigatev1.RetryCallbackRequest{Id: id})
	if err != nil || done.GetCallback().GetId() != id || done.GetCallback().GetState() != verigatev1.CallbackState_CALLBACK_STATE_PENDING ||
		done.GetCallback().GetNextAttemptTime() == nil || done.GetCallback().GetReason() != "" {
		t.Fatalf("retried %v, %v", done, err)
	}
	if len(l.entries) != 1 {
		t.Fatalf("the audit log has %d entries", len(l.entries))
	}
	e := l.entries[0]
	if e.Action != verification.AuditRetry || e.Target != id || e.Scope != scope() || e.Operator.Actor != "command:root@host" || e.CreateTime.Unix() != 1_779_013_800 {
		t.Errorf("the audit log says %+v", e)
	}
	_, err = l.at().RetryCallback(t.Context(), &verigatev1.RetryCallbackRequest{Id: l.callbacks[1].ID.String()})
	wantCode(t, "retrying what was delivered", err, connect.CodeFailedPrecondition, "it was delivered")
}

func TestAllDeadCallbacksAreRetriedInBatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dead, batches int }{{0, 1}, {3, 1}, {500, 2}, {1201, 3}} {
		t.Run(fmt.Sprintf("when there are %d", c.dead), func(t *testing.T) {
			t.Parallel()
			l := &ledger{}
			l.add(t, scope(), c.dead, verification.CallbackDead)
			l.add(t, rival(), 2, verification.CallbackDead)
			done, err := l.at().RetryDeadCallbacks(t.Context(), &verigatev1.RetryDeadCallbacksRequest{})
			if err != nil || done.GetCallbacks() != int64(c.dead) {
				t.Fatalf("retried %v, %v", done, err)
			}
			if len(l.limits) != c.batches || len(l.entries) != c.batches {
				t.Errorf("%d batches and %d entries, want %d of each", len(l.limits), len(l.entries), c.batches)
			}
			ids := map[uuid.UUID]bool{}
			for _, e := range l.entries {
				ids[e.ID] = true
				if e.Action != verification.AuditRetry || e.Target != "" || e.Scope != scope() {
					t.Errorf("the audit log says %+v", e)
				}
			}
			if len(ids) != c.batches {
				t.Errorf("%d different entries, want %d", len(ids), c.batches)
			}
		})
	}
}

func TestARetryOfAllThatBreaksOffSaysSo(t *testing.T) {
	t.Parallel()
	l := &ledger{err: verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry"), failAt: 1}
	l.add(t, scope(), 700, verification.CallbackDead)
	_, err := l.at().RetryDeadCallbacks(t.Context(), &verigatev1.RetryDeadCallbacksRequest{})
	wantCode(t, "the second batch", err, connect.CodeUnavailable, "retry")
	if len(l.entries) != 1 {
		t.Errorf("the audit log has %d entries, want that of the first batch", len(l.entries))
	}
}

// endless has always more dead callbacks.
type endless struct{ ledger }

func (e *endless) RetryDeadCallbacks(_ context.Context, _ verification.Scope, limit int, _ *verification.AuditEntry) (int, error) {
	e.limits = append(e.limits, limit)
	return limit, nil
}

func TestARetryOfAllEndsThoughCallbacksDieAsFast(t *testing.T) {
	t.Parallel()
	e := &endless{}
	o := &rpc.Operator{Keys: &access.Admin{Now: time.Now}, Callbacks: e}
	done, err := o.RetryDeadCallbacks(rpc.AsOperator(t.Context(), scope(), "signal"), &verigatev1.RetryDeadCallbacksRequest{})
	if err != nil || done.GetCallbacks() != 500*1000 || len(e.limits) != 1000 {
		t.Errorf("retried %v in %d batches, %v", done, len(e.limits), err)
	}
}

func TestACallbackOfAnotherScopeIsNotFound(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	l.add(t, rival(), 1, verification.CallbackDead)
	for name, id := range map[string]string{"of another scope": l.callbacks[0].ID.String(), "of nobody": uuid.Must(uuid.NewV7()).String()} {
		_, err := l.at().GetCallback(t.Context(), &verigatev1.GetCallbackRequest{Id: id})
		wantCode(t, "a callback "+name, err, connect.CodeNotFound, errNoCallback.Error())
		_, err = l.at().RetryCallback(t.Context(), &verigatev1.RetryCallbackRequest{Id: id})
		wantCode(t, "the retry of a callback "+name, err, connect.CodeNotFound, errNoCallback.Error())
	}
	if len(l.entries) != 0 {
		t.Errorf("the audit log says %v", l.entries)
	}
}

func TestWrongFieldsOfCallbackCallsAreNamed(t *testing.T) {
	t.Parallel()
	o := (&ledger{}).at()
	for _, c := range []struct {
		name, field string
		call        func() error
	}{
		{"a callback that is no id", "id", func() error {
			_, err := o.GetCallback(t.Context(), &verigatev1.GetCallbackRequest{Id: "7"})
			return err
		}},
		{"the retry of nothing", "id", func() error {
			_, err := o.RetryCallback(t.Context(), &verigatev1.RetryCallbackRequest{})
			return err
		}},
		{"a verification that is no id", "verification_id", func() error {
			_, err := o.ListCallbacks(t.Context(), &verigatev1.ListCallbacksRequest{VerificationId: "7"})
			return err
		}},
		{"a page that is too large", "page_size", func() error {
			_, err := o.ListCallbacks(t.Context(), &verigatev1.ListCallbacksRequest{PageSize: 201})
			return err
		}},
	} {
		wantField(t, c.name, c.call(), c.field)
	}
}

func TestAnAbsentDatabaseIsUnavailableToCallbackCallsToo(t *testing.T) {
	t.Parallel()
	l := &ledger{err: verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry")}
	id, o := uuid.Must(uuid.NewV7()).String(), l.at()
	for name, call := range map[string]func() error{
		"list": func() error { _, err := o.ListCallbacks(t.Context(), &verigatev1.ListCallbacksRequest{}); return err },
		"show": func() error { _, err := o.GetCallback(t.Context(), &verigatev1.GetCallbackRequest{Id: id}); return err },
		"retry": func() error {
			_, err := o.RetryCallback(t.Context(), &verigatev1.RetryCallbackRequest{Id: id})
			return err
		},
		"retry all": func() error {
			_, err := o.RetryDeadCallbacks(t.Context(), &verigatev1.RetryDeadCallbacksRequest{})
			return err
		},
	} {
		wantCode(t, name, call(), connect.CodeUnavailable, "retry")
	}
}
