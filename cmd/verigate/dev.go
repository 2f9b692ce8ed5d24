package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/spf13/cobra"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/pgdev"
	"github.com/verigate/verigate/server/sandbox/issuer"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/telemetry"
)

const (
	defaultDevListen  = "127.0.0.1:8080"
	defaultDevDataDir = ".verigate"
	// stopTimeout bounds how long the sandbox and the database may take to end.
	stopTimeout = 15 * time.Second
)

type devOptions struct {
	listen      string
	dataDir     string
	ephemeral   bool
	databaseURL string
	faults      []string
	json        bool
	log         logOptions
	watch       devWatch
}

func devCommand(std streams) *cobra.Command {
	var o devOptions
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole gateway with nothing set up",
		Long: `Start everything on one loopback port: a private Postgres, the API, webhooks, a
sandbox provider and a demo page. Nothing has to be installed or configured;
Postgres binaries are fetched once if the machine has none.

It writes VERIGATE_URL, VERIGATE_API_KEY and VERIGATE_CALLBACK_SECRET to dev.env in
the data directory; the client commands find it there when run beside it.`,
		Example: `  verigate dev
  verigate dev --listen 127.0.0.1:9090 --ephemeral
  verigate dev --sandbox-fault duplicate=2 --sandbox-fault shape=envelope`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd.Context(), o, std) },
	}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", defaultDevListen, "loopback address to serve on; port 0 picks a free one")
	f.StringVar(&o.dataDir, "data-dir", defaultDevDataDir, "where the database and dev.env are kept")
	f.BoolVar(&o.ephemeral, "ephemeral", false, "forget the database when it stops (dev.env is still written to the data directory)")
	f.StringVar(&o.databaseURL, "database-url", "", "use this Postgres instead of a private one: a URL, ${NAME} or file:/path")
	f.StringArrayVar(&o.faults, "sandbox-fault", nil, "make the sandbox misbehave: name or name=value, repeatable")
	f.BoolVar(&o.json, "json", false, "print one JSON object when it is ready, instead of the greeting")
	o.watch.flags(f)
	o.log.flags(c, "warn")
	return c
}

// dev starts the parts in the order in which they need each other, and ends
// them in the other.
func dev(ctx context.Context, o devOptions, std streams) (err error) {
	o.log.text = true
	log, err := o.log.logger(std)
	if err != nil {
		return err
	}
	if err := o.watch.check(); err != nil {
		return err
	}
	faults, err := parseFaults(o.faults)
	if err != nil {
		return err
	}
	// The port first: a taken one should not cost the start of a database.
	listener, err := listenLoopback(ctx, o.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	files, err := openDevFiles(o.dataDir)
	if err != nil {
		return err
	}
	dsn, stopDatabase, died, err := devDatabase(ctx, o, std, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopDatabase()) }()
	return devGateway(ctx, devParts{options: o, std: std, log: log, listener: listener, files: files, dsn: dsn, died: died, faults: faults})
}

func listenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError("--listen: write host:port, such as " + defaultDevListen)
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usageError("--listen: dev hands out keys to everybody who can reach it, so it serves loopback addresses only")
	}
	return listen(ctx, address)
}

// devDatabase returns a migrated database: a private one unless one was named.
func devDatabase(ctx context.Context, o devOptions, std streams, log *slog.Logger) (secret.Value, func() error, <-chan struct{}, error) {
	dsn, err := devDatabaseURL(o.databaseURL, std)
	if err != nil {
		return secret.Value{}, nil, nil, err
	}
	stop, died := func() error { return nil }, (<-chan struct{})(nil)
	if o.databaseURL == "" {
		private, err := pgdev.Start(ctx, pgdev.Options{
			DataDir: o.dataDir, Ephemeral: o.ephemeral, Durable: true, Progress: std.Err, Log: log,
		})
		if err != nil {
			return secret.Value{}, nil, nil, err
		}
		dsn, died = secret.New(private.DSN()), private.Done()
		stop = func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return private.Stop(ctx)
		}
	}
	if _, err := db.Migrate(ctx, dsn.Reveal()); err != nil {
		return secret.Value{}, nil, nil, errors.Join(err, stop())
	}
	return dsn, stop, died, nil
}

// devDatabaseURL reads dev's --database-url, which may be the URL itself: a
// development database guards nothing.
func devDatabaseURL(text string, std streams) (secret.Value, error) {
	if isReference(text) {
		return resolveFlag("--database-url", text, std)
	}
	return secret.New(text), nil
}

// devParts is what devGateway is made of.
type devParts struct {
	options  devOptions
	std      streams
	log      *slog.Logger
	listener net.Listener
	files    *devFiles
	dsn      secret.Value
	died     <-chan struct{}
	faults   sandboxFaults
}

func devGateway(ctx context.Context, p devParts) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	url := "http://" + p.listener.Addr().String()
	tracer, flush, err := telemetry.Tracing(ctx, buildVersion())
	if err != nil {
		return err
	}
	defer flushTraces(ctx, flush, p.log)
	providers, err := openSandboxes(url, p)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, providers.close(ctx))
	}()
	issuer, err := issuer.New(issuer.Options{BaseURL: url + issuerPath, Audience: issuerAudience, Now: time.Now, Random: rand.Reader})
	if err != nil {
		return err
	}
	demo := &lateHandler{}
	node, err := server.New(ctx, server.Options{
		Config: devConfig(url, p.dsn, p.files, p.options.watch), Log: p.log, Tracer: tracer, Development: true,
		Mount: func(mux *http.ServeMux) {
			providers.mount(mux)
			mux.Handle(issuerPath+"/", http.StripPrefix(issuerPath, issuer))
			mux.Handle("/", demo)
		},
	})
	if err != nil {
		return err
	}
	key, err := p.files.apiKey(ctx, node.Store())
	if err != nil {
		node.Close()
		return err
	}
	page, err := demoPage(ctx, url, key, p.log)
	if err != nil {
		node.Close()
		return err
	}
	demo.set(page)
	if err := p.files.writeEnv(url, key); err != nil {
		node.Close()
		return err
	}
	go stopWhenDead(ctx, p.died, stop)
	go stopWithGoRun(ctx, stop)
	if err := announce(p, url); err != nil {
		node.Close()
		return err
	}
	err = node.Serve(ctx, p.listener)
	if cause := context.Cause(ctx); errors.Is(cause, errDatabaseDied) {
		return errors.Join(cause, err)
	}
	return err
}

var errDatabaseDied = errors.New("the private Postgres ended by itself; see postgres.log in the data directory")

func stopWhenDead(ctx context.Context, died <-chan struct{}, stop context.CancelCauseFunc) {
	select {
	case <-died:
		stop(errDatabaseDied)
	case <-ctx.Done():
	}
}

// apiClient is how the demo page's backend half calls the gateway.
func apiClient(url string, key secret.Value) verigatev1connect.VerificationServiceClient {
	authorize := func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+key.Reveal())
			}
			return next(ctx, spec)
		}
	}
	transport := connecthttp.NewTransport(&http.Client{Timeout: stopTimeout}, url)
	return verigatev1connect.NewVerificationServiceClient(connect.NewClient(transport, authorize))
}

// announce says that the gateway is ready and what to do next.
func announce(p devParts, url string) error {
	env := p.files.envPath()
	if p.options.json {
		return printJSON(p.std.Out, map[string]string{"url": url, "env_file": env})
	}
	command := "verigate"
	if underGoRun() {
		command = "go run ./cmd/verigate"
	}
	_, err := fmt.Fprintf(p.std.Out, `
Verigate is ready at %[1]s

  Demo page      %[1]s/
  Flows          identity, age-gate, kyc
  Key            in %[2]s
  User tokens    curl -d subject=u1 %[1]s/sandbox/issuer/token

Try it in another shell:

  set -a; . %[3]s; set +a
  %[4]s start --flow identity --subject u1 --reference order-1 --redirect-url myapp://verify-complete
  %[4]s watch <id>
  %[4]s sandbox complete <id> --outcome pass

Stop with ctrl-C.
`, url, env, shellQuoted(env), command)
	return err
}

// shellQuoted makes a path that a shell takes as one word.
func shellQuoted(path string) string {
	plain := strings.IndexFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/._-", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) < 0
	if plain {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
