package rpc_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"connectrpc.com/validate"
	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

// ledger keeps callbacks in memory.
type ledger struct {
	mu sync.Mutex
	// callbacks are oldest first.
	callbacks []*verification.Callback
	attempts  map[uuid.UUID][]*verification.CallbackAttempt
	// entries are what the audit log was told, limits the batches that were
	// asked for.
	entries []*verification.AuditEntry
	limits  []int
	queries []verification.CallbackQuery
	// err is what every call returns from the failAt-th on.
	err    error
	failAt int
	calls  int
}

var _ rpc.CallbackStore = (*ledger)(nil)

func (l *ledger) fails() error {
	l.calls++
	if l.err != nil && l.calls > l.failAt {
		return l.err
	}
	return nil
}

func (l *ledger) Callbacks(_ context.Context, q verification.CallbackQuery) ([]*verification.Callback, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queries = append(l.queries, q)
	var found []*verification.Callback
	reached := q.Before == uuid.Nil
	for _, c := range slices.Backward(l.callbacks) {
		chosen := c.Scope == q.Scope && (len(q.States) == 0 || slices.Contains(q.States, c.State)) &&
			(q.VerificationID == uuid.Nil || c.VerificationID == q.VerificationID)
		if reached && chosen && len(found) < q.Limit {
			found = append(found, c)
		}
		reached = reached || c.ID == q.Before
	}
	return found, l.fails()
}

func (l *ledger) find(scope verification.Scope, id uuid.UUID) (*verification.Callback, error) {
	if err := l.fails(); err != nil {
		return nil, err
	}
	for _, c := range l.callbacks {
		if c.ID == id && c.Scope == scope {
			return c, nil
		}
	}
	return nil, errNoCallback
}

var (
	errNoCallback = verification.NewError(verification.KindNotFound, "CALLBACK_NOT_FOUND", "no such callback")
	errDelivered  = verification.NewError(verification.KindRefused, "CALLBACK_DELIVERED", "it was delivered")
)

func (l *ledger) Callback(_ context.Context, scope verification.Scope, id uuid.UUID) (*verification.Callback, *verification.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.find(scope, id)
	return c, &verification.Record{}, err
}

func (l *ledger) CallbackAttempts(_ context.Context, _ verification.Scope, id uuid.UUID) ([]*verification.CallbackAttempt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attempts[id], l.fails()
}

func (l *ledger) RetryCallback(_ context.Context, scope verification.Scope, id uuid.UUID, entry *verification.AuditEntry) (*verification.Callback, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.find(scope, id)
	if err != nil {
		return nil, err
	}
	if c.State == verification.CallbackDelivered {
		return nil, errDelivered
	}
	c.State, c.Reason, c.FinishTime, c.NextTime = verification.CallbackPending, verification.CallbackOK, time.Time{}, entry.CreateTime
	l.entries = append(l.entries, entry)
	return c, nil
}

func (l *ledger) RetryDeadCallbacks(_ context.Context, scope verification.Scope, limit int, entry *verification.AuditEntry) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = append(l.limits, limit)
	if err := l.fails(); err != nil {
		return 0, err
	}
	n := 0
	for _, c := range l.callbacks {
		if c.Scope == scope && c.State == verification.CallbackDead && n < limit {
			c.State = verification.CallbackPending
			n++
		}
	}
	l.entries = append(l.entries, entry)
	return n, nil
}

// add keeps n callbacks of one verification in a state.
func (l *ledger) add(t *testing.T, in verification.Scope, n int, state verification.CallbackState) uuid.UUID {
	t.Helper()
	about := uuid.Must(uuid.NewV7())
	for i := range n {
		c := &verification.Callback{
			ID: uuid.Must(uuid.NewV7()), Scope: in, Channel: verification.ChannelEvents, VerificationID: about, Version: int64(i + 1),
			URL: "https://shop.example.com/events", State: state, Attempts: 3, CreateTime: time.Unix(int64(i), 0),
		}
		if state == verification.CallbackDead {
			c.Reason, c.FinishTime = verification.CallbackExpired, time.Unix(int64(i+1), 0)
		}
		l.callbacks = append(l.callbacks, c)
	}
	return about
}

// at is an operator of the scope in front of the ledger, with the field rules.
func (l *ledger) at() verigatev1connect.OperatorServiceClient {
	as := func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			return next(rpc.AsOperator(ctx, scope(), "command:root@host"), spec, stream)
		}
	}
	api := connect.NewServer(as, validate.NewServerInterceptor())
	verigatev1connect.RegisterOperatorServiceHandler(api, &rpc.Operator{
		Keys:      &access.Admin{Now: func() time.Time { return time.Unix(1_779_013_800, 0) }},
		Callbacks: l,
	})
	return verigatev1connect.NewOperatorServiceClient(connect.NewClient(connectinprocess.New(api)))
}
