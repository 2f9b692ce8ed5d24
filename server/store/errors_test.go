package store_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// with adds a setting to a DSN.
func with(t *testing.T, dsn, key, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// tells fails if a caller's text gives the database away.
func tells(t *testing.T, err error) {
	t.Helper()
	for _, word := range []string{"pgx", "pgconn", "SQLSTATE", "postgres", "dial", "socket", "constraint", "relation", "verification_", "json"} {
		if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(word)) {
			t.Errorf("the error %q says %q", err, word)
		}
	}
}

func exec(t *testing.T, dsn, statement string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func TestABadURLIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"postgres://user:hunter2@host:notaport/db", "hunter2 is no url", "postgres://hunter2:@%zz"} {
		_, err := store.Open(t.Context(), secret.New(dsn), nil)
		if err == nil || !strings.Contains(err.Error(), "database_url") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error is %v, want one that names database_url and repeats nothing", err)
		}
	}
}

func TestADatabaseThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	s := open(t, "postgres://verigate@/verigate?host="+url.QueryEscape(t.TempDir())+"&port=5432")
	_, getErr := s.Get(t.Context(), shop, uuid.New())
	_, listErr := s.List(t.Context(), verification.ListQuery{Scope: shop, Limit: 1})
	_, tailErr := s.TailStart(t.Context())
	_, _, nextErr := s.Tail(t.Context(), "1:1:")
	txErr := s.InTx(t.Context(), func(verification.Tx) error { return nil })
	for name, err := range map[string]error{
		"Ping": s.Ping(t.Context()), "Get": getErr, "List": listErr, "TailStart": tailErr, "Tail": nextErr, "InTx": txErr,
	} {
		if err == nil {
			t.Errorf("%s works without a database", name)
			continue
		}
		wantKind(t, err, verification.KindUnavailable)
		tells(t, err)
		if errors.Unwrap(err) == nil {
			t.Errorf("%s keeps no cause for the log", name)
		}
	}
}

func TestAStuckStatementIsUnavailable(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	for _, limit := range []string{"statement_timeout", "lock_timeout"} {
		s, holder := open(t, with(t, dsn, limit, "50")), open(t, dsn)
		v := insert(t, holder, nil)
		err := holder.InTx(t.Context(), func(tx verification.Tx) error {
			if _, err := tx.Lock(t.Context(), shop, v.ID); err != nil {
				return err
			}
			err := s.InTx(t.Context(), func(other verification.Tx) error {
				_, err := other.Lock(t.Context(), shop, v.ID)
				return err
			})
			wantKind(t, err, verification.KindUnavailable)
			tells(t, err)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestADeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	a, b := insert(t, s, nil), insert(t, s, nil)
	tries := make(chan struct{}, 8)
	// Each has its first row before either asks for the second; a second try
	// finds the gate open.
	gate := make(chan struct{})
	ready := make(chan struct{}, 8)
	cross := func(first, second uuid.UUID) error {
		return s.InTx(t.Context(), func(tx verification.Tx) error {
			tries <- struct{}{}
			if _, err := tx.Lock(t.Context(), shop, first); err != nil {
				return err
			}
			ready <- struct{}{}
			<-gate
			_, err := tx.Lock(t.Context(), shop, second)
			return err
		})
	}
	results := make(chan error, 2)
	go func() { results <- cross(a.ID, b.ID) }()
	go func() { results <- cross(b.ID, a.ID) }()
	<-ready
	<-ready
	close(gate)
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("a deadlock reached the caller: %v", err)
		}
	}
	if len(tries) < 3 {
		t.Errorf("%d tries: there was no deadlock", len(tries))
	}
}

func TestOtherErrors(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v := insert(t, s, nil)

	t.Run("a row that is not there is not found, in and out of transactions", func(t *testing.T) {
		_, err := s.Get(t.Context(), shop, uuid.New())
		wantKind(t, err, verification.KindNotFound)
		err = s.InTx(t.Context(), func(tx verification.Tx) error {
			_, err := tx.Lock(t.Context(), shop, uuid.New())
			return err
		})
		wantKind(t, err, verification.KindNotFound)
	})
	t.Run("a broken invariant is internal", func(t *testing.T) {
		err := s.InTx(t.Context(), func(tx verification.Tx) error { return create(t.Context(), tx, v) })
		wantKind(t, err, verification.KindInternal)
		tells(t, err)
	})
	t.Run("a taken lane is limited", func(t *testing.T) {
		lane := func(v *verification.Verification) { v.Lane = "human/identity" }
		insert(t, s, lane)
		second := fresh()
		lane(second)
		err := s.InTx(t.Context(), func(tx verification.Tx) error { return create(t.Context(), tx, second) })
		wantKind(t, err, verification.KindLimited)
		tells(t, err)
	})
	t.Run("a version that moved is a race", func(t *testing.T) {
		moved := *v
		moved.Version = 9
		err := s.InTx(t.Context(), func(tx verification.Tx) error { return tx.Save(t.Context(), &moved, nil) })
		wantKind(t, err, verification.KindRaced)
	})
	t.Run("a ref of another verification is a race, one of its own is not", func(t *testing.T) {
		bind := func(id uuid.UUID) error {
			return s.InTx(t.Context(), func(tx verification.Tx) error {
				return tx.BindRef(t.Context(), verification.BoundRef{
					Connection: "human", Ref: "r", VerificationID: id, Match: verification.Exact, CreateTime: v.CreateTime,
				})
			})
		}
		if err := errors.Join(bind(v.ID), bind(v.ID)); err != nil {
			t.Fatal(err)
		}
		if err := bind(uuid.New()); !errors.Is(err, verification.ErrRefTaken) {
			t.Errorf("the error is %v, want ErrRefTaken", err)
		}
	})
	t.Run("a row that cannot be read is internal, not a reason to retry", func(t *testing.T) {
		broken := insert(t, s, nil)
		exec(t, dsn, `UPDATE verification SET metadata = '["private"]' WHERE id = $1`, broken.ID)
		_, err := s.Get(t.Context(), shop, broken.ID)
		wantKind(t, err, verification.KindInternal)
		tells(t, err)
		if cause := errors.Unwrap(err); cause == nil || strings.Contains(cause.Error(), "private") {
			t.Errorf("the cause is %v", cause)
		}
	})
	t.Run("the caller's own cancellation stays what it is", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Get(ctx, shop, v.ID); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("what the function says is returned as it is, and nothing is stored", func(t *testing.T) {
		lost := fresh()
		err := s.InTx(t.Context(), func(tx verification.Tx) error {
			if err := create(t.Context(), tx, lost); err != nil {
				return err
			}
			return verification.ErrLaneTaken
		})
		if !errors.Is(err, verification.ErrLaneTaken) {
			t.Errorf("the error is %v", err)
		}
		_, err = s.Get(t.Context(), shop, lost.ID)
		wantKind(t, err, verification.KindNotFound)
	})
}
