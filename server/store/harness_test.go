package store_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

var shop = verification.Scope{Project: "shop", Environment: verification.Test}

// keyring returns keys with the given ids; the first one seals.
func keyring(t testing.TB, ids ...string) func() *seal.Keyring {
	t.Helper()
	keys := make([]seal.Key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, seal.Key{ID: id, Secret: secret.New(strings.Repeat("secret of "+id+" ", 4))})
	}
	ring, err := seal.NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return func() *seal.Keyring { return ring }
}

func open(t testing.TB, dsn string) *store.Store {
	t.Helper()
	return openWith(t, dsn, keyring(t, "k1"))
}

func openWith(t testing.TB, dsn string, keys func() *seal.Keyring) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), secret.New(dsn), keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// fresh returns a verification as Start makes it.
func fresh() *verification.Verification {
	id, now := uuid.Must(uuid.NewV7()), time.Now().UTC().Truncate(time.Microsecond)
	nonce := sha256.Sum256(id[:])
	return &verification.Verification{
		ID: id, Scope: shop, Flow: "identity", Connection: "human", Product: "identity",
		Subject: "u1", Reference: "order-1", Metadata: map[string]string{"a": "b"},
		State: verification.Created, Version: 1, NonceHash: nonce[:],
		RedirectURL: "myapp://done", FailureRedirectURL: "myapp://sorry",
		CallbackURL: "https://api.example.com/a", EventsCallbackURL: "https://api.example.com/b",
		CreateTime: now, UpdateTime: now, ExpireTime: now.Add(time.Hour), GraceUntil: now.Add(2 * time.Hour), PageUntil: now.Add(time.Hour),
	}
}

func create(ctx context.Context, tx verification.Tx, v *verification.Verification) error {
	return tx.Create(ctx, v, &verification.Transition{
		VerificationID: v.ID, Version: 1, Scope: v.Scope, To: verification.Created,
		Event: verification.Started, Source: verification.SourceCaller, CreateTime: v.CreateTime,
	})
}

func insert(t testing.TB, s *store.Store, change func(v *verification.Verification)) *verification.Verification {
	t.Helper()
	v := fresh()
	if change != nil {
		change(v)
	}
	if err := s.InTx(t.Context(), func(tx verification.Tx) error { return create(t.Context(), tx, v) }); err != nil {
		t.Fatal(err)
	}
	return v
}

// step moves a verification one version on.
func step(ctx context.Context, s *store.Store, id uuid.UUID) error {
	return s.InTx(ctx, func(tx verification.Tx) error {
		v, err := tx.Lock(ctx, shop, id)
		if err != nil {
			return err
		}
		from := v.State
		v.State = verification.Pending
		if from == verification.Pending {
			v.State = verification.Processing
		}
		v.Version++
		return tx.Save(ctx, v, &verification.Transition{
			VerificationID: id, Version: v.Version, Scope: v.Scope, From: from, To: v.State,
			Event: verification.SessionOpened, Source: verification.SourceGateway, CreateTime: v.CreateTime,
		})
	})
}

func wantKind(t testing.TB, err error, kind verification.Kind) {
	t.Helper()
	if err == nil || verification.KindOf(err) != kind {
		t.Fatalf("the error is %v (%s), want kind %s", err, verification.KindOf(err), kind)
	}
}
