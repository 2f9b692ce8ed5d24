package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

func TestNotifyReachesListenersWithEachMessage(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN a_channel"); err != nil {
		t.Fatal(err)
	}
	longest := strings.Repeat("x", 7999)
	if err := s.Notify(ctx, "a_channel", []string{"one", longest}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", longest} {
		got, err := conn.WaitForNotification(ctx)
		if err != nil || got.Payload != want {
			t.Fatalf("got %v, %v; want %s", got, err, want)
		}
	}
	wantKind(t, s.Notify(ctx, "a_channel", []string{longest + "x"}), verification.KindInternal)
}

func TestIdentityBelongsToTheDatabase(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	var got []string
	for _, at := range []string{dsn, dsn, pgtest.NewEmpty(t)} {
		identity, err := open(t, at).Identity(t.Context())
		if err != nil || len(identity) != 16 {
			t.Fatalf("got %q, %v", identity, err)
		}
		got = append(got, identity)
	}
	if got[0] != got[1] || got[0] == got[2] {
		t.Errorf("the same database twice and another are %v", got)
	}
}
