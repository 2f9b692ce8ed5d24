package rig

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What is in a generated configuration.
const (
	tokenKeyID   = "bench"
	configMode   = 0o600
	secretBytes  = 32
	envDatabase  = "VERIGATE_BENCH_DATABASE_URL"
	envTokens    = "VERIGATE_BENCH_TOKEN_KEY"
	envSealing   = "VERIGATE_BENCH_ENCRYPTION_KEY"
	envWebhooks  = "VERIGATE_BENCH_WEBHOOK_SECRET"
	envProvider  = "VERIGATE_BENCH_PROVIDER_KEY"
	unboundedPer = "1000000/s"
)

// Secrets are those of the gateway that is measured.
type Secrets struct {
	// TokenKeyID names the key that client tokens are signed with, Tokens is it.
	TokenKeyID, Tokens string
	// Webhooks is what the provider's webhooks are signed with.
	Webhooks string
	// Sealing and Provider are for a gateway of the benchmark's own.
	Sealing, Provider string
}

// NewSecrets makes those of one run. The error is that of the system's randomness.
func NewSecrets() (Secrets, error) {
	var texts [4]string
	for i := range texts {
		raw := make([]byte, secretBytes)
		if _, err := rand.Read(raw); err != nil {
			return Secrets{}, fmt.Errorf("making secrets: %w", err)
		}
		texts[i] = base64.StdEncoding.EncodeToString(raw)
	}
	return Secrets{TokenKeyID: tokenKeyID, Tokens: texts[0], Sealing: texts[1], Webhooks: "whsec_" + texts[2], Provider: texts[3]}, nil
}

// GatewayOptions say how a gateway is started.
type GatewayOptions struct {
	// Name is for messages, the log and the configuration's file.
	Name string
	// DSN is its database.
	DSN     string
	Secrets Secrets
	// Folder takes the configuration and the log.
	Folder string
	// Heartbeat and PollInterval are those of watch; zero for the defaults.
	Heartbeat, PollInterval time.Duration
	// Bus is the value of the key bus, left out when empty.
	Bus string
	// ProviderURL is where the provider is. It is on loopback, so the gateway is
	// then started as one for development, which may call it there. Empty for a
	// gateway that calls nobody.
	ProviderURL string
	// Env is added to its environment.
	Env []string
}

// Gateway is one running node.
type Gateway struct {
	// Public and Webhooks are host:port.
	Public, Webhooks string

	process *Process
	pid     int
}

// Running returns a gateway that somebody else started and ends; pid is 0 if it
// is not known.
func Running(public, webhooks string, pid int) *Gateway {
	return &Gateway{Public: public, Webhooks: webhooks, pid: pid}
}

// PID returns the process id, 0 if it is not known.
func (g *Gateway) PID() int { return g.pid }

// Tail returns the end of its log, if the benchmark has it.
func (g *Gateway) Tail() string {
	if g.process == nil {
		return ""
	}
	return g.process.Tail()
}

// Stop ends the gateway if the benchmark started it.
func (g *Gateway) Stop() error {
	if g.process == nil {
		return nil
	}
	return g.process.Stop()
}

// StartGateway writes a configuration and runs `verigate serve` with it.
func StartGateway(ctx context.Context, o GatewayOptions) (*Gateway, error) {
	path := filepath.Join(o.Folder, o.Name+".yaml")
	if err := os.WriteFile(path, []byte(o.config()), configMode); err != nil {
		return nil, fmt.Errorf("writing the configuration of %s: %w", o.Name, err)
	}
	command := []string{"serve"}
	if o.ProviderURL != "" {
		command = []string{"bench", "serve"}
	}
	p, err := StartProcess(ctx, Command{
		Name: o.Name, Folder: o.Folder,
		Args: append(command, "--config", path, "--json", "--log-level", "warn"),
		Env: append([]string{
			envDatabase + "=" + o.DSN, envTokens + "=" + o.Secrets.Tokens, envSealing + "=" + o.Secrets.Sealing,
			envWebhooks + "=" + o.Secrets.Webhooks, envProvider + "=" + o.Secrets.Provider,
		}, o.Env...),
	})
	if err != nil {
		return nil, err
	}
	var said struct {
		Listeners map[string]string `json:"listeners"`
	}
	if err := json.Unmarshal([]byte(p.Ready), &said); err != nil {
		_ = p.Stop() // the first error says more
		return nil, fmt.Errorf("%s said something else than where it listens: %w", o.Name, err)
	}
	return &Gateway{Public: said.Listeners["public"], Webhooks: said.Listeners["webhooks"], process: p, pid: p.PID()}, nil
}

// config is a verigate.yaml. Limits are out of the way, because one client plays
// everybody.
func (o GatewayOptions) config() string {
	names, provider := OwnNames(), o.ProviderURL
	if provider == "" {
		provider = "https://provider.invalid"
	}
	watch := []string{"watch:", "  max_watchers: 1000000", "  max_per_token: 1000", "  max_per_key: 1000000", "  max_age: 1d"}
	if o.Heartbeat > 0 {
		watch = append(watch, "  heartbeat: "+o.Heartbeat.String())
	}
	if o.PollInterval > 0 {
		watch = append(watch, "  poll_interval: "+o.PollInterval.String())
	}
	lines := []string{
		"public_url: https://gateway.invalid",
		"database_url: ${" + envDatabase + "}",
		"listeners:",
		"  public: {address: '127.0.0.1:0'}",
		"  webhooks: {address: '127.0.0.1:0'}",
		"  operator: {address: 'localhost:0'}",
		"client_tokens:", "  keys:", "    - {id: " + o.Secrets.TokenKeyID + ", secret: '${" + envTokens + "}'}",
		"encryption:", "  keys:", "    - {id: bench, secret: '${" + envSealing + "}'}",
		"limits:",
		"  per_key: " + unboundedPer, "  per_subject: " + unboundedPer, "  starts_per_subject: " + unboundedPer,
		"  per_address: " + unboundedPer, "  webhooks_per_address: " + unboundedPer,
		"drain: 0s",
		"connections:",
		"  - name: " + names.Connection,
		"    project: " + names.Project,
		"    environment: " + Environment,
		"    provider: verifyhuman",
		"    settings:",
		"      base_url: " + provider,
		"      api_key: ${" + envProvider + "}",
		"      webhook_secrets: ['${" + envWebhooks + "}']",
		"flows:",
		"  - name: " + names.Flow,
		"    connection: " + names.Connection,
		"    product: " + names.Product,
		"    lifetime: 2h",
	}
	if o.Bus != "" {
		lines = append(lines, "bus: "+o.Bus)
	}
	return strings.Join(append(lines, watch...), "\n") + "\n"
}
