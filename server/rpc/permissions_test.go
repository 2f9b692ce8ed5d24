package rpc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/rpc"
)

// procedures are all that the contract has.
func procedures() []string {
	var all []string
	protoregistry.GlobalFiles.RangeFilesByPackage(verigatev1.File_verigate_v1_operator_service_proto.Package(), func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				all = append(all, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
			}
		}
		return true
	})
	return all
}

// callers are one of each kind, by name.
func callers() map[string]access.Principal {
	key := func(scopes ...access.KeyScope) access.Principal {
		return access.Principal{Scope: scope(), KeyID: "0011223344556677", KeyScopes: scopes}
	}
	return map[string]access.Principal{
		"write":           key(access.VerificationsWrite),
		"read":            key(access.VerificationsRead),
		"events":          key(access.EventsRead),
		"operator":        key(access.OperatorScope),
		"backend":         key(access.BackendScopes()...),
		"every scope":     key(access.KeyScopes()...),
		"no scope":        key(),
		"an odd scope":    key("verifications"),
		"a client token":  {Scope: scope(), VerificationID: uuid.Must(uuid.NewV7())},
		"an end user":     {Scope: scope(), Subject: "alice"},
		"nobody":          {},
		"a scoped nobody": {KeyScopes: access.KeyScopes()},
	}
}

// permitted is who may call what: the table of the package, written down a
// second time on purpose. It is never read without every procedure being in it.
func permitted() map[string][]string {
	write, read := []string{"write", "backend", "every scope"}, []string{"read", "backend", "every scope"}
	watches := append(slices.Clone(read), "a client token", "an end user")
	operates := []string{"operator", "every scope"}
	return map[string][]string{
		verigatev1connect.VerificationServiceStartVerificationProcedure:  append(slices.Clone(write), "an end user"),
		verigatev1connect.VerificationServiceGetVerificationProcedure:    watches,
		verigatev1connect.VerificationServiceWatchStatusProcedure:        watches,
		verigatev1connect.VerificationServiceListVerificationsProcedure:  read,
		verigatev1connect.VerificationServiceCancelVerificationProcedure: write,
		verigatev1connect.EventServiceStreamEventsProcedure:              {"events", "backend", "every scope"},
		verigatev1connect.EventServiceListEventsProcedure:                {"events", "backend", "every scope"},
		verigatev1connect.OperatorServiceCreateApiKeyProcedure:           operates,
		verigatev1connect.OperatorServiceListApiKeysProcedure:            operates,
		verigatev1connect.OperatorServiceRotateApiKeyProcedure:           operates,
		verigatev1connect.OperatorServiceRevokeApiKeyProcedure:           operates,
		verigatev1connect.OperatorServiceEraseSubjectProcedure:           operates,
		verigatev1connect.OperatorServiceListAuditEntriesProcedure:       operates,
		verigatev1connect.OperatorServiceBindDeliveryProcedure:           operates,
		verigatev1connect.OperatorServiceReplayDeliveryProcedure:         operates,
		verigatev1connect.OperatorServiceGetDeliveryProcedure:            operates,
		verigatev1connect.OperatorServiceListDeliveriesProcedure:         operates,
		verigatev1connect.OperatorServiceOverrideVerificationProcedure:   operates,
		verigatev1connect.OperatorServiceGetTimelineProcedure:            operates,
		verigatev1connect.OperatorServiceListCallbacksProcedure:          operates,
		verigatev1connect.OperatorServiceGetCallbackProcedure:            operates,
		verigatev1connect.OperatorServiceRetryCallbackProcedure:          operates,
		verigatev1connect.OperatorServiceRetryDeadCallbacksProcedure:     operates,
	}
}

func TestEveryProcedureOfTheContractSaysWhoMayCallIt(t *testing.T) {
	t.Parallel()
	contract, table := procedures(), rpc.Permitted()
	slices.Sort(contract)
	slices.Sort(table)
	if len(contract) < 11 || !slices.Equal(contract, table) {
		t.Errorf("the contract has\n%s\nand the table\n%s", strings.Join(contract, "\n"), strings.Join(table, "\n"))
	}
}

func TestAProcedureThatIsNotInTheTableIsForNobody(t *testing.T) {
	t.Parallel()
	for _, procedure := range []string{"", "/verigate.v1.VerificationService/Approve", "/verigate.v1.EventService/PurgeEvents", "/grpc.health.v1.Health/Check"} {
		for name, p := range callers() {
			if rpc.Permits(procedure, p) {
				t.Errorf("%s may call %q", name, procedure)
			}
		}
	}
}

// as is an authenticator that takes everybody for one principal.
type as struct {
	everybody

	who access.Principal
}

func (a as) Authenticate(context.Context, string) (access.Principal, error) { return a.who, nil }

func TestEachCallerReachesWhatIsForItAndNothingElse(t *testing.T) {
	t.Parallel()
	table := permitted()
	reached := errors.New("reached")
	handler := func(context.Context, connect.Spec, connect.ServerStream) error { return reached }
	for _, procedure := range procedures() {
		may, known := table[procedure]
		if !known {
			t.Errorf("nobody says who may call %s", procedure)
		}
		for name, p := range callers() {
			gate := rpc.Authenticate(as{who: p}, &calls{}, slog.New(slog.DiscardHandler))
			err := gate(handler)(t.Context(), connect.Spec{Procedure: procedure}, nil)
			if slices.Contains(may, name) {
				if !errors.Is(err, reached) {
					t.Errorf("%s may not call %s: %v", name, procedure, err)
				}
				continue
			}
			wantUnauthenticated(t, name+" calls "+procedure, err)
			if errors.Is(err, reached) {
				t.Errorf("%s reached %s", name, procedure)
			}
		}
	}
}

// post makes one call as the wire has it.
func (g *gateway) post(t *testing.T, procedure, authorization string) (status int, header http.Header, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+procedure, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	line := &http.Transport{}
	defer line.CloseIdleConnections()
	response, err := line.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	header = response.Header.Clone()
	for _, changing := range []string{"Date", "X-Request-Id"} {
		header.Del(changing)
	}
	return response.StatusCode, header, string(text)
}

func TestEveryRefusedCredentialGetsTheSameAnswerOnTheWire(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	events, operator := access.EventsRead, access.OperatorScope
	_, eventsKey := g.key(t, events)
	_, operatorKey := g.key(t, operator)
	_, backend := g.key(t, access.BackendScopes()...)
	refused := map[string]map[string]string{
		verigatev1connect.VerificationServiceListVerificationsProcedure: {
			"no_credential": "", "token": "Bearer nonsense", "unknown_key": "Bearer vg_test_0011223344556677_x",
			"wrong_environment": "Bearer " + strings.Replace(backend, "vg_test_", "vg_live_", 1), "access_token": "Bearer user:",
			"scope": "Bearer " + eventsKey, "not_for_client_tokens": "Bearer " + g.token(t), "not_for_end_users": "Bearer user:alice",
		},
		verigatev1connect.VerificationServiceCancelVerificationProcedure: {
			"scope": "Bearer " + operatorKey, "not_for_client_tokens": "Bearer " + g.token(t), "not_for_end_users": "Bearer user:alice",
		},
		verigatev1connect.OperatorServiceCreateApiKeyProcedure: {
			"scope": "Bearer " + backend, "not_for_client_tokens": "Bearer " + g.token(t), "not_for_end_users": "Bearer user:alice",
		},
	}
	wantStatus, wantHeader, wantBody := g.post(t, verigatev1connect.VerificationServiceListVerificationsProcedure, "")
	if wantStatus != http.StatusUnauthorized || !strings.Contains(wantBody, access.ErrUnauthenticated.Error()) {
		t.Fatalf("without a credential: %d %s", wantStatus, wantBody)
	}
	for procedure, credentials := range refused {
		for reason, authorization := range credentials {
			before := len(g.calls.reasons())
			status, header, body := g.post(t, procedure, authorization)
			if status != wantStatus || body != wantBody || !sameHeader(header, wantHeader) {
				t.Errorf("%s, %s: %d %v %s, want %d %v %s", procedure, reason, status, header, body, wantStatus, wantHeader, wantBody)
			}
			if told := g.calls.reasons()[before:]; len(told) != 1 || told[0] != reason {
				t.Errorf("%s: the operator is told %v, want %s", procedure, told, reason)
			}
		}
	}
	for _, text := range []string{eventsKey, operatorKey, backend, g.token(t)} {
		if strings.Contains(g.logs.String(), text[len(text)-20:]) {
			t.Error("a credential is in the log")
		}
	}
	if log := g.logs.String(); !strings.Contains(log, `"address":"127.0.0.1"`) || !strings.Contains(log, `"reason":"scope"`) {
		t.Errorf("the log does not tell from where, or why: %s", log)
	}
}

func sameHeader(one, two http.Header) bool {
	if len(one) != len(two) {
		return false
	}
	for name := range one {
		if !slices.Equal(one[name], two[name]) {
			return false
		}
	}
	return true
}
