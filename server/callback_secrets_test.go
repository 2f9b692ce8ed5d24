package server_test

import (
	"testing"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

func TestCallbacksNeedASecretOfTheirOwnScope(t *testing.T) {
	t.Parallel()
	g := open(t, func(cfg *config.Config) { cfg.Callbacks = nil })
	start := func(scope verification.Scope) error {
		_, err := g.api(g.newKey(scope)).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
			Flow: "identity", Subject: "u1", CallbackUrl: "https://backend.example.com/verigate",
		})
		return err
	}
	for _, scope := range []verification.Scope{shopTest(), shopLive()} {
		if err := start(scope); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("without secrets %v answers %v", scope, err)
		}
	}
	signed := *g.options.Config
	signed.Callbacks = []config.Callbacks{{Scope: shopTest(), Secrets: []secret.Value{secret.New(callbackSecret)}}}
	if err := g.server.Reload(&signed); err != nil {
		t.Fatal(err)
	}
	if err := start(shopTest()); err != nil {
		t.Errorf("with a secret it answers %v", err)
	}
	if err := start(shopLive()); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("with the secret of tests alone, live answers %v", err)
	}
}
