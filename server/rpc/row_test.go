package rpc_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// row is a store with one verification; a start replaces it.
type row struct {
	verification.Store

	mu sync.Mutex
	v  verification.Verification
	// err is what a read returns, if set, and failed how often one did.
	err    error
	failed int
	// reading and read, if set, are called before and after each read.
	reading, read func()
	// referred are the subjects that were asked for with a reference.
	referred []string
	// audit keeps entries.
	audit func(e *verification.AuditEntry)
	// drawer keeps deliveries.
	drawer drawer
}

// watchReads has a function called after each read from now on.
func (r *row) watchReads(read func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = read
}

// fail makes every read fail.
func (r *row) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// failures is how many reads failed.
func (r *row) failures() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Get implements verification.Store.
func (r *row) Get(ctx context.Context, s verification.Scope, id uuid.UUID) (*verification.Verification, error) {
	if r.reading != nil {
		r.reading()
	}
	v, err := r.find(ctx, func(v *verification.Verification) bool { return s == v.Scope && id == v.ID })
	r.mu.Lock()
	read := r.read
	r.mu.Unlock()
	if read != nil {
		read()
	}
	return v, err
}

// Verifications implements watch.Rows.
func (r *row) Verifications(ctx context.Context, ids []uuid.UUID) ([]*verification.Verification, error) {
	v, err := r.find(ctx, func(v *verification.Verification) bool { return slices.Contains(ids, v.ID) })
	if v == nil {
		return nil, err
	}
	return []*verification.Verification{v}, nil
}

// GetByReference implements verification.Store.
func (r *row) GetByReference(ctx context.Context, s verification.Scope, reference, subject string) (*verification.Verification, error) {
	r.mu.Lock()
	r.referred = append(r.referred, subject)
	r.mu.Unlock()
	return r.find(ctx, func(v *verification.Verification) bool {
		return s == v.Scope && reference == v.Reference && (subject == "" || subject == v.Subject)
	})
}

func (r *row) find(ctx context.Context, is func(*verification.Verification) bool) (*verification.Verification, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		r.failed++
		return nil, r.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if v := r.v; is(&v) {
		return &v, nil
	}
	return nil, verification.ErrNotFound
}

// List implements verification.Store: as many of the same as were asked for, so
// that there is always a next page.
func (r *row) List(_ context.Context, q verification.ListQuery) ([]*verification.Verification, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.v
	return slices.Repeat([]*verification.Verification{&v}, q.Limit), r.err
}

// set stores the next version.
func (r *row) set(state verification.State) *verification.Verification {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.v.State = state
	r.v.Version++
	v := r.v
	return &v
}

// change alters the row as somebody else would.
func (r *row) change(alter func(v *verification.Verification)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	alter(&r.v)
}

// now is a copy of the row.
func (r *row) now() verification.Verification {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.v
}

// InTx implements verification.Store. Nothing is rolled back.
func (r *row) InTx(_ context.Context, fn func(verification.Tx) error) error { return fn(rowTx{row: r}) }

// rowTx is what starting and erasing need of a transaction.
type rowTx struct {
	verification.Tx

	row *row
}

func (t rowTx) Create(_ context.Context, v *verification.Verification, _ *verification.Transition) error {
	t.row.change(func(stored *verification.Verification) { *stored = *v })
	return nil
}

func (t rowTx) Lock(_ context.Context, s verification.Scope, id uuid.UUID) (*verification.Verification, error) {
	v := t.row.now()
	if v.Scope != s || v.ID != id {
		return nil, verification.ErrNotFound
	}
	return &v, nil
}

func (t rowTx) LockSubject(_ context.Context, s verification.Scope, subject string, _ int) ([]*verification.Verification, error) {
	v := t.row.now()
	if v.Scope != s || v.Subject != subject {
		return nil, nil
	}
	return []*verification.Verification{&v}, nil
}

func (t rowTx) Save(_ context.Context, v *verification.Verification, _ *verification.Transition) error {
	t.row.change(func(stored *verification.Verification) { *stored = *v })
	return nil
}

// Erase says that two deliveries hung on the verification.
func (t rowTx) Erase(_ context.Context, v *verification.Verification) (int64, error) {
	t.row.change(func(stored *verification.Verification) { *stored = *v })
	return 2, nil
}

func (t rowTx) AddAudit(_ context.Context, e *verification.AuditEntry) error {
	t.row.audit(e)
	return nil
}

func (rowTx) BindRef(context.Context, verification.BoundRef) error { return nil }

func (rowTx) DecidedAfter(context.Context, *verification.Verification, time.Time) (bool, error) {
	return false, nil
}

func (rowTx) ParkedFor(context.Context, *verification.Verification, time.Duration) ([]uuid.UUID, error) {
	return nil, nil
}
