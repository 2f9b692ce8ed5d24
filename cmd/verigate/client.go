package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/spf13/cobra"

	verigate "github.com/verigate/verigate/clients/go"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/secret"
)

const (
	envURL = "VERIGATE_URL"
	envKey = "VERIGATE_API_KEY"
	// devEnvPath is where `verigate dev` leaves its address and key.
	devEnvPath = ".verigate/dev.env"

	// callTimeout bounds a unary call, the provider's part of a start included.
	callTimeout = 60 * time.Second
)

// world is what the commands need from outside.
type world struct {
	std   streams
	clock verigate.Clock
	zone  *time.Location
	// devEnv is the file to fall back to.
	devEnv string
}

// clientCommands returns the commands that talk to a running server: start,
// get, list, cancel, watch, events and sandbox. Their errors are for exitCode and
// explain.
func clientCommands(std streams) []*cobra.Command { return commandsIn(realWorld(std)) }

func realWorld(std streams) world {
	return world{std: std, clock: verigate.SystemClock(), zone: time.Local, devEnv: devEnvPath}
}

func commandsIn(w world) []*cobra.Command {
	return []*cobra.Command{
		startCommand(newCaller(w)),
		getCommand(newCaller(w)),
		listCommand(newCaller(w)),
		cancelCommand(newCaller(w)),
		watchCommand(newCaller(w)),
		eventsCommand(newCaller(w)),
		sandboxCommand(newCaller(w)),
	}
}

// caller is one command on its way to the server: the flags that all of them
// have, and the world.
type caller struct {
	world

	url    string
	key    string
	asJSON bool
}

func newCaller(w world) *caller { return &caller{world: w} }

// prepare gives a command the flags and the manners of all client commands.
func (c *caller) prepare(cmd *cobra.Command) *cobra.Command {
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.url, "url", "", "the server's address (or "+envURL+", or "+devEnvPath+")")
	flags.StringVar(&c.key, "api-key", "", "where the API key or token is, ${NAME} or file:/path (or "+envKey+", or "+devEnvPath+")")
	flags.BoolVar(&c.asJSON, "json", false, "print the API's messages as JSON, one per line")
	classify(cmd)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError("%v\nSee `%s --help`.", err, cmd.CommandPath())
	})
	return cmd
}

// classify makes sure that no error of a command, or of one below it, is taken
// for the result of a verification.
func classify(cmd *cobra.Command) {
	for _, below := range cmd.Commands() {
		classify(below)
	}
	run := cmd.RunE
	if run == nil {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if _, known := errors.AsType[*exitError](err); !known && exitCode(err) == exitFail {
			return exitWith(exitInternal, "%v", err)
		}
		return err
	}
}

// complete offers values for a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// It only fails for a flag that the command does not have.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// oneID is the argument check of commands that take a verification's id.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError("give one verification's id: `%s <id>`; `verigate list` shows ids", cmd.CommandPath())
	}
	return nil
}

// noArguments is the argument check of commands that have flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("this command takes flags only\nSee `%s --help`.", cmd.CommandPath())
	}
	return nil
}

// gateway is a server that can be called.
type gateway struct {
	verigatev1connect.VerificationServiceClient

	api  *connect.Client
	base *url.URL
	http *http.Client
}

// close frees the connections.
func (g *gateway) close() { g.http.CloseIdleConnections() }

// open finds out which server to call with which credential. It does not call
// it yet.
func (c *caller) open() (*gateway, error) {
	address, key, err := c.target()
	if err != nil {
		return nil, err
	}
	base, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if !headerSafe(key.Reveal()) {
		return nil, usageError("--api-key (or %s): holds spaces, line breaks or other characters that no key has; copy it again", envKey)
	}
	httpClient := verigate.HTTPClient()
	api := connect.NewClient(verigate.NewTransport(httpClient, base.String()), withCredential(key))
	return &gateway{VerificationServiceClient: verigatev1connect.NewVerificationServiceClient(api), api: api, base: base, http: httpClient}, nil
}

// withCredential sends the key with every call.
func withCredential(key secret.Value) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+key.Reveal())
			}
			return next(ctx, spec)
		}
	}
}

// target looks for address and key in the flags, then the environment, then the
// file that `verigate dev` wrote. The file's key is for the file's server only.
func (c *caller) target() (string, secret.Value, error) {
	address := firstOf(c.url, c.std.Getenv(envURL))
	key := firstOf(c.std.Getenv(envKey))
	if c.key != "" {
		referred, err := c.referredKey()
		if err != nil {
			return "", secret.Value{}, err
		}
		key = referred.Reveal()
	}
	if address == "" || key == "" {
		local := readEnvFile(c.devEnv)
		if address == "" {
			address = local[envURL]
		}
		if key == "" && sameAddress(address, local[envURL]) {
			key = local[envKey]
		}
	}
	if address == "" {
		return "", secret.Value{}, usageError("no server is named\n"+
			"Set --url or %s, or run `verigate dev` in this folder, which writes %s.", envURL, devEnvPath)
	}
	if key == "" {
		return "", secret.Value{}, exitWith(exitUnauthenticated, "no API key for %s\n"+
			"Set --api-key or %s, or run `verigate dev` in this folder, which writes %s.", withoutUser(address), envKey, devEnvPath)
	}
	return address, secret.New(key), nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if trimmed := strings.TrimSpace(text); trimmed != "" {
			return trimmed
		}
	}
	return ""
}

func sameAddress(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// readEnvFile reads KEY=VALUE lines. A file that is absent or unreadable is as
// good as an empty one: whoever needs a value says where it could come from.
func readEnvFile(path string) map[string]string {
	values := map[string]string{}
	content, err := os.ReadFile(path)
	if err != nil {
		return values
	}
	for line := range strings.Lines(string(content)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
			values[name] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return values
}

func parseAddress(address string) (*url.URL, error) {
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, usageError("--url (or %s): must be an address such as http://127.0.0.1:8080 or https://verigate.example.com", envURL)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, usageError("--url (or %s): must not carry a user, a query or a fragment; the credential goes into --api-key", envURL)
	}
	base.Path = strings.TrimRight(base.Path, "/")
	return base, nil
}

// withoutUser shows an address that was not checked yet.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "this address"
	}
	return fmt.Sprintf("%s://%s", u.Scheme, u.Host)
}

// headerSafe tells that a credential can travel in a header: visible ASCII.
func headerSafe(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}
