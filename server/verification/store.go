package verification

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Store keeps the rows. Its errors are *Error: KindNotFound, KindUnavailable
// when the database cannot be reached, KindInternal otherwise.
type Store interface {
	// InTx runs fn in one transaction. fn must be pure but for its Tx: it runs
	// again when the database asks for a retry.
	InTx(ctx context.Context, fn func(Tx) error) error

	// InBatch runs apply for each of the deliveries, in their order and in one
	// transaction that they share, with a DeliveryTx that knows what a plain delivery
	// asks for: one that names its verification. Whatever else is asked of it is an
	// error. held is called when what the deliveries name is held, before the first
	// apply. A delivery whose apply returns an error is left out, with all later
	// ones that name what it names, and is to be applied by itself. It returns
	// which ones were applied and are kept; with an error, none is.
	InBatch(ctx context.Context, ds []*Delivery, held func(), apply func(tx DeliveryTx, i int) error) (applied []bool, err error)

	// Get returns a verification of the scope.
	Get(ctx context.Context, scope Scope, id uuid.UUID) (*Verification, error)
	// GetByReference returns the newest verification with the reference; of one
	// subject only, unless that is empty.
	GetByReference(ctx context.Context, scope Scope, reference, subject string) (*Verification, error)
	// List returns up to limit verifications, newest first.
	List(ctx context.Context, q ListQuery) ([]*Verification, error)
	// Deliveries returns up to limit deliveries, newest first, without their
	// headers and bodies.
	Deliveries(ctx context.Context, q DeliveryQuery) ([]*Delivery, error)
	// BareDelivery returns a delivery of the scope without its headers and body;
	// ErrDeliveryNotFound if there is none.
	BareDelivery(ctx context.Context, scope Scope, id uuid.UUID) (*Delivery, error)
	// History returns the last transitions of a verification of the scope, and the
	// last deliveries that were settled on it and moved nothing, up to limit of
	// each, newest first, without headers and bodies.
	History(ctx context.Context, scope Scope, id uuid.UUID, limit int) ([]*Transition, []*Delivery, error)
	// Overdue returns open verifications of all scopes whose time is over.
	Overdue(ctx context.Context, now time.Time, limit int) ([]Place, error)
	// Unstarted returns verifications of all scopes that were created before the
	// given time and whose provider never confirmed.
	Unstarted(ctx context.Context, before time.Time, limit int) ([]Place, error)
	// ParkedRecently returns parked deliveries of all scopes for which there may
	// be new evidence: one of their refs was bound since the given time, or they
	// arrived since then and somebody returned.
	ParkedRecently(ctx context.Context, since time.Time, limit int) ([]Place, error)
	// FreeLanes releases lanes whose holder is over and whose grace period
	// ended.
	FreeLanes(ctx context.Context, now time.Time) error
}

// DeliveryTx is what applying a delivery reads and writes.
type DeliveryTx interface {
	// MarkSeen remembers a delivery's dedupe key; it reports false when the
	// connection had it before.
	MarkSeen(ctx context.Context, d *Delivery) (fresh bool, err error)
	// FindRefs returns what is known of the refs on a connection.
	FindRefs(ctx context.Context, connection string, refs []string) ([]BoundRef, error)
	// Lock returns a verification of the scope and keeps others from changing it.
	Lock(ctx context.Context, scope Scope, id uuid.UUID) (*Verification, error)
	// HasOtherKey reports whether v has a ref of the same kind (the text before
	// the first colon) as one of the keys that is none of them.
	HasOtherKey(ctx context.Context, v *Verification, keys []string) (bool, error)
	// FirstOfRun returns when the first parked delivery arrived that carries one
	// of d's refs; d's own arrival if none did.
	FirstOfRun(ctx context.Context, d *Delivery) (time.Time, error)
	// Hinted returns up to two verifications whose person claimed one of the
	// refs.
	Hinted(ctx context.Context, connection string, refs []string) ([]uuid.UUID, error)
	// Candidates returns up to two verifications that a webhook without a key
	// might have been about when it arrived, those that returned within the
	// window first.
	Candidates(ctx context.Context, q CandidateQuery) ([]Candidate, error)
	// HasParkedTwin reports whether another parked delivery of the same
	// connection and product, one that names nobody either, arrived between the
	// two times, both included.
	HasParkedTwin(ctx context.Context, d *Delivery, from, until time.Time) (bool, error)
	// DecidedAfter reports whether something was decided about v after the given
	// time: by a delivery that came later, whether it moved v or repeated what was
	// so, by an operator, or by the provider's answer.
	DecidedAfter(ctx context.Context, v *Verification, at time.Time) (bool, error)
	// LastSource returns who caused v's last transition.
	LastSource(ctx context.Context, v *Verification) (Source, error)
	// BindRef ties a ref to a verification. The first binding of a ref stays:
	// ErrRefTaken if it is another verification's.
	BindRef(ctx context.Context, ref BoundRef) error
	// Save writes a locked verification; t is recorded with it unless nil.
	Save(ctx context.Context, v *Verification, t *Transition) error
	// Erase writes the blanks of an erased, locked verification and blanks what
	// hangs on it: deliveries that were settled on it, parked ones that name it
	// and no living other, which are stale now, its refs and claims, of which
	// enough is kept to recognise them, and the rest. It returns how many
	// deliveries that were. It may be called again when more is known of the
	// verification.
	Erase(ctx context.Context, v *Verification) (deliveries int64, err error)
	// InsertDelivery stores a delivery with what it did.
	InsertDelivery(ctx context.Context, d *Delivery, now time.Time) error
}

// Tx is one transaction on the rows.
type Tx interface {
	DeliveryTx

	// Create inserts a verification with its first transition. ErrLaneTaken if
	// its lane has a holder.
	Create(ctx context.Context, v *Verification, t *Transition) error
	// LockByNonce does the same by the hash of the return leg's nonce, which
	// nobody can guess: it is the only way to a row without a scope.
	LockByNonce(ctx context.Context, hash []byte) (*Verification, error)
	// LockSubject locks up to limit verifications of a subject.
	LockSubject(ctx context.Context, scope Scope, subject string, limit int) ([]*Verification, error)
	// CountOpen counts open verifications of a flow, of one subject unless that
	// is empty, up to limit. Others that count the same wait until this
	// transaction is over, so that a limit is never exceeded.
	CountOpen(ctx context.Context, scope Scope, flow, subject string, limit int) (int, error)
	// AddAudit records who did what.
	AddAudit(ctx context.Context, e *AuditEntry) error

	// ClaimIdempotency ties a key to a verification, or returns the one that it
	// is tied to with the hash of its request.
	ClaimIdempotency(ctx context.Context, scope Scope, key string, hash []byte, id uuid.UUID, now time.Time) (Claim, error)
	// ReleaseIdempotency forgets the key of a verification that never started.
	ReleaseIdempotency(ctx context.Context, v *Verification) error

	// AddHint records that a returning person claimed a ref.
	AddHint(ctx context.Context, connection, ref string, id uuid.UUID, now time.Time) error

	// LockParked returns a parked delivery of the scope, without its headers and
	// body; ErrNotFound if it is not parked any more, was purged, or somebody else
	// is at it.
	LockParked(ctx context.Context, scope Scope, id uuid.UUID) (*Delivery, error)
	// LockDelivery returns a delivery of the scope, without its headers and body,
	// and keeps others from settling or purging it; ErrDeliveryNotFound if there is
	// none.
	LockDelivery(ctx context.Context, scope Scope, id uuid.UUID) (*Delivery, error)
	// OpenDelivery fills in the headers and body of a locked delivery that was not
	// purged.
	OpenDelivery(ctx context.Context, d *Delivery) error
	// SeenElsewhere reports whether another delivery brought d's dedupe key first;
	// if none did, it remembers that d did.
	SeenElsewhere(ctx context.Context, d *Delivery) (bool, error)
	// ReplaceDelivery writes what a locked delivery says by a second reading and
	// what applying it did, and empties it if it is to be.
	ReplaceDelivery(ctx context.Context, d *Delivery, now time.Time) error
	// ParkedFor returns ids of parked deliveries of v's scope that could be about
	// v: by its refs, or by product within the window around its return.
	ParkedFor(ctx context.Context, v *Verification, window time.Duration) ([]uuid.UUID, error)
	// SettleDelivery records what applying a parked delivery did, and empties it
	// if it is to be.
	SettleDelivery(ctx context.Context, d *Delivery, now time.Time) error
}

// Place says where a row is: in whose scope, under which id.
type Place struct {
	Scope Scope
	ID    uuid.UUID
}

// Claim is what ClaimIdempotency found.
type Claim struct {
	// Fresh: the key is now tied to the given verification.
	Fresh bool
	// VerificationID and RequestHash are the earlier ones, unless Fresh.
	VerificationID uuid.UUID
	RequestHash    []byte
}

// CandidateQuery asks which verifications a webhook without a key might be
// about.
type CandidateQuery struct {
	Scope      Scope
	Connection string
	Product    string
	// At is when the webhook arrived.
	At time.Time
	// Window is how far a return may lie from At.
	Window time.Duration
}

// Candidate is one possible verification.
type Candidate struct {
	ID uuid.UUID
	// Returned: its person came back within the window, and no webhook that
	// came before told of it.
	Returned   bool
	CreateTime time.Time
	// ReturnTime is zero if the person did not come back.
	ReturnTime time.Time
}

// ListQuery selects verifications of one scope.
type ListQuery struct {
	Scope   Scope
	States  []State
	Flow    string
	Subject string
	// From and Until bound the creation time; zero means unbounded.
	From  time.Time
	Until time.Time
	// Before is the id after which the page starts, going back in time; zero
	// for the first page.
	Before uuid.UUID
	Limit  int
}

// DeliveryQuery selects deliveries of one scope.
type DeliveryQuery struct {
	Scope Scope
	// Effects, Connection and VerificationID select; empty means all.
	Effects        []Effect
	Connection     string
	VerificationID uuid.UUID
	// Before is the id after which the page starts, going back in time; zero
	// for the first page.
	Before uuid.UUID
	Limit  int
}
