package main

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// The development gateway's fixed names, so that scripts and documents can rely
// on them. The secrets protect nothing: they belong to a sandbox that only
// loopback reaches.
const (
	sandboxPath          = "/sandbox/verifyhuman"
	sandboxConnection    = "verifyhuman-sandbox"
	sandboxWebhookSecret = "whsec_sandbox_verifyhuman"
	sandboxAPIKey        = "vhk_test_sandbox"
	ageGateSlug          = "age-gate"
	aipriseSandboxPath   = "/sandbox/aiprise"
	aipriseConnection    = "aiprise-sandbox"
	aipriseSandboxKey    = "sandbox-aiprise-key"
	// aipriseTemplate is any UUID: the sandbox has no dashboard to make one in.
	aipriseTemplate = "00000000-0000-4000-8000-000000000001"
	// devCallbackSecret signs the callbacks of a development gateway.
	devCallbackSecret = "whsec_c2FuZGJveC1jYWxsYmFjay1zZWNyZXQtMzItYnl0ZXM="
	// issuerPath is the sandbox issuer of end users' tokens, issuerAudience the
	// name of this API there.
	issuerPath     = "/sandbox/issuer"
	issuerAudience = "verigate-dev"
)

func devScope() verification.Scope {
	return verification.Scope{Project: "dev", Environment: verification.Test}
}

// devConfig is the configuration that `dev` runs on. The adapters are the real
// ones; nothing behind them knows that the providers are sandboxes.
func devConfig(url string, dsn secret.Value, files *devFiles, watch devWatch) *config.Config {
	settings := &verifyhuman.Settings{
		BaseURL: url + sandboxPath, APIKey: secret.New(sandboxAPIKey), AuthScheme: verifyhuman.AuthBearer,
		WebhookSecrets: []secret.Value{secret.New(sandboxWebhookSecret)}, SignatureMode: verifyhuman.SignatureAuto,
		TimestampTolerance: verifyhuman.DefaultTimestampTolerance, Timeout: verifyhuman.DefaultTimeout,
		ClientKey: secret.New(sandboxAPIKey), Environment: verification.Test,
	}
	aipriseSettings := &aiprise.Settings{
		BaseURL: url + aipriseSandboxPath + "/api/v1", APIKeys: []secret.Value{secret.New(aipriseSandboxKey)},
		Timeout: aiprise.DefaultTimeout, Environment: verification.Test,
	}
	return &config.Config{
		PublicURL: url, WebhooksURL: url, DatabaseURL: dsn,
		ClientTokenKeys: []config.Key{{ID: "dev", Secret: files.tokenKey}},
		EncryptionKeys:  []config.Key{{ID: "dev", Secret: files.encryptionKey}},
		Retention:       config.Retention{Deliveries: devRetention, Events: devRetention},
		Callbacks:       []config.Callbacks{{Scope: devScope(), Secrets: []secret.Value{secret.New(devCallbackSecret)}}},
		EndUsers: []config.EndUsers{{
			Scope: devScope(), Issuer: url + issuerPath, Audiences: []string{issuerAudience},
			Algorithms: []string{"ES256"}, SubjectClaim: "sub",
		}},
		Watch: config.Watch{
			Heartbeat: watch.heartbeat, MaxAge: watch.maxAge,
			PollInterval: 500 * time.Millisecond, MaxWatchers: 10_000, MaxPerToken: 64,
		},
		Drain: 500 * time.Millisecond,
		Connections: []config.Connection{
			{Name: sandboxConnection, Scope: devScope(), Provider: verifyhuman.Name, Dedicated: true, Settings: settings},
			{Name: aipriseConnection, Scope: devScope(), Provider: aiprise.Name, Settings: aipriseSettings},
		},
		Flows: []verification.Flow{
			devFlow("identity", "verifyidentity", ""),
			devFlow("age-gate", "verifyage", url+sandboxPath+"/flow/"+ageGateSlug),
			devKYC(),
		},
	}
}

// devRetention is how long `dev` keeps what providers delivered, and events.
const devRetention = 30 * 24 * time.Hour

func devFlow(name, product, hostedURL string) verification.Flow {
	return verification.Flow{
		Name: name, Scope: devScope(), Connection: sandboxConnection, Product: product, HostedURL: hostedURL,
		EndUsers: true, Inferred: true, ReturnWindow: time.Minute, Lifetime: 15 * time.Minute, Grace: 5 * time.Minute,
		FetchAfter:       devFetchAfter,
		AllowedRedirects: []string{"myapp://", "http://127.0.0.1", "http://localhost", "http://[::1]"},
	}
}

// devFetchAfter is how soon `dev` asks a provider that did not say what became of
// somebody who came back: soon enough to be seen.
const devFetchAfter = 10 * time.Second

// devKYC is AiPrise's flow: what it sends names its verification.
func devKYC() verification.Flow {
	flow := devFlow("kyc", aipriseTemplate, "")
	flow.Connection, flow.Inferred = aipriseConnection, false
	return flow
}

// lateHandler is a route whose handler needs the server that it is mounted on.
type lateHandler struct{ handler atomic.Pointer[http.Handler] }

func (l *lateHandler) set(h http.Handler) { l.handler.Store(&h) }

func (l *lateHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := l.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	http.Error(w, "starting", http.StatusServiceUnavailable)
}
