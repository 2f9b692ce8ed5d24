package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"connectrpc.com/validate"
	"github.com/spf13/cobra"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
)

// operatorHelp says which way an operator's command goes.
const operatorHelp = `It calls OperatorService at --url, with an API key of the scope "operator", and
acts on that key's project and environment. With --project and --environment it
works on the database itself instead, which --config or --database-url names: so
the first key is made. Either way the audit log tells who did it.`

// gatewayHelp is operatorHelp for what only a running gateway can do.
const gatewayHelp = `It calls OperatorService at --url, with an API key of the scope "operator", and
acts on that key's project and environment.`

// operatorCommands returns the commands for whoever runs a gateway.
func operatorCommands(w world) []*cobra.Command {
	return []*cobra.Command{
		keysCommand(newOperatorCaller(w)), auditCommand(newOperatorCaller(w)), eraseCommand(newOperatorCaller(w)),
		deliveriesCommand(w), timelineCommand(newOperatorCaller(w)), overrideCommand(newOperatorCaller(w)),
		callbacksCommand(w),
	}
}

// operatorCaller is a command of an operator on its way to the gateway, or to
// its database.
type operatorCaller struct {
	*caller

	database    databaseOptions
	project     string
	environment string
}

func newOperatorCaller(w world) *operatorCaller { return &operatorCaller{caller: newCaller(w)} }

// prepareOperator gives a command the flags of both ways.
func (c *operatorCaller) prepareOperator(cmd *cobra.Command) *cobra.Command {
	c.database.flags(cmd)
	cmd.PersistentFlags().StringVar(&c.project, "project", "", "work on the database itself: the project, as in the configuration")
	cmd.PersistentFlags().StringVar(&c.environment, "environment", "", "work on the database itself: live or test")
	complete(cmd, "environment", string(verification.Live), string(verification.Test))
	return c.prepare(cmd)
}

// operatorClient is the service, wherever it runs.
type operatorClient struct {
	verigatev1connect.OperatorServiceClient

	close func()
}

// openOperator finds the way and goes it.
func (c *operatorCaller) openOperator(ctx context.Context, cmd *cobra.Command) (*operatorClient, error) {
	flags := cmd.Flags()
	if c.project != "" || c.environment != "" {
		if flags.Changed("url") || flags.Changed("api-key") {
			return nil, usageError("--url and --api-key: are for the way over the server; --project and --environment work on the database itself. Choose one")
		}
		return c.openDatabase(ctx)
	}
	if flags.Changed("config") || flags.Changed("database-url") {
		return nil, usageError("--project and --environment: are needed to work on the database itself")
	}
	g, err := c.open()
	if err != nil {
		return nil, err
	}
	return &operatorClient{OperatorServiceClient: verigatev1connect.NewOperatorServiceClient(g.api), close: g.close}, nil
}

func (c *operatorCaller) openDatabase(ctx context.Context) (*operatorClient, error) {
	if c.environment != string(verification.Live) && c.environment != string(verification.Test) {
		return nil, usageError("--environment: must be live or test")
	}
	if c.project == "" {
		return nil, usageError("--project: must not be empty")
	}
	scope := verification.Scope{Project: c.project, Environment: verification.Environment(c.environment)}
	if err := c.database.checkScope(scope); err != nil {
		return nil, maintenance(err)
	}
	s, err := openStore(ctx, &c.database, c.std, nil)
	if err != nil {
		return nil, maintenance(err)
	}
	log := telemetry.NewLogger(c.std.Err, slog.LevelWarn, false)
	return &operatorClient{OperatorServiceClient: inProcess(s, scope, log), close: s.Close}, nil
}

// maintenance keeps the exit code of a command that maintains a gateway, which
// would otherwise be that of a broken server.
func maintenance(err error) error {
	if exitCode(err) != exitFail {
		return err
	}
	return exitWith(exitFail, "%v", err)
}

// inProcess is the service over a database, without a server: the same field
// rules, the same code, no credential. log gets what a server's log would.
func inProcess(s *store.Store, scope verification.Scope, log *slog.Logger) verigatev1connect.OperatorServiceClient {
	domain := verification.NewService(verification.Deps{
		Store: s, Waker: deaf{}, Meter: deaf{}, Log: log, Now: time.Now, Random: rand.Reader,
	})
	asOperator := func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			err := next(rpc.AsOperator(ctx, scope, commandActor()), spec, stream)
			if connect.CodeOf(err) == connect.CodeInternal {
				log.ErrorContext(ctx, "internal error", "procedure", spec.Procedure, "cause", withCause(err))
			}
			return err
		}
	}
	api := connect.NewServer(asOperator, validate.NewServerInterceptor(), rpc.Storable())
	verigatev1connect.RegisterOperatorServiceHandler(api, &rpc.Operator{
		Keys:  &access.Admin{Store: s, Random: rand.Reader, Now: time.Now},
		Audit: s, Erase: domain.EraseSubject,
		Verifications: domain, Callbacks: s,
	})
	return verigatev1connect.NewOperatorServiceClient(connect.NewClient(connectinprocess.New(api)))
}

// deaf is told what nobody hears: watchers on the nodes learn of a command's
// changes by the log's tail.
type deaf struct{}

func (deaf) Wake(*verification.Verification) {}

func (deaf) Applied(verification.EventKind, verification.Source, verification.Effect, verification.Rung) {
}

func (deaf) Parked(string) {}

func (deaf) Mismatched(string) {}

func (deaf) FoundByPoll(string) {}

// commandActor is who runs this command, for the audit log.
func commandActor() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return "command:" + name + "@" + host
}

// openStore opens the database that the options name.
func openStore(ctx context.Context, o *databaseOptions, std streams, keyring func() *seal.Keyring) (*store.Store, error) {
	dsn, err := o.dsn(std)
	if err != nil {
		return nil, err
	}
	pending, err := db.Pending(ctx, dsn.Reveal())
	if err != nil {
		return nil, err
	}
	if len(pending) > 0 {
		return nil, fmt.Errorf("the database lacks migrations (%s); run `verigate migrate` first", strings.Join(pending, ", "))
	}
	return store.Open(ctx, dsn, keyring)
}

// checkScope refuses a project and environment that the configuration, if it is
// what names the database, does not have: such a key could never be used.
func (o *databaseOptions) checkScope(scope verification.Scope) error {
	if o.url != "" {
		return nil
	}
	cfg, err := config.Load(o.config, adapters())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	known := make([]string, 0, len(cfg.Connections))
	for _, c := range cfg.Connections {
		if c.Scope == scope {
			return nil
		}
		known = append(known, c.Scope.Project+" "+string(c.Scope.Environment))
	}
	return usageError("--project and --environment: %s has no connection of %s %s; it has %s",
		o.config, scope.Project, scope.Environment, strings.Join(slices.Compact(slices.Sorted(slices.Values(known))), ", "))
}
