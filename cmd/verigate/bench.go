package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	benchmark "github.com/verigate/verigate/bench"
	"github.com/verigate/verigate/bench/report"
)

type benchOptions struct {
	only  []string
	json  string
	quick bool
	sizes []int64

	target benchTarget
}

// errBarMissed makes the exit code say it; the report has said what.
var errBarMissed = errors.New("a bar was missed")

func benchCommand(std streams) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a gateway against references of the same run",
		Long: `Start a private, durable Postgres and gateways as processes of their own, drive
them with real clients over loopback, and print tables: each figure beside a
reference that was measured in the same run, in turns with it. bench/README.md
says what each means.

With --config it targets the gateway that runs with this configuration file
instead, through a flow whose connection has provider verifyhuman and environment
test. It WRITES to that gateway's database: verifications whose subjects and
references begin with "bench-", and their deliveries and events. Nothing of
environment live is touched. Give an API key of the project by --api-key or
VERIGATE_API_KEY.

It takes about ten minutes on two cores, and everything that it starts ends with
it. The tables that were finished before an error or an interruption are printed. Run it on a machine that does nothing else. The exit code is 1 if a
bar was missed.

Tables: ` + strings.Join(benchmark.Names(), ", "),
		Example: `  verigate bench
  verigate bench --only ingest,told
  verigate bench --quick --json -
  verigate bench --config staging.yaml --pid 4711 --only ingest,told,watchers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBench(cmd, o, std) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.only, "only", nil, "measure only these tables, separated by commas")
	f.StringVar(&o.json, "json", "", "write JSON to this file, or - for standard output instead of the tables")
	f.BoolVar(&o.quick, "quick", false, "small sizes, about a minute: shows that it works, and its figures mean nothing")
	f.Int64SliceVar(&o.sizes, "sizes", nil, "numbers of stored verifications for the table growth; the first is the reference")
	o.target.flags(f)
	complete(c, "only", benchmark.Names()...)
	c.AddCommand(benchParts(std)...)
	return c
}

func runBench(cmd *cobra.Command, o benchOptions, std streams) error {
	options := benchmark.Options{Only: o.only, Quick: o.quick, Sizes: o.sizes, Build: buildVersion(), Progress: std.Err}
	targeted, err := o.target.named(cmd.Flags())
	if err != nil {
		return err
	}
	if targeted {
		if options.Target, err = o.target.read(std); err != nil {
			return err
		}
	}
	if err := options.Check(); err != nil {
		return usageError("%v", err)
	}
	result, err := benchmark.Run(cmd.Context(), options)
	// What was measured before an error is not lost.
	if err == nil || result != nil && len(result.Tables) > 0 {
		err = errors.Join(err, writeBench(result, o.json, std.Out))
	}
	if err != nil {
		return err
	}
	if !result.Passed && !o.quick {
		return errBarMissed
	}
	return nil
}

func writeBench(result *report.Report, path string, out io.Writer) (err error) {
	const toOut = "-"
	if path == toOut {
		return printJSON(out, result)
	}
	if path != "" {
		file, err := os.Create(path)
		if err != nil {
			return usageError("--json: %v; name a file that can be written", err)
		}
		if err := errors.Join(printJSON(file, result), file.Close()); err != nil {
			return err
		}
	}
	return result.WriteText(out)
}
