package rpc_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

// operated is a gateway and an operator at it.
func operated(t *testing.T) (g *gateway, id string, o verigatev1connect.OperatorServiceClient) {
	t.Helper()
	g = newGateway(t, slowTiming())
	id, text := g.key(t, access.OperatorScope)
	return g, id, g.asOperator(t, text)
}

func create(t *testing.T, o verigatev1connect.OperatorServiceClient, scopes ...string) *verigatev1.CreateApiKeyResponse {
	t.Helper()
	made, err := o.CreateApiKey(t.Context(), &verigatev1.CreateApiKeyRequest{Name: "checkout", Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// lists reports whether a key may list verifications.
func (g *gateway) lists(t *testing.T, text string) error {
	t.Helper()
	_, err := g.as(t, text).ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageSize: 1})
	return err
}

func TestACreatedKeyIsShownOnceAndWorks(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	made, err := o.CreateApiKey(t.Context(), &verigatev1.CreateApiKeyRequest{
		Name: "checkout", Scopes: []string{"verifications:read"}, ExpiresIn: durationpb.New(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	key := made.GetApiKey()
	if !strings.HasPrefix(made.GetSecret(), "vg_test_"+key.GetId()+"_") || key.GetName() != "checkout" || key.GetEnvironment() != "test" ||
		!slices.Equal(key.GetScopes(), []string{"verifications:read"}) || key.GetLastUseTime() != nil || key.GetRevokeTime() != nil || key.GetSuccessorId() != "" {
		t.Errorf("made %v", key)
	}
	if life := key.GetExpireTime().AsTime().Sub(key.GetCreateTime().AsTime()); life != time.Hour {
		t.Errorf("it lives %v", life)
	}
	if err := g.lists(t, made.GetSecret()); err != nil {
		t.Errorf("it does not work: %v", err)
	}
	listed, err := o.ListApiKeys(t.Context(), &verigatev1.ListApiKeysRequest{})
	if err != nil || len(listed.GetApiKeys()) != 2 {
		t.Fatalf("listed %v, %v", listed, err)
	}
	if !proto.Equal(listed.GetApiKeys()[1], key) {
		t.Errorf("listed %v, want %v", listed.GetApiKeys()[1], key)
	}
	secretPart := strings.SplitN(made.GetSecret(), "_", 4)[3]
	if strings.Contains(listed.String(), secretPart) || strings.Contains(g.logs.String(), secretPart) {
		t.Error("the secret is shown a second time, or is in the log")
	}
}

func TestARotatedKeyOverlapsWithItsSuccessor(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	old := create(t, o, "verifications:read")
	made, err := o.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: old.GetApiKey().GetId(), Overlap: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if made.GetPredecessor().GetSuccessorId() != made.GetApiKey().GetId() || made.GetPredecessor().GetExpireTime() == nil || made.GetApiKey().GetExpireTime() != nil {
		t.Errorf("rotated %v to %v", made.GetPredecessor(), made.GetApiKey())
	}
	for name, text := range map[string]string{"the old key": old.GetSecret(), "its successor": made.GetSecret()} {
		if err := g.lists(t, text); err != nil {
			t.Errorf("%s during the overlap: %v", name, err)
		}
	}
	_, err = o.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: old.GetApiKey().GetId()})
	wantCode(t, "rotating it again", err, connect.CodeFailedPrecondition, "")
	if !strings.Contains(err.Error(), made.GetApiKey().GetId()) {
		t.Errorf("%v does not name the successor", err)
	}
	g.forward(2 * time.Hour)
	wantUnauthenticated(t, "the old key after it", g.lists(t, old.GetSecret()))
	if err := g.lists(t, made.GetSecret()); err != nil {
		t.Errorf("its successor after it: %v", err)
	}
}

func TestARevokedKeyIsOver(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	made := create(t, o, "verifications:read")
	revoke := &verigatev1.RevokeApiKeyRequest{Id: made.GetApiKey().GetId()}
	done, err := o.RevokeApiKey(t.Context(), revoke)
	if err != nil || done.GetApiKey().GetRevokeTime() == nil {
		t.Fatalf("revoked %v, %v", done, err)
	}
	wantUnauthenticated(t, "the revoked key", g.lists(t, made.GetSecret()))
	again, err := o.RevokeApiKey(t.Context(), revoke)
	if err != nil || !proto.Equal(again, done) {
		t.Errorf("revoked again: %v, %v", again, err)
	}
	refusals := len(g.calls.reasons())
	_, err = o.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: revoke.GetId()})
	wantCode(t, "rotating a revoked key", err, connect.CodeFailedPrecondition, "this key is revoked or expired; create a new one")
	if told := g.calls.reasons()[refusals:]; len(told) != 0 {
		t.Errorf("the operator's own credential counts as refused: %v", told)
	}
}

func TestAKeyOfAnotherScopeIsNotFound(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	live := verification.Scope{Project: "shop", Environment: verification.Live}
	other, _, err := g.admin.Create(t.Context(), live, "live", access.BackendScopes(), 0, verification.Operator{Actor: "signal"})
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{"of live": other.ID, "of nobody": "0000000000000000"} {
		_, err := o.RevokeApiKey(t.Context(), &verigatev1.RevokeApiKeyRequest{Id: id})
		wantCode(t, "revoking a key "+name, err, connect.CodeNotFound, access.ErrKeyNotFound.Error())
		_, err = o.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: id})
		wantCode(t, "rotating a key "+name, err, connect.CodeNotFound, access.ErrKeyNotFound.Error())
	}
	listed, err := o.ListApiKeys(t.Context(), &verigatev1.ListApiKeysRequest{})
	if err != nil || len(listed.GetApiKeys()) != 1 {
		t.Errorf("listed %v, %v; want the operator's own", listed, err)
	}
}

func TestAnErasedSubjectIsGoneAndTheAuditLogDoesNotNameIt(t *testing.T) {
	t.Parallel()
	g, actor, o := operated(t)
	erase := &verigatev1.EraseSubjectRequest{Subject: "alice", Reason: "ticket 4711"}
	done, err := o.EraseSubject(t.Context(), erase)
	if err != nil || done.GetVerifications() != 1 || done.GetCanceled() != 1 || done.GetDeliveries() != 2 {
		t.Fatalf("erased %v, %v", done, err)
	}
	if v := g.row.now(); v.Subject != verification.ErasedSubject || v.State != verification.Canceled {
		t.Errorf("what is left is %+v", v)
	}
	entries, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{Target: done.GetErasureId()})
	if err != nil || len(entries.GetEntries()) != 1 {
		t.Fatalf("the audit log: %v, %v", entries, err)
	}
	e := entries.GetEntries()[0]
	if e.GetActor() != "key:"+actor || e.GetAddress() != "127.0.0.1" || e.GetRequestId() == "" || e.GetAction() != "subject.erase" ||
		e.GetDetails()["reason"] != "ticket 4711" || strings.Contains(e.String(), "alice") {
		t.Errorf("the audit log says %v", e)
	}
	again, err := o.EraseSubject(t.Context(), erase)
	if err != nil || again.GetVerifications() != 0 || again.GetErasureId() == done.GetErasureId() {
		t.Errorf("erased again: %v, %v", again, err)
	}
	_, err = o.EraseSubject(t.Context(), &verigatev1.EraseSubjectRequest{Subject: "bob", Reason: "Bob asked"})
	wantField(t, "a reason that names the subject", err, "reason")
}

func TestEveryChangeOfAKeyIsInTheAuditLogNewestFirst(t *testing.T) {
	t.Parallel()
	_, actor, o := operated(t)
	made := create(t, o, "verifications:read")
	id := made.GetApiKey().GetId()
	rotated, err := o.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: id, Overlap: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := o.RevokeApiKey(t.Context(), &verigatev1.RevokeApiKeyRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{Target: id})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range listed.GetEntries() {
		actions = append(actions, e.GetAction())
		if e.GetActor() != "key:"+actor || e.GetAddress() != "127.0.0.1" || e.GetRequestId() == "" || e.GetCreateTime() == nil || e.GetTarget() != id {
			t.Errorf("the audit log says %v", e)
		}
	}
	if want := []string{"api_key.revoke", "api_key.rotate", "api_key.create"}; !slices.Equal(actions, want) {
		t.Errorf("the audit log says %v, want %v", actions, want)
	}
	for _, text := range []string{made.GetSecret(), rotated.GetSecret()} {
		if strings.Contains(listed.String(), strings.SplitN(text, "_", 4)[3]) {
			t.Error("a secret is in the audit log")
		}
	}
}

func TestACommandInTheProcessIsItsOwnActor(t *testing.T) {
	t.Parallel()
	keys := &vault{}
	o := &rpc.Operator{Keys: &access.Admin{Store: keys, Random: strings.NewReader(strings.Repeat("r", 64)), Now: time.Now}, Audit: keys}
	live := verification.Scope{Project: "shop", Environment: verification.Live}
	made, err := o.CreateApiKey(rpc.AsOperator(t.Context(), live, "command:root@host"), &verigatev1.CreateApiKeyRequest{Name: "n", Scopes: []string{"operator"}})
	if err != nil || made.GetApiKey().GetEnvironment() != "live" {
		t.Fatalf("made %v, %v", made, err)
	}
	if by := keys.entries[0].Operator; by != (verification.Operator{Actor: "command:root@host"}) || keys.entries[0].Scope != live {
		t.Errorf("the audit log says %+v", keys.entries[0])
	}
}

func TestAnAbsentDatabaseIsUnavailableToOperatorsToo(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	g.vault.fail(verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry"))
	for name, call := range map[string]func() error{
		"create": func() error {
			_, err := o.CreateApiKey(t.Context(), &verigatev1.CreateApiKeyRequest{Name: "n", Scopes: []string{"operator"}})
			return err
		},
		"list": func() error { _, err := o.ListApiKeys(t.Context(), &verigatev1.ListApiKeysRequest{}); return err },
		"rotate": func() error {
			_, err := o.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: "0011223344556677"})
			return err
		},
		"revoke": func() error {
			_, err := o.RevokeApiKey(t.Context(), &verigatev1.RevokeApiKeyRequest{Id: "0011223344556677"})
			return err
		},
		"audit": func() error {
			_, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{})
			return err
		},
	} {
		wantCode(t, name, call(), connect.CodeUnavailable, "retry")
	}
}
