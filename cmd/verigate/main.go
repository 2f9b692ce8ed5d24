// Command verigate is the gateway and the everyday tool in one binary.
//
// It owns flags, wiring and exit codes, and nothing else: `serve` and `dev` put
// package server together, the other commands are real clients of a running
// one. It is the only place that names concrete adapters.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/provider/verifyhuman"
)

func main() {
	os.Exit(run(os.Args[1:], streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, IsTerminal: isTerminal(os.Stdout),
	}))
}

// run is main without the process: it returns the exit code.
func run(args []string, std streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(std)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(std.Err, explain(err))
	}
	return exitCode(err)
}

// adapters are the providers that this binary knows.
func adapters() provider.Registry {
	return provider.Registry{aiprise.Name: aiprise.New, verifyhuman.Name: verifyhuman.New}
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "verigate",
		Short: "A self-hosted verification gateway",
		Long: `Verigate stands between your apps and the verification providers you buy from.

Try it with nothing set up:

  verigate dev                      a whole gateway with a sandbox provider
  verigate start --flow identity --subject u1 --redirect-url myapp://verify-complete
  verigate watch <id>               see the result arrive

Run it for real:

  verigate config check --config verigate.yaml
  verigate migrate --config verigate.yaml
  verigate keys create --config verigate.yaml --project acme --environment live --name backend
  verigate serve --config verigate.yaml

Operate it with a key of the scope operator, at the operator listener:

  verigate audit --url http://127.0.0.1:8082
  verigate keys list --url http://127.0.0.1:8082`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(std.In)
	root.SetOut(std.Out)
	root.SetErr(std.Err)
	root.AddGroup(
		&cobra.Group{ID: groupGateway, Title: "Run a gateway:"},
		&cobra.Group{ID: groupClient, Title: "Talk to a running gateway:"},
		&cobra.Group{ID: groupOperator, Title: "Operate a gateway:"},
	)
	for _, c := range []*cobra.Command{
		devCommand(std), serveCommand(std), migrateCommand(std), configCommand(std), benchCommand(std),
	} {
		c.GroupID = groupGateway
		root.AddCommand(c)
	}
	for _, c := range clientCommands(std) {
		c.GroupID = groupClient
		root.AddCommand(c)
	}
	for _, c := range operatorCommands(realWorld(std)) {
		c.GroupID = groupOperator
		root.AddCommand(c)
	}
	root.AddCommand(versionCommand(std))
	return root
}

const (
	groupGateway  = "gateway"
	groupClient   = "client"
	groupOperator = "operator"
)

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// buildVersion is what the Go tool recorded about this build.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return info.Main.Version + " (" + setting.Value + ")"
		}
	}
	return info.Main.Version
}

func versionCommand(std streams) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(std.Out, map[string]string{"version": buildVersion()})
			}
			_, err := fmt.Fprintln(std.Out, "verigate", buildVersion())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
