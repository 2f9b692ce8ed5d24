package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// everything is all tables of both schemas, as text.
func (s *site) everything(t *testing.T) string {
	t.Helper()
	conn := s.connect(t)
	rows, err := conn.Query(t.Context(),
		"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'river') ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 15 {
		t.Fatalf("found the tables %v: %v", tables, err)
	}
	var text strings.Builder
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT r::text FROM "+table+" r")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(table + "\n" + strings.Join(lines, "\n") + "\n")
	}
	return text.String()
}

// The first name is one that AiPrise's sandbox reviews: so it is seen that it got
// there. The others are marks that nobody else writes.
func TestWhatACallerKnowsOfAPersonIsPassedOnAndForgotten(t *testing.T) {
	t.Parallel()
	s := &site{dsn: pgtest.New(t)}
	d := launchDev(t, "--database-url", s.dsn, "--log-level", "debug")
	start := []string{
		"start", "--flow", "kyc", "--subject", "u1", "--idempotency-key", "once", "--json", "--user-data", "first_name=Jane",
		"--user-data", "last_name=Markedlove", "--user-data", "email_address=marked@example.com", "--user-data", "date_of_birth=1907-08-09",
	}
	first, code := d.cli(t, start...)
	if code != exitPass {
		t.Fatalf("start ended with %d: %s\n%s", code, first, d.stderr)
	}
	// It is no part of what the idempotency key is tied to.
	again, code := d.cli(t, append(start, "--user-data", "middle_name=Marked")...)
	var one, other map[string]any
	if err := json.Unmarshal([]byte(first), &one); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(again), &other); err != nil || code != exitPass {
		t.Fatalf("the repeated start ended with %d: %s (%v)", code, again, err)
	}
	id := dig(one, "verification", "id")
	if dig(other, "verification", "id") != id {
		t.Errorf("the repeated start answered %s, want %s", again, id)
	}
	if got := d.finish(t, dig(one, "hostedUrl")); got != "REVIEW" {
		t.Errorf("the provider decided %s, want REVIEW, by the first name", got)
	}
	stored := s.everything(t)
	if !strings.Contains(stored, id) {
		t.Error("the dump of the database lacks the verification")
	}
	for where, text := range map[string]string{"the database": stored, "the log": d.stderr.String(), "the answer": first + again} {
		for _, mark := range []string{"Markedlove", "marked@example.com", "1907-08-09"} {
			if strings.Contains(text, mark) {
				t.Errorf("%s is in %s", mark, where)
			}
		}
	}
}

// finish submits AiPrise's page without a first name, which user_data gave, and
// returns the decision.
func (d *runningDev) finish(t *testing.T, hosted string) string {
	t.Helper()
	page, err := url.Parse(hosted)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"verification_session_id":"` + aipriseSession(page) + `","last_name":"Nobody"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+aipriseSandboxPath+"/verify/complete", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("the page answered %d: %v", response.StatusCode, err)
	}
	return dig(answer, "status")
}
