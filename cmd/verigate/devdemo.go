package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/web"
)

// demoPage is the page at / of a development gateway that serves at url. It lets
// go of whoever listens to it when ctx ends.
func demoPage(ctx context.Context, url string, key secret.Value, log *slog.Logger) (http.Handler, error) {
	verifier, err := standardwebhooks.NewWebhook(devCallbackSecret)
	if err != nil {
		return nil, fmt.Errorf("the demo page's callback secret: %w", err)
	}
	return web.Handler(web.Options{
		Client: apiClient(url, key), Flows: demoFlows(), URL: url, Callbacks: verifier,
		Done: ctx.Done(), Now: time.Now, Log: log,
	}), nil
}

func demoFlows() []web.Flow {
	return []web.Flow{
		{Name: "identity", Title: "Identity", Description: "VerifyHuman makes a hosted page for one person, good for one run."},
		{Name: "age-gate", Title: "Age gate", Description: "VerifyHuman’s one stable page that everybody shares; it sends nobody back, and a run that is left half done holds up the next."},
		{Name: "kyc", Title: "KYC", Description: "AiPrise asks for a name and a date of birth; what is entered decides."},
	}
}
