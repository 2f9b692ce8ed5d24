package server_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// deliveries returns the opened bodies and the effects of what a node's
// database holds of shopTest; a purged body is nil.
func deliveries(t *testing.T, g *gateway, dsn string) (bodies [][]byte, effects []string) {
	t.Helper()
	for _, row := range rowsOf(t, dsn, "SELECT id, effect FROM delivery WHERE project = 'shop' AND environment = 'test' ORDER BY receive_time, id") {
		id := uuid.UUID(row[0].([16]byte))
		d, err := g.server.Store().Delivery(t.Context(), shopTest(), id)
		if err != nil {
			t.Fatal(err)
		}
		bodies, effects = append(bodies, d.Body), append(effects, row[1].(string))
	}
	return bodies, effects
}

// rowsOf asks the database itself.
func rowsOf(t *testing.T, dsn, query string, arguments ...any) [][]any {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), query, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatIsNotAWebhookIsRefusedAndNotStored(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	good := hook(verification.Passed, uuid.NewString())
	signed := fakeHeader + ": " + fakeSignature([]byte(good))
	const isJSON = "Content-Type: application/json"
	huge := strings.Repeat(" ", 1<<20) + "{}"
	for _, c := range []struct {
		name, method, path, body string
		lines                    []string
		want                     int
	}{
		{"an unknown connection", http.MethodPost, "/webhooks/nobody", good, []string{isJSON, signed}, http.StatusNotFound},
		{"a path below a connection", http.MethodPost, "/webhooks/fake/x", good, []string{isJSON, signed}, http.StatusNotFound},
		{"another method", http.MethodPut, "/webhooks/fake", good, []string{isJSON, signed}, http.StatusMethodNotAllowed},
		{"a look", http.MethodGet, "/webhooks/fake", "", nil, http.StatusMethodNotAllowed},
		{"no type", http.MethodPost, "/webhooks/fake", good, []string{signed}, http.StatusUnsupportedMediaType},
		{"a form", http.MethodPost, "/webhooks/fake", good, []string{"Content-Type: application/x-www-form-urlencoded", signed}, http.StatusUnsupportedMediaType},
		{"a compressed body", http.MethodPost, "/webhooks/fake", good, []string{isJSON, signed, "Content-Encoding: gzip"}, http.StatusUnsupportedMediaType},
		{"more than a mebibyte", http.MethodPost, "/webhooks/fake", huge, []string{isJSON, fakeHeader + ": " + fakeSignature([]byte(huge))}, http.StatusRequestEntityTooLarge},
		{"no signature", http.MethodPost, "/webhooks/fake", good, []string{isJSON}, http.StatusUnauthorized},
		{"a signature of something else", http.MethodPost, "/webhooks/fake", good + " ", []string{isJSON, signed}, http.StatusUnauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := g.in(t).call(c.method, c.path, c.body, c.lines...)
			if a.status != c.want {
				t.Errorf("answered %d %s, want %d", a.status, a.body, c.want)
			}
			if c.want == http.StatusMethodNotAllowed && a.header.Get("Allow") != http.MethodPost {
				t.Errorf("Allow is %q", a.header.Get("Allow"))
			}
			if c.want == http.StatusUnauthorized && strings.TrimSpace(a.body) != http.StatusText(http.StatusUnauthorized) {
				t.Errorf("the refusal says %q", a.body)
			}
		})
	}
	if bodies, _ := deliveries(t, g, dsn); len(bodies) != 0 {
		t.Errorf("%d refused requests were stored", len(bodies))
	}
	if n := g.metric(`verigate_webhooks_refused_total{connection="fake",reason="signature"}`); n != 2 {
		t.Errorf("%v bad signatures counted, want 2", n)
	}
}

func TestAMebibyteIsTakenAndKeptByteForByte(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	odd := " {\"id\" : \"odd\",\r\n\t\"kind\":\"unheard\" , \"kind\":\"unheard\", \"x\":\"\\u00e9\xc3\xa9\"}\n"
	full := odd + strings.Repeat(" ", 1<<20-len(odd))
	for _, body := range []string{full, "not even JSON \x00\xff"} {
		if a := g.deliver("fake", body); a.status != http.StatusOK {
			t.Fatalf("answered %d %s", a.status, a.body)
		}
	}
	bodies, effects := deliveries(t, g, dsn)
	if len(bodies) != 2 || !bytes.Equal(bodies[0], []byte(full)) || string(bodies[1]) != "not even JSON \x00\xff" {
		t.Errorf("the stored bodies differ from what was sent")
	}
	if strings.Join(effects, " ") != "unknown unreadable" {
		t.Errorf("effects %q", effects)
	}
}

func TestADeliveryIsAppliedOnceHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	api := g.api(g.key)
	id := g.start(api).GetVerification().GetId()
	again := hook(verification.Passed, id)
	for range 3 {
		if a := g.deliver("fake", again); a.status != http.StatusOK {
			t.Fatalf("answered %d", a.status)
		}
	}
	g.decide(id, verification.Rejected)
	got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil || got.GetVerification().GetState() != approved || got.GetVerification().GetVersion() != 3 {
		t.Errorf("got %v, %v; want it approved once", got, err)
	}
	if _, effects := deliveries(t, g, dsn); strings.Join(effects, " ") != "applied duplicate duplicate refused" {
		t.Errorf("effects %q", effects)
	}
}

func TestAPingIsAnsweredAndKept(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	if a := g.deliver("fake", hook("ping", "")); a.status != http.StatusOK {
		t.Errorf("answered %d", a.status)
	}
	if _, effects := deliveries(t, g, dsn); strings.Join(effects, " ") != "ping" {
		t.Errorf("effects %q", effects)
	}
}

func TestADeliveryThatCannotBeStoredIsAskedForAgain(t *testing.T) {
	t.Parallel()
	line := newCable(t, pgtest.New(t))
	g := openOn(t, line.dsn, nil)
	api := g.api(g.key)
	id := g.start(api).GetVerification().GetId()
	body := hook(verification.Passed, id)
	line.cut()
	a := g.deliver("fake", body)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("without a database: %d, Retry-After %q; want 503 with it", a.status, a.header.Get("Retry-After"))
	}
	line.mend()
	eventually(t, "the database is back", func() bool { return g.call(http.MethodGet, "/readyz", "").status == http.StatusOK })
	if a := g.deliver("fake", body); a.status != http.StatusOK {
		t.Errorf("the retry was answered with %d", a.status)
	}
	got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil || got.GetVerification().GetState() != approved {
		t.Errorf("got %v, %v; want it approved", got, err)
	}
}
