package bus_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/secret"
)

// postgresOver returns a carrier that listens at listenDSN and notifies at dsn.
func postgresOver(t testing.TB, dsn, listenDSN string) bus.Carrier {
	t.Helper()
	carrier, err := bus.Postgres(secret.New(listenDSN), rows(t, dsn).Notify)
	if err != nil {
		t.Fatal(err)
	}
	return carrier
}

func onPostgres(t *testing.T, dsn string) *node {
	t.Helper()
	return join(t, postgresOver(t, dsn, dsn))
}

// ask runs a statement and returns the number that it answers.
func ask(t *testing.T, dsn, statement string, args ...any) (number int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := conn.QueryRow(ctx, statement, args...).Scan(&number); err != nil {
		t.Fatal(err)
	}
	return number
}

func TestNodesOnPostgresHearEachOther(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := onPostgres(t, dsn), onPostgres(t, dsn)
	talk(t, one, two)
	many(t, one, two)
}

func TestDatabasesDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two, stranger := onPostgres(t, dsn), onPostgres(t, dsn), onPostgres(t, pgtest.New(t))
	talk(t, one, two)
	stranger.mu.Lock()
	defer stranger.mu.Unlock()
	if len(stranger.heard) != 0 {
		t.Errorf("another database heard %v", stranger.heard)
	}
}

func TestAListenerThatIsEndedComesBackWithAGap(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := onPostgres(t, dsn), onPostgres(t, dsn)
	onesGaps, twosGaps := one.gaps(), two.gaps()
	ended := ask(t, dsn, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'verigate bus'")
	if ended != 2 {
		t.Errorf("%d listeners were ended, want 2", ended)
	}
	one.wantsGapAfter(onesGaps)
	two.wantsGapAfter(twosGaps)
	talk(t, one, two)
}

// TestStrangersOnTheChannel sends what no node writes.
func TestStrangersOnTheChannel(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := onPostgres(t, dsn), onPostgres(t, dsn)
	ask(t, dsn, "SELECT 1 FROM pg_notify($1, 'rubbish') AS one, pg_notify('another_channel', 'rubbish') AS two", bus.Channel)
	one.until("counts the rubbish", func() bool { return one.dropped[bus.DroppedUnreadable] == 1 })
	talk(t, one, two)
}

// TestTheListenerSettings come from its URL, those of a pool left out.
func TestAURLWithSettings(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	sign := "?"
	if strings.Contains(dsn, "?") {
		sign = "&"
	}
	join(t, postgresOver(t, dsn, dsn+sign+"pool_max_conns=4&application_name=of_its_own"))
	if got := ask(t, dsn, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'of_its_own' AND datname = current_database()"); got != 1 {
		t.Errorf("%d connections bear the name, want 1", got)
	}
}

func TestABadListenerURLNamesItsKeyAndNothingElse(t *testing.T) {
	t.Parallel()
	_, err := bus.Postgres(secret.New("postgres://user:hunter2@host:port/db"), nil)
	if err == nil || !strings.Contains(err.Error(), "bus.postgres.database_url") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// TestADatabaseThatIsAway at the start, or later, is waited for.
func TestADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	line := newCable(t, dsn)
	late, other := run(t, postgresOver(t, dsn, line.dsn)), onPostgres(t, dsn)
	id := uuid.New()
	late.publish(id, 1) // sending needs no listening
	other.wants(id, 1)
	line.plug()
	late.wantsGapAfter(0)
	talk(t, late, other)
	gaps := late.gaps()
	line.cut()
	late.until("notices the cut", func() bool { return !late.connected })
	line.plug()
	late.wantsGapAfter(gaps)
	talk(t, late, other)
}

// TestALineThatDiesInSilence is noticed by asking: it looks like a quiet one.
func TestALineThatDiesInSilence(t *testing.T) {
	t.Parallel()
	dsn, nats := pgtest.New(t), serveNATS(t, nil)
	toPostgres, toNATS := newCable(t, dsn), lay(t)
	toPostgres.plug()
	toNATS.lead(nats.Addr().String())
	options := onNATS(nats)
	options.Servers = []string{"nats://" + toNATS.listener.Addr().String()}
	for name, test := range map[string]struct {
		line       *cable
		one, other bus.Carrier
	}{
		"Postgres": {toPostgres, postgresOver(t, dsn, toPostgres.dsn), postgresOver(t, dsn, dsn)},
		"NATS":     {toNATS, bus.NATS(options), bus.NATS(onNATS(nats))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := join(t, test.one), join(t, test.other)
			talk(t, one, other)
			gaps := one.gaps()
			test.line.deaden()
			one.wantsGapAfter(gaps)
			talk(t, one, other)
		})
	}
}
