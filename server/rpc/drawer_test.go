package rpc_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// drawer keeps deliveries in memory, oldest first.
type drawer struct {
	mu sync.Mutex
	ds []verification.Delivery
	// asked are the queries of lists.
	asked []verification.DeliveryQuery
	// reading is what the adapter makes of a delivery that is read again.
	reading func(d *verification.Delivery) error
}

func (w *drawer) keep(d verification.Delivery) uuid.UUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	d.ID, d.Scope, d.Connection = uuid.Must(uuid.NewV7()), scope(), "fake"
	d.Headers, d.Body = map[string]string{"X-Event": "done"}, []byte("a body \x00\xff")
	if d.Emptied {
		d.Headers, d.Body = nil, nil
	}
	w.ds = append(w.ds, d)
	return d.ID
}

func (w *drawer) readAgain(_ context.Context, d *verification.Delivery) error { return w.reading(d) }

// find returns a copy of a delivery without its content.
func (w *drawer) find(s verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.ds {
		if d.ID == id && d.Scope == s {
			d.Headers, d.Body = nil, nil
			return &d, nil
		}
	}
	return nil, verification.ErrDeliveryNotFound
}

// put stores what was settled, and leaves the content.
func (w *drawer) put(d *verification.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.ds {
		if w.ds[i].ID == d.ID {
			headers, body := w.ds[i].Headers, w.ds[i].Body
			w.ds[i] = *d
			w.ds[i].Headers, w.ds[i].Body = headers, body
		}
	}
}

// Deliveries implements verification.Store: all that there are, whatever was
// asked for but the page.
func (r *row) Deliveries(_ context.Context, q verification.DeliveryQuery) ([]*verification.Delivery, error) {
	r.drawer.mu.Lock()
	defer r.drawer.mu.Unlock()
	r.drawer.asked = append(r.drawer.asked, q)
	var found []*verification.Delivery
	reached := q.Before == uuid.Nil
	for _, d := range slices.Backward(r.drawer.ds) {
		if reached && d.Scope == q.Scope && len(found) < q.Limit {
			d.Headers, d.Body = nil, nil
			found = append(found, &d)
		}
		reached = reached || d.ID == q.Before
	}
	return found, nil
}

// BareDelivery implements verification.Store.
func (r *row) BareDelivery(_ context.Context, s verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	return r.drawer.find(s, id)
}

// History implements verification.Store: how the row was opened, and the drawer.
func (r *row) History(_ context.Context, s verification.Scope, id uuid.UUID, limit int) ([]*verification.Transition, []*verification.Delivery, error) {
	v := r.now()
	opened := &verification.Transition{
		VerificationID: id, Version: 2, Scope: s, From: verification.Created, To: verification.Pending, Event: verification.SessionOpened,
		Source: verification.SourceProvider, Rung: verification.RungPayloadKey, Match: verification.Exact,
		ReasonCodes: []string{"a"}, Reason: "why", DeliveryID: uuid.MustParse("0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d"), CreateTime: v.CreateTime,
	}
	ds, err := r.Deliveries(context.Background(), verification.DeliveryQuery{Scope: s, Limit: limit})
	return []*verification.Transition{opened}, ds, err
}

func (t rowTx) LockDelivery(_ context.Context, s verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	return t.row.drawer.find(s, id)
}

func (t rowTx) OpenDelivery(_ context.Context, d *verification.Delivery) error {
	t.row.drawer.mu.Lock()
	defer t.row.drawer.mu.Unlock()
	for _, kept := range t.row.drawer.ds {
		if kept.ID == d.ID {
			d.Headers, d.Body = kept.Headers, kept.Body
		}
	}
	return nil
}

func (rowTx) SeenElsewhere(context.Context, *verification.Delivery) (bool, error) { return false, nil }

func (t rowTx) ReplaceDelivery(_ context.Context, d *verification.Delivery, _ time.Time) error {
	t.row.drawer.put(d)
	return nil
}

func (t rowTx) SettleDelivery(_ context.Context, d *verification.Delivery, _ time.Time) error {
	t.row.drawer.put(d)
	return nil
}

// FindRefs knows none.
func (rowTx) FindRefs(context.Context, string, []string) ([]verification.BoundRef, error) {
	return nil, nil
}
