package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// audited lists entries, newest first.
func audited(t *testing.T, api verigatev1connect.OperatorServiceClient, r *verigatev1.ListAuditEntriesRequest) []*verigatev1.AuditEntry {
	t.Helper()
	var all []*verigatev1.AuditEntry
	for {
		list, err := api.ListAuditEntries(t.Context(), r)
		if err != nil {
			t.Fatalf("ListAuditEntries: %v", err)
		}
		all = append(all, list.GetEntries()...)
		if r.PageToken = list.GetNextPageToken(); r.GetPageToken() == "" {
			return all
		}
	}
}

// operate makes an operator's call with a request id, and returns the answer.
func (g *gateway) operate(key, call, body, requestID string) string {
	g.t.Helper()
	a := callAt(g.t, newHTTPClient(g.t, false, key), http.MethodPost, g.operator+"/verigate.v1.OperatorService/"+call, body,
		"Content-Type: application/json", "X-Request-Id: "+requestID)
	if a.status != http.StatusOK {
		g.t.Fatalf("%s: %d %s", call, a.status, a.body)
	}
	return a.body
}

func TestTheAuditLogTellsWhoDidWhatWhenAndFromWhere(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	key := g.newOperatorKey(shopTest())
	startFor(t, g.api(g.key), "marked-subject", "")
	target := keyID(g.newKey(shopTest()))
	g.operate(key, "CreateApiKey", `{"name":"checkout","scopes":["verifications:read"]}`, "audit-1")
	g.operate(key, "RotateApiKey", `{"id":"`+target+`","overlap":"3600s"}`, "audit-2")
	g.operate(key, "RevokeApiKey", `{"id":"`+target+`"}`, "audit-3")
	g.operate(key, "RevokeApiKey", `{"id":"`+target+`"}`, "audit-3-again")
	g.operate(key, "EraseSubject", `{"subject":"marked-subject","reason":"ticket 44"}`, "audit-4")
	g.reload()
	broken := func() (*config.Config, error) {
		return config.Parse([]byte("public_url: marked\ndatabase_url: marked\n"), "verigate.yaml", nil, false)
	}
	if err := g.server.ReloadFrom(t.Context(), broken); err == nil {
		t.Fatal("a broken configuration was taken")
	}
	entries := audited(t, g.operatorAPI(key), &verigatev1.ListAuditEntriesRequest{PageSize: 2})
	for i, want := range []struct{ action, actor, address, request, target, detail string }{
		{"configuration.refuse", "signal", "", "", "", "problems"},
		{"configuration.reload", "signal", "", "", "", "needs_a_restart"},
		{"subject.erase", "key:" + keyID(key), "127.0.0.1", "audit-4", "", "reason"},
		{"api_key.revoke", "key:" + keyID(key), "127.0.0.1", "audit-3", target, ""},
		{"api_key.rotate", "key:" + keyID(key), "127.0.0.1", "audit-2", target, "successor"},
		{"api_key.create", "key:" + keyID(key), "127.0.0.1", "audit-1", "", "scopes"},
		{"api_key.create", "command:test@host", "", "", target, "scopes"},
		{"api_key.create", "command:test@host", "", "", keyID(key), "scopes"},
		{"api_key.create", "command:test@host", "", "", keyID(g.key), "scopes"},
	} {
		if i >= len(entries) {
			t.Fatalf("only %d entries", len(entries))
		}
		e := entries[i]
		if e.GetAction() != want.action || e.GetActor() != want.actor || e.GetAddress() != want.address || e.GetRequestId() != want.request ||
			(want.target != "" && e.GetTarget() != want.target) || e.GetCreateTime() == nil {
			t.Errorf("entry %d is %v, want %+v", i, e, want)
		}
		if _, told := e.GetDetails()[want.detail]; want.detail != "" && !told {
			t.Errorf("entry %d does not tell its %s: %v", i, want.detail, e)
		}
		if strings.Contains(e.String(), "marked") {
			t.Errorf("entry %d holds what it must not: %v", i, e)
		}
	}
	if len(entries) != 9 {
		t.Errorf("%d entries, want 9: %v", len(entries), entries)
	}
	for _, r := range []*verigatev1.ListAuditEntriesRequest{{Action: "api_key.rotate"}, {Target: target, Action: "api_key.revoke"}} {
		if found := audited(t, g.operatorAPI(key), r); len(found) != 1 {
			t.Errorf("%v finds %v, want one", r, found)
		}
	}
}

func TestAReloadWhileTheDatabaseIsAwayIsInTheAuditLogLater(t *testing.T) {
	t.Parallel()
	line := newCable(t, pgtest.New(t))
	g := openOn(t, line.dsn, nil)
	key := g.newOperatorKey(shopTest())
	line.cut()
	if err := g.server.ReloadFrom(t.Context(), func() (*config.Config, error) { return g.options.Config, nil }); err != nil {
		t.Fatalf("ReloadFrom: %v", err)
	}
	line.mend()
	api := g.operatorAPI(key)
	eventually(t, "the entry is there", func() bool {
		list, err := api.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{Action: "configuration.reload"})
		return err == nil && len(list.GetEntries()) == 1
	})
}

func TestEveryTenantsOperatorSeesReloadsAndNobodyElsesKeys(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	g.reload()
	acme := g.newOperatorKey(acmeTest())
	entries := audited(t, g.operatorAPI(acme), &verigatev1.ListAuditEntriesRequest{})
	if len(entries) != 2 || entries[0].GetTarget() != keyID(acme) || entries[1].GetAction() != "configuration.reload" {
		t.Errorf("it sees %v", entries)
	}
}

func TestTheDatabaseRefusesToChangeOrDeleteAuditEntries(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, nil)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, statement := range []string{
		"UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry", "TRUNCATE audit_entry",
	} {
		if _, err := conn.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v, want it refused", statement, err)
		}
	}
	if rows := rowsOf(t, dsn, "SELECT actor FROM audit_entry"); len(rows) != 1 || rows[0][0] != "command:test@host" {
		t.Errorf("the log is now %v, %s", rows, g.url)
	}
}

func TestARefusedOperatorCallLeavesNoEntryAndChangesNothing(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	before := rowsOf(t, g.options.Config.DatabaseURL.Reveal(), "SELECT count(*) FROM audit_entry")
	api := g.operatorAPI(g.key)
	for _, call := range []func() error{
		func() error {
			_, err := api.RevokeApiKey(t.Context(), &verigatev1.RevokeApiKeyRequest{Id: keyID(g.key)})
			return err
		},
		func() error {
			_, err := api.CreateApiKey(t.Context(), &verigatev1.CreateApiKeyRequest{Name: "mine", Scopes: []string{"operator"}})
			return err
		},
	} {
		if call() == nil {
			t.Error("a backend's key changed keys")
		}
	}
	if after := rowsOf(t, g.options.Config.DatabaseURL.Reveal(), "SELECT count(*) FROM audit_entry"); after[0][0] != before[0][0] {
		t.Errorf("%v entries before, %v after", before, after)
	}
	if err := g.works(g.key); err != nil {
		t.Errorf("the key: %v", err)
	}
}
