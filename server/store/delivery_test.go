package store_test

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// marker stands for what must not be readable.
const marker = "anna-personal"

// arrived returns a delivery as the ingress makes it, parked.
func arrived() *verification.Delivery {
	id, now := uuid.Must(uuid.NewV7()), time.Now().UTC().Truncate(time.Microsecond)
	return &verification.Delivery{
		ID: id, Scope: shop, Connection: "human", ReceiveTime: now,
		Headers: map[string]string{"X-Note": marker}, Body: []byte(`{"name":"` + marker + `"}`),
		DedupeKey: "key:" + id.String(), ProviderEvent: "verification.completed",
		Event: verification.Event{
			Kind: verification.Passed, Product: "identity", Keys: []string{"token:1"}, Refs: []string{"verification:1"},
			VerificationID: id.String(), ReasonCodes: []string{"a"}, ProviderTime: now,
		},
		Effect: verification.Unmatched,
	}
}

func keep(t testing.TB, s *store.Store, change func(d *verification.Delivery)) *verification.Delivery {
	t.Helper()
	d := arrived()
	if change != nil {
		change(d)
	}
	err := s.InTx(t.Context(), func(tx verification.Tx) error { return tx.InsertDelivery(t.Context(), d, d.ReceiveTime) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func kept(t testing.TB, s *store.Store, id uuid.UUID) *verification.Delivery {
	t.Helper()
	d, err := s.Delivery(t.Context(), shop, id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ask returns the one value that a statement gives.
func ask[T any](t testing.TB, dsn, statement string, args ...any) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var value T
	if err := conn.QueryRow(t.Context(), statement, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

// readable counts deliveries that hold a text anywhere, as text or as bytes.
func readable(t testing.TB, dsn, text string) int64 {
	t.Helper()
	return ask[int64](t, dsn, `SELECT count(*) FROM delivery d WHERE strpos(d::text, $1) > 0 OR strpos(d::text, $2) > 0`,
		text, hex.EncodeToString([]byte(text)))
}

func TestADeliveryComesBackAsItWasKept(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	want := keep(t, s, nil)
	got := kept(t, s, want.ID)
	if got.DedupeKey == want.DedupeKey || len(got.DedupeKey) != 64 {
		t.Errorf("the dedupe key is stored as %q, want a hash", got.DedupeKey)
	}
	got.DedupeKey = want.DedupeKey
	got.ReceiveTime, got.Event.ProviderTime = got.ReceiveTime.UTC(), got.Event.ProviderTime.UTC()
	if !got.ApplyTime.Equal(want.ReceiveTime) {
		t.Errorf("it was applied at %v, want %v", got.ApplyTime, want.ReceiveTime)
	}
	got.ApplyTime = want.ApplyTime
	if !reflect.DeepEqual(got, want) {
		t.Errorf("kept\n%+v\nread\n%+v", want, got)
	}
	empty := keep(t, s, func(d *verification.Delivery) { d.Headers, d.Body = nil, nil })
	if got := kept(t, s, empty.ID); got.Body == nil || len(got.Body) != 0 || len(got.Headers) != 0 || got.Emptied {
		t.Errorf("a request without a body comes back as %+v, want an empty body: nil is a purged one", got)
	}
}

func TestHeadersAndBodyLieSealed(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	d := keep(t, s, nil)
	if n := readable(t, dsn, marker); n != 0 {
		t.Errorf("%d deliveries can be read in the database", n)
	}
	if n := readable(t, dsn, d.DedupeKey); n != 0 {
		t.Errorf("%d deliveries hold the dedupe key itself", n)
	}
	if id := ask[string](t, dsn, `SELECT key_id FROM delivery WHERE id = $1`, d.ID); id != "k1" {
		t.Errorf("it is sealed under %q, want k1", id)
	}
	t.Run("a store with the key behind a newer one opens it", func(t *testing.T) {
		t.Parallel()
		if got := kept(t, openWith(t, dsn, keyring(t, "k2", "k1")), d.ID); string(got.Body) != string(d.Body) {
			t.Errorf("the body is %q", got.Body)
		}
	})
	t.Run("one without the key says which it needs, to the log alone", func(t *testing.T) {
		t.Parallel()
		_, err := openWith(t, dsn, keyring(t, "k2")).Delivery(t.Context(), shop, d.ID)
		wantKind(t, err, verification.KindInternal)
		tells(t, err)
		cause := errors.Unwrap(err)
		if !errors.Is(cause, seal.ErrUnknownKey) || !strings.Contains(cause.Error(), `"k1"`) || strings.Contains(cause.Error(), marker) {
			t.Errorf("the cause is %v, want one that names k1", cause)
		}
	})
	t.Run("another scope does not find it", func(t *testing.T) {
		t.Parallel()
		_, err := s.Delivery(t.Context(), verification.Scope{Project: "shop", Environment: verification.Live}, d.ID)
		wantKind(t, err, verification.KindNotFound)
	})
	t.Run("what is moved to another tenant does not open there", func(t *testing.T) {
		t.Parallel()
		for _, scope := range []verification.Scope{live, {Project: "other", Environment: verification.Test}} {
			moved := keep(t, s, nil)
			exec(t, dsn, `UPDATE delivery SET project = $2, environment = $3 WHERE id = $1`, moved.ID, scope.Project, scope.Environment)
			_, err := s.Delivery(t.Context(), scope, moved.ID)
			wantKind(t, err, verification.KindInternal)
			if !errors.Is(err, seal.ErrDamaged) {
				t.Errorf("%v: the error is %v, want ErrDamaged", scope, errors.Unwrap(err))
			}
		}
	})
	t.Run("what is moved to another row does not open there", func(t *testing.T) {
		t.Parallel()
		thief := keep(t, s, nil)
		exec(t, dsn, `UPDATE delivery t SET body = d.body FROM delivery d WHERE t.id = $1 AND d.id = $2`, thief.ID, d.ID)
		_, err := s.Delivery(t.Context(), shop, thief.ID)
		wantKind(t, err, verification.KindInternal)
		if !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("the error is %v, want ErrDamaged", errors.Unwrap(err))
		}
	})
}

func TestWithoutKeysNothingIsKept(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	d := keep(t, open(t, dsn), nil)
	for name, keys := range map[string]func() *seal.Keyring{"no source of keys": nil, "a source that has none": func() *seal.Keyring { return nil }} {
		t.Run(name, func(t *testing.T) {
			s := openWith(t, dsn, keys)
			_, openErr := s.Delivery(t.Context(), shop, d.ID)
			_, _, resealErr := s.Reencrypt(t.Context(), uuid.Nil, 1)
			keepErr := s.InTx(t.Context(), func(tx verification.Tx) error {
				return tx.InsertDelivery(t.Context(), arrived(), d.ReceiveTime)
			})
			for what, err := range map[string]error{"open": openErr, "keep": keepErr, "reseal": resealErr} {
				wantKind(t, err, verification.KindInternal)
				if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "without encryption keys") {
					t.Errorf("%s: the cause is %v", what, cause)
				}
			}
		})
	}
	if n := ask[int64](t, dsn, `SELECT count(*) FROM delivery`); n != 1 {
		t.Errorf("%d deliveries are kept, want the one from before", n)
	}
}

// bare returns what is left in a row that names somebody or holds content.
const bare = `SELECT headers IS NULL AND body IS NULL AND key_id = '' AND keys = '{}' AND refs = '{}'
	AND named_id = '' AND purge_time IS NOT NULL FROM delivery WHERE id = $1`

func TestAnEmptiedDeliveryKeepsOnlyThatItCame(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	check := func(t *testing.T, d *verification.Delivery, effect verification.Effect) {
		t.Helper()
		if !ask[bool](t, dsn, bare, d.ID) {
			t.Error("the row still holds something")
		}
		got := kept(t, s, d.ID)
		if !got.Emptied || got.Body != nil || got.Headers != nil || got.Effect != effect ||
			got.ProviderEvent != d.ProviderEvent || got.Event.Kind != d.Event.Kind || got.VerificationID != d.VerificationID {
			t.Errorf("it comes back as %+v", got)
		}
	}
	t.Run("as it arrives", func(t *testing.T) {
		t.Parallel()
		check(t, keep(t, s, func(d *verification.Delivery) { d.Effect, d.Emptied = verification.Duplicate, true }), verification.Duplicate)
	})
	t.Run("as it is settled", func(t *testing.T) {
		t.Parallel()
		d, v := keep(t, s, nil), insert(t, s, nil)
		settle(t, s, d.ID, func(d *verification.Delivery) {
			d.Effect, d.VerificationID, d.Emptied = verification.Stale, v.ID, true
		})
		d.VerificationID = v.ID
		check(t, d, verification.Stale)
	})
}

// settle locks a parked delivery, lets change decide, and settles it.
func settle(t testing.TB, s *store.Store, id uuid.UUID, change func(d *verification.Delivery)) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx verification.Tx) error {
		d, err := tx.LockParked(t.Context(), shop, id)
		if err != nil {
			return err
		}
		change(d)
		return tx.SettleDelivery(t.Context(), d, d.ReceiveTime)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAParkedDeliveryIsLockedWithoutOpeningIt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	want := keep(t, open(t, dsn), nil)
	s, v := openWith(t, dsn, nil), insert(t, open(t, dsn), nil)
	lock := func(scope verification.Scope, then func(d *verification.Delivery, err error)) {
		t.Helper()
		err := s.InTx(t.Context(), func(tx verification.Tx) error {
			then(tx.LockParked(t.Context(), scope, want.ID))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, scope := range []verification.Scope{{Project: "rival", Environment: verification.Test}, {Project: "shop", Environment: verification.Live}} {
		lock(scope, func(_ *verification.Delivery, err error) { wantKind(t, err, verification.KindNotFound) })
	}
	lock(shop, func(d *verification.Delivery, err error) {
		if err != nil || d.Body != nil || d.Headers != nil || d.Effect != verification.Unmatched ||
			d.Event.VerificationID != want.Event.VerificationID || !reflect.DeepEqual(d.Event.Refs, want.Event.Refs) {
			t.Errorf("it is %+v (%v)", d, err)
		}
		lock(shop, func(_ *verification.Delivery, err error) { wantKind(t, err, verification.KindNotFound) })
	})
	settle(t, s, want.ID, func(d *verification.Delivery) { d.Effect, d.VerificationID = verification.Applied, v.ID })
	lock(shop, func(_ *verification.Delivery, err error) { wantKind(t, err, verification.KindNotFound) })
	if got := kept(t, open(t, dsn), want.ID); string(got.Body) != string(want.Body) || !maps.Equal(got.Headers, want.Headers) {
		t.Errorf("settling changed the content to %q, %v", got.Body, got.Headers)
	}
}

func TestASeenKeyIsHashed(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	mark := func(d *verification.Delivery) (fresh bool) {
		t.Helper()
		err := s.InTx(t.Context(), func(tx verification.Tx) error {
			var err error
			fresh, err = tx.MarkSeen(t.Context(), d)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return fresh
	}
	first, other := arrived(), arrived()
	repeat := arrived()
	repeat.DedupeKey = first.DedupeKey
	elsewhere := arrived()
	elsewhere.DedupeKey, elsewhere.Connection = first.DedupeKey, "second"
	if a, b, c, d := mark(first), mark(repeat), mark(other), mark(elsewhere); !a || b || !c || !d {
		t.Errorf("the first is new: %t, its repeat: %t, another: %t, the same on another connection: %t", a, b, c, d)
	}
	if n := ask[int64](t, dsn, `SELECT count(*) FROM seen WHERE dedupe_key ~ '^[0-9a-f]{64}$'`); n != 3 {
		t.Errorf("%d keys are hashed, want 3", n)
	}
}
