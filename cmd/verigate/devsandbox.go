package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
)

// sandboxes are the providers that a development gateway talks to.
type sandboxes struct {
	verifyhuman *sandbox.VerifyHuman
	aiprise     *sandbox.AiPrise
}

// sandboxFaults are the faults of the run, each provider's own.
type sandboxFaults struct {
	verifyhuman sandbox.Faults
	aiprise     sandbox.AiPriseFaults
}

func openSandboxes(url string, p devParts) (*sandboxes, error) {
	verifyhuman, err := sandbox.NewVerifyHuman(sandbox.Options{
		BaseURL: url + sandboxPath, APIKey: secret.New(sandboxAPIKey),
		WebhookURL: url + "/webhooks/" + sandboxConnection, WebhookSecret: secret.New(sandboxWebhookSecret),
		Flows:  []sandbox.Flow{{Slug: ageGateSlug, Product: "verifyage", PageTitle: "Age check"}},
		Faults: p.faults.verifyhuman, Log: p.log, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	aiprise, err := sandbox.NewAiPrise(sandbox.AiPriseOptions{
		BaseURL: url + aipriseSandboxPath, APIKey: secret.New(aipriseSandboxKey),
		Faults: p.faults.aiprise, Log: p.log, Now: time.Now,
	})
	if err != nil {
		return nil, errors.Join(err, verifyhuman.Close(context.Background()))
	}
	return &sandboxes{verifyhuman: verifyhuman, aiprise: aiprise}, nil
}

func (s *sandboxes) mount(mux *http.ServeMux) {
	mux.Handle(sandboxPath+"/", http.StripPrefix(sandboxPath, s.verifyhuman))
	mux.Handle(aipriseSandboxPath+"/", http.StripPrefix(aipriseSandboxPath, s.aiprise))
}

func (s *sandboxes) close(ctx context.Context) error {
	return errors.Join(s.verifyhuman.Close(ctx), s.aiprise.Close(ctx))
}

// parseFaults gives each setting to the sandboxes that know it. One that none
// takes is an error.
func parseFaults(settings []string) (sandboxFaults, error) {
	encoded, err := faultsJSON(settings)
	if err != nil {
		return sandboxFaults{}, err
	}
	var each map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &each); err != nil {
		return sandboxFaults{}, err
	}
	var faults sandboxFaults
	for _, name := range slices.Sorted(maps.Keys(each)) {
		one, err := json.Marshal(map[string]json.RawMessage{name: each[name]})
		if err != nil {
			return sandboxFaults{}, err
		}
		verifyhuman, verifyhumanErr := faults.verifyhuman.With(one)
		aiprise, aipriseErr := faults.aiprise.With(one)
		if verifyhumanErr != nil && aipriseErr != nil {
			return sandboxFaults{}, usageError("--sandbox-fault: for VerifyHuman: %v; for AiPrise: %v", verifyhumanErr, aipriseErr)
		}
		if verifyhumanErr == nil {
			faults.verifyhuman = verifyhuman
		}
		if aipriseErr == nil {
			faults.aiprise = aiprise
		}
	}
	return faults, nil
}
