package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// serveNATS runs a NATS server that asks for a user.
func serveNATS(t *testing.T) *natsserver.Server {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true, Username: "verigate", Password: "marked-nats-password",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

// hears waits until a node hears itself over its bus.
func (g *gateway) hears(carrier config.BusKind) {
	g.t.Helper()
	eventually(g.t, "the node hears hints", func() bool {
		return g.metric(`verigate_bus_connected{bus="`+string(carrier)+`"}`) == 1
	})
}

// TestOnlyTheBusTells lets the tails of two nodes sleep for an hour.
func TestOnlyTheBusTells(t *testing.T) {
	t.Parallel()
	nats := serveNATS(t)
	for name, over := range map[string]config.Bus{
		"Postgres": {Kind: config.BusPostgres},
		"NATS": {Kind: config.BusNATS, NATS: config.NATS{
			Servers: []string{nats.ClientURL()}, User: "verigate", Password: secret.New("marked-nats-password"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.New(t)
			change := func(c *config.Config) { c.Bus, c.Watch.PollInterval = over, time.Hour }
			one, two := openOn(t, dsn, change), openOn(t, dsn, change)
			one.hears(over.Kind)
			two.hears(over.Kind)
			id := one.start(one.api(one.key)).GetVerification().GetId()
			updates := watch(t, two.api(one.key), &verigatev1.WatchStatusRequest{Id: id})
			if first := updates.next(); first.GetState() != pending {
				t.Fatalf("the stream began with %v", first)
			}
			gaps := two.metric("verigate_hint_gaps_total")
			one.decide(id, verification.Passed)
			if u := updates.next(); u.GetState() != approved || !u.GetTerminal() {
				t.Errorf("the stream said %v", u)
			}
			if now := two.metric("verigate_hint_gaps_total"); now != gaps {
				t.Errorf("a gap told it, not a hint: %v after %v", now, gaps)
			}
			if one.metric("verigate_hints_sent_total") == 0 || two.metric("verigate_hints_received_total") == 0 {
				t.Error("no hint was counted")
			}
			if text := one.logs.String() + two.logs.String(); strings.Contains(text, "marked-nats-password") {
				t.Error("the log has the password of NATS")
			}
		})
	}
}

// TestTheTailTellsWhereThereIsNoBus with its default interval, and where there is
// one that does not work.
func TestTheTailTellsWhereThereIsNoBus(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]config.Bus{
		"none": {Kind: config.BusNone},
		"away": {Kind: config.BusNATS, NATS: config.NATS{Servers: []string{"nats://127.0.0.1:1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.New(t)
			change := func(c *config.Config) { c.Bus, c.Watch.PollInterval = over, 500*time.Millisecond }
			one, two := openOn(t, dsn, change), openOn(t, dsn, change)
			id := one.start(one.api(one.key)).GetVerification().GetId()
			updates := watch(t, two.api(one.key), &verigatev1.WatchStatusRequest{Id: id})
			updates.next()
			one.decide(id, verification.Passed)
			if u := updates.next(); u.GetState() != approved {
				t.Errorf("the stream said %v", u)
			}
			if sent := one.metric("verigate_hints_sent_total"); sent != 0 {
				t.Errorf("%v hints were sent", sent)
			}
		})
	}
}

// TestNoHintIsSentInsideATransaction puts a function of ours before Postgres' own
// pg_notify, which writes down in which transaction it is called.
func TestNoHintIsSentInsideATransaction(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	for _, statement := range []string{
		"CREATE SCHEMA witness",
		"CREATE TABLE witness.notified (channel text, xid xid8)",
		`CREATE FUNCTION witness.pg_notify(channel text, message text) RETURNS void LANGUAGE sql AS $$
			INSERT INTO witness.notified VALUES (channel, pg_current_xact_id());
			SELECT pg_catalog.pg_notify(channel, message);
		$$`,
	} {
		rowsOf(t, dsn, statement)
	}
	witnessed, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := witnessed.Query()
	query.Set("search_path", "witness,pg_catalog,public")
	witnessed.RawQuery = query.Encode()
	g := openOn(t, dsn, func(c *config.Config) {
		c.Bus = config.Bus{Kind: config.BusPostgres}
		c.DatabaseURL = secret.New(witnessed.String())
	})
	api := g.api(g.key)
	for range 5 {
		g.decide(g.start(api).GetVerification().GetId(), verification.Passed)
	}
	eventually(t, "hints are sent", func() bool { return g.metric("verigate_hints_sent_total") >= 5 })
	for query, want := range map[string]bool{
		"SELECT count(*) > 0 FROM witness.notified WHERE channel = '" + bus.Channel + "'":      true,
		"SELECT count(*) > 0 FROM transition":                                                  true,
		"SELECT count(*) > 0 FROM transition AS t JOIN witness.notified AS n ON n.xid = t.xid": false,
	} {
		if got := rowsOf(t, dsn, query)[0][0]; got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
}

// TestABusThatChangesNeedsARestart as a listener does.
func TestABusThatChangesNeedsARestart(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	changed := *g.options.Config
	if keys := g.server.NeedsRestart(&changed); len(keys) != 0 {
		t.Errorf("the same configuration needs a restart for %v", keys)
	}
	changed.Bus = config.Bus{Kind: config.BusPostgres}
	if keys := g.server.NeedsRestart(&changed); len(keys) != 1 || keys[0] != "bus" {
		t.Errorf("another bus needs a restart for %v", keys)
	}
}

// TestABusThatIsAwayStopsNobody: the node is ready, and ends when it should.
func TestABusThatIsAwayStopsNobody(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) {
		c.Bus = config.Bus{Kind: config.BusPostgres, DatabaseURL: secret.New("postgres://nobody@127.0.0.1:1/nothing")}
	})
	eventually(t, "it is told", func() bool { return strings.Contains(g.logs.String(), "hints of other nodes do not arrive") })
	probe := httptest.NewRecorder()
	g.server.Readiness().ServeHTTP(probe, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
	if probe.Code != http.StatusOK {
		t.Errorf("readiness says %d %s", probe.Code, probe.Body)
	}
	g.decide(g.start(g.api(g.key)).GetVerification().GetId(), verification.Passed)
	if err := g.stop(); err != nil {
		t.Error(err)
	}
}
