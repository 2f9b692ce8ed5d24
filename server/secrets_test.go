package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
)

// configured are the secrets that the node was given.
func (m *marked) configured() []mark {
	secretOf := func(key string) string { return strings.SplitN(key, "_", 4)[3] }
	return []mark{
		{what: "the client tokens' signing secret", text: tokenSecret},
		{what: "the encryption secret", text: encryptionSecret},
		{what: "the callbacks' secret", text: callbackSecret},
		{what: "the provider's API key", text: labKey},
		{what: "the provider's webhook secret", text: labSecret},
		{what: "the webhook secret that rotates out", text: "whsec_rotated_out"},
		{what: "the other provider's webhook secret", text: fakeSecret},
		{what: "the database's password", text: m.password},
		{what: "a backend's key", text: secretOf(m.key)},
		{what: "an operator's key", text: secretOf(m.operatorKey)},
	}
}

// places are all outputs, by name. The node must have stopped, so that nothing
// comes after.
func (m *marked) places(metrics string) map[string]string {
	m.t.Helper()
	cfg := m.options.Config
	asJSON, err := json.Marshal(struct {
		Database, Tokens, Sealing, Callbacks any
	}{cfg.DatabaseURL, cfg.ClientTokenKeys, cfg.EncryptionKeys, cfg.Callbacks})
	if err != nil {
		m.t.Fatal(err)
	}
	printed := fmt.Sprintf("%v\n%+v\n%#v\n%s", cfg, cfg, cfg, asJSON)
	for _, c := range cfg.Connections {
		printed += fmt.Sprintf("%v\n%+v\n%#v\n", c.Settings, c.Settings, c.Settings)
	}
	var traces strings.Builder
	for _, span := range m.spans.GetSpans() {
		fmt.Fprintf(&traces, "%s %v %v %v %v\n", span.Name, span.Attributes, span.Events, span.Status, span.Resource)
	}
	found := map[string]string{
		inLog: m.logs.String(), inMetrics: metrics, inTraces: traces.String(),
		inErrors: m.errors.String(), inAnswers: m.answers.String(), inPrinted: printed,
	}
	for _, c := range rowsOf(m.t, m.dsn, `SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c
		WHERE c.table_schema = 'public'
		  AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = format('public.%I', c.table_name)::regclass)`) {
		table, column := c[0].(string), c[1].(string)
		rows := rowsOf(m.t, m.dsn, `SELECT coalesce(string_agg("`+column+`"::text, E'\n'), '') FROM "`+table+`"`)
		found[table+"."+column] = rows[0][0].(string)
	}
	return found
}

// Everything that a node is told goes in with a mark, through every flow, good
// and bad; then all that it left behind is searched for the marks, plain and
// encoded. What may be where, and why, is in secrets_marks_test.go.
func TestNoSecretAndNothingPersonalComesOutWhereItMayNot(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	m.starts()
	m.faults()
	m.providers()
	m.strangersCalls()
	m.operators()
	m.reloads()
	m.outage()
	metrics := m.exposed()
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	places := m.places(metrics)
	for place, proof := range map[string]string{
		inLog: "panic in a handler", inMetrics: "verigate_rpc_duration_seconds", inTraces: "StartVerification", inErrors: "INVALID",
		inAnswers: markedReference, inPrinted: "[redacted]", "verification.subject": markedSubject, "transition.reason": markedReason,
		"audit_entry.details": markedTicket, "delivery.effect": "unmatched",
	} {
		if !strings.Contains(places[place], proof) {
			t.Errorf("%s does not hold %q, so the search proves nothing: %.2000s", place, proof, places[place])
		}
	}
	for _, effect := range []string{"applied", "duplicate", "unmatched", "unreadable"} {
		if !strings.Contains(places["delivery.effect"], effect) {
			t.Errorf("no delivery was %s", effect)
		}
	}
	search(t, places, slices.Concat(m.configured(), m.secrets, personalMarks(), outsideMarks(), nowhereMarks()))
}

// After the erasure nothing of the person is left but what others told.
func TestAnErasureAfterEverythingLeavesNothingOfThePerson(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	m.starts()
	m.providers()
	for _, subject := range []string{markedSubject, markedUser} {
		m.ask(m.operatorKey, "EraseSubject", map[string]any{"subject": subject, "reason": markedTicket})
	}
	wantNowhere(t, m.dsn, markedSubject, markedUser, markedReference, markedKey, markedValue, markedRedirect, markedCallback,
		markedReason, markedName, markedIdempotency)
	list, err := m.api(m.key).ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageSize: 200})
	if err != nil || len(list.GetVerifications()) != 4 {
		t.Errorf("%d verifications survive, %v; want the four without their persons", len(list.GetVerifications()), err)
	}
}

// The configuration as a whole must print without its secrets, whoever logs it.
func TestAConfigurationPrintsWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	cfg := newConfig("postgres://u:marked-database-password@localhost/x", newFakeProvider())
	cfg.EndUsers = []config.EndUsers{{Scope: shopTest(), Issuer: "https://issuer.test"}}
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), fmt.Sprintf("%s", cfg.ClientTokenKeys), fmt.Sprintf("%q", cfg.EncryptionKeys)} {
		if strings.Contains(text, "marked") || !strings.Contains(text, "[redacted]") {
			t.Errorf("it prints %s", text)
		}
	}
}
