package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

func TestDeliveriesLoseTheirContentAfterTheRetentionAndAreStillRecognised(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	body := hook(verification.Passed, id)
	g.deliver("fake", body)
	g.deliver("fake", hook(verification.Passed, "nobody"))
	if err := g.server.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if bodies, _ := deliveries(t, g, dsn); string(bodies[0]) != body || len(bodies[1]) == 0 {
		t.Error("a fresh delivery lost its content")
	}
	short := *g.options.Config
	short.Retention = config.Retention{Deliveries: time.Nanosecond}
	if err := g.server.Reload(&short); err != nil {
		t.Fatal(err)
	}
	if err := g.server.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	bodies, effects := deliveries(t, g, dsn)
	if len(bodies) != 2 || bodies[0] != nil || bodies[1] != nil || strings.Join(effects, " ") != "applied unmatched" {
		t.Errorf("after the purge there are %q with the effects %q", bodies, effects)
	}
	left := rowsOf(t, dsn, "SELECT count(*) FROM delivery WHERE headers IS NOT NULL OR body IS NOT NULL OR key_id <> '' OR purge_time IS NULL")
	if left[0][0] != int64(0) {
		t.Errorf("%v deliveries kept something", left[0][0])
	}
	g.deliver("fake", body)
	if _, effects := deliveries(t, g, dsn); effects[2] != "duplicate" {
		t.Errorf("the repeat is %q", effects[2])
	}
	if v := g.state(id); v.GetState() != approved || v.GetVersion() != 3 {
		t.Errorf("it is %v", v)
	}
}

func TestWhatADeliveryBroughtIsStoredSealedAndOpensOnlyUnderItsKey(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	g.deliver("fake", `{"id":"1","kind":"passed","for":"nobody","name":"marked-name"}`)
	for _, row := range rowsOf(t, dsn, "SELECT headers, body, key_id FROM delivery") {
		if row[2] != "e1" {
			t.Errorf("sealed under %q", row[2])
		}
		for i, column := range []string{"headers", "body"} {
			if stored := string(row[i].([]byte)); len(stored) == 0 || containsAny(stored, []string{"marked-name", "Content-Type", "passed"}) {
				t.Errorf("%s is stored as %q", column, stored)
			}
		}
	}
	if bodies, _ := deliveries(t, g, dsn); !strings.Contains(string(bodies[0]), "marked-name") {
		t.Errorf("it opens as %q", bodies[0])
	}
}
