package rpc_test

import (
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
)

// wantField fails unless err is about one field, which its details name.
func wantField(t *testing.T, what string, err error, field string) {
	t.Helper()
	wantCode(t, what, err, connect.CodeInvalidArgument, "")
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		return
	}
	_, details := shown(t, err)
	for _, detail := range details {
		switch d := detail.(type) {
		case *validate.Violations:
			for _, v := range d.GetViolations() {
				if path := v.GetField().GetElements(); len(path) > 0 && path[0].GetFieldName() == field {
					return
				}
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				if v.GetField() == field {
					return
				}
			}
		}
	}
	t.Errorf("%s: no detail of %v names the field %s", what, err, field)
}

func TestAFieldThatBreaksItsRuleIsNamed(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	_, backend := g.key(t, access.BackendScopes()...)
	v := g.as(t, backend)
	const id = "0011223344556677"
	seconds := func(s int64) *durationpb.Duration { return &durationpb.Duration{Seconds: s} }
	createKey := func(r *verigatev1.CreateApiKeyRequest) func() error {
		return func() error { _, err := o.CreateApiKey(t.Context(), r); return err }
	}
	rotate := func(r *verigatev1.RotateApiKeyRequest) func() error {
		return func() error { _, err := o.RotateApiKey(t.Context(), r); return err }
	}
	revoke := func(id string) func() error {
		return func() error {
			_, err := o.RevokeApiKey(t.Context(), &verigatev1.RevokeApiKeyRequest{Id: id})
			return err
		}
	}
	erase := func(subject, reason string) func() error {
		return func() error {
			_, err := o.EraseSubject(t.Context(), &verigatev1.EraseSubjectRequest{Subject: subject, Reason: reason})
			return err
		}
	}
	audit := func(r *verigatev1.ListAuditEntriesRequest) func() error {
		return func() error { _, err := o.ListAuditEntries(t.Context(), r); return err }
	}
	start := func(r *verigatev1.StartVerificationRequest) func() error {
		return func() error { _, err := v.StartVerification(t.Context(), r); return err }
	}
	read := []string{"verifications:read"}
	before := len(g.vault.entries)
	for name, c := range map[string]struct {
		field string
		call  func() error
	}{
		"a key without a name":          {"name", createKey(&verigatev1.CreateApiKeyRequest{Scopes: read})},
		"a name that is too long":       {"name", createKey(&verigatev1.CreateApiKeyRequest{Name: strings.Repeat("n", 101), Scopes: read})},
		"a name of two lines":           {"name", createKey(&verigatev1.CreateApiKeyRequest{Name: "a\nb", Scopes: read})},
		"a name with a zero":            {"name", createKey(&verigatev1.CreateApiKeyRequest{Name: "a\x00b", Scopes: read})},
		"a key without scopes":          {"scopes", createKey(&verigatev1.CreateApiKeyRequest{Name: "n"})},
		"an unknown scope":              {"scopes", createKey(&verigatev1.CreateApiKeyRequest{Name: "n", Scopes: []string{"everything"}})},
		"a scope twice":                 {"scopes", createKey(&verigatev1.CreateApiKeyRequest{Name: "n", Scopes: append(read, read...)})},
		"a key for half a minute":       {"expires_in", createKey(&verigatev1.CreateApiKeyRequest{Name: "n", Scopes: read, ExpiresIn: seconds(30)})},
		"a key that ended":              {"expires_in", createKey(&verigatev1.CreateApiKeyRequest{Name: "n", Scopes: read, ExpiresIn: seconds(-60)})},
		"a key for a lifetime":          {"expires_in", createKey(&verigatev1.CreateApiKeyRequest{Name: "n", Scopes: read, ExpiresIn: seconds(315360001)})},
		"rotating no id":                {"id", rotate(&verigatev1.RotateApiKeyRequest{})},
		"rotating a whole key":          {"id", rotate(&verigatev1.RotateApiKeyRequest{Id: backend})},
		"a negative overlap":            {"overlap", rotate(&verigatev1.RotateApiKeyRequest{Id: id, Overlap: seconds(-1)})},
		"an overlap of more than month": {"overlap", rotate(&verigatev1.RotateApiKeyRequest{Id: id, Overlap: seconds(2592001)})},
		"revoking an id in capitals":    {"id", revoke("00112233445566AA")},
		"revoking a short id":           {"id", revoke("0011")},
		"erasing nobody":                {"subject", erase("", "ticket")},
		"erasing without a reason":      {"reason", erase("alice", "")},
		"erasing for two lines":         {"reason", erase("alice", "a\nb")},
		"erasing a zero":                {"subject", erase("a\x00", "ticket")},
		"erasing the erased":            {"subject", erase("[erased]", "ticket")},
		"a page of too many":            {"page_size", audit(&verigatev1.ListAuditEntriesRequest{PageSize: 201})},
		"a page of less than none":      {"page_size", audit(&verigatev1.ListAuditEntriesRequest{PageSize: -1})},
		"an action that is too long":    {"action", audit(&verigatev1.ListAuditEntriesRequest{Action: strings.Repeat("a", 65)})},
		"a target with a zero":          {"target", audit(&verigatev1.ListAuditEntriesRequest{Target: "a\x00"})},
		"a page token that is none":     {"page_token", audit(&verigatev1.ListAuditEntriesRequest{PageToken: "AAAA"})},
		"a page token with a space":     {"page_token", audit(&verigatev1.ListAuditEntriesRequest{PageToken: "A A"})},
		"a start without a subject":     {"subject", start(&verigatev1.StartVerificationRequest{Flow: "identity"})},
		"a start of two lines":          {"subject", start(&verigatev1.StartVerificationRequest{Flow: "identity", Subject: "a\nb"})},
	} {
		wantField(t, name, c.call(), c.field)
	}
	if n := len(g.vault.entries); n != before {
		t.Errorf("%d calls that were refused changed something", n-before)
	}
	if strings.Contains(g.logs.String(), backend) {
		t.Error("a key that was sent as an id is in the log")
	}
}

func TestEveryLimitOfAFieldIsWithinIt(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	longest := 10 * 365 * 24 * time.Hour
	made, err := o.CreateApiKey(t.Context(), &verigatev1.CreateApiKeyRequest{
		Name: strings.Repeat("é", 100), Scopes: []string{"verifications:write", "verifications:read", "events:read", "operator"}, ExpiresIn: durationpb.New(longest),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: made.GetApiKey().GetId(), Overlap: durationpb.New(30 * 24 * time.Hour)}); err != nil {
		t.Error(err)
	}
	if _, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{PageSize: 200}); err != nil {
		t.Error(err)
	}
	if err := g.lists(t, made.GetSecret()); err != nil {
		t.Error(err)
	}
}
