// Package bench is `verigate bench`: it measures a gateway against references of
// the same run, and says whether the bars of the design are reached.
//
//	Run ─► rig: a private, durable Postgres ─► a table after the other:
//	       gateway and reference in turns ─► report ─► text or JSON
//
// Each table is in a file of its own, named like it. What several share is in
// the packages below: rig (what is measured), load and hook (webhooks), pgref
// (pgbench), crowd (watchers), peer (references that are servers), measure and
// report. It is a user of the gateway: it starts the command and speaks HTTP, and
// only makes rows in the database that no caller could make in time.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
)

// Options say what is measured.
type Options struct {
	// Only names the tables to measure; all of them when empty.
	Only []string
	// Quick makes everything so small that it takes about a minute. Its figures
	// mean nothing.
	Quick bool
	// Sizes are the numbers of stored verifications of the table growth, the first
	// being the reference; nil for the defaults.
	Sizes []int64
	// Build is the version that is measured.
	Build string
	// Progress gets what is going on. Nil discards it.
	Progress io.Writer
	// Target is a gateway that runs; nil to start gateways and a Postgres.
	Target *Target
	// Log gets what an operator may want to know of the database. Nil discards it.
	Log *slog.Logger
}

// table is one of the tables that can be measured.
type table struct {
	name, title string
	measure     func(ctx context.Context, s *session, t *report.Table) error
}

// tables are all of them, in the order in which they are measured.
func tables() []table {
	return []table{
		{"ingest", "signed webhooks acknowledged, each deciding a verification of its own", ingest},
		{"told", "from the sending of a webhook to the watcher's terminal message, at half load", told},
		{"watchers", "memory and CPU of the server for idle watchers", watchers},
		{"start", "StartVerification above the provider's own time, and what is refused", start},
		{"nodes", "webhook to one node, watcher at another", nodes},
		{"overload", "twice the capacity for a minute", overload},
		// It writes some 20 GB: what comes after that on the same disk is slower.
		{"growth", "the same with more and more verifications stored", growth},
	}
}

// Names lists what Options.Only may hold.
func Names() []string {
	var names []string
	for _, t := range tables() {
		names = append(names, t.name)
	}
	return names
}

// Check says what of the options cannot be measured; Run does not begin with it.
func (o Options) Check() error {
	if i := slices.IndexFunc(o.Sizes, func(rows int64) bool { return rows < 1 }); i >= 0 {
		return fmt.Errorf("--sizes: %d verifications cannot be stored; give numbers from 1 on", o.Sizes[i])
	}
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("--only: there is no table %q; take of %s", name, strings.Join(Names(), ", "))
		}
		if reason := o.unfit(name); reason != "" {
			return fmt.Errorf("--only: the table %s cannot be measured with --config: %s", name, reason)
		}
	}
	return nil
}

// session is one run.
type session struct {
	options Options
	pg      *rig.Postgres
	secrets rig.Secrets
	// names are those of the connection and flow that are measured.
	names  rig.Names
	folder string
	// seeded counts the rows of each set in a target's database.
	seeded map[rig.Set]int64
	// sets numbers the generated rows.
	sets int
	// peak is the most deliveries a second that one gateway acknowledged; 0 before
	// anybody measured it.
	peak float64
}

// Run measures the tables one after the other. When it returns, every process
// that it started is gone and every file removed. Errors: an unknown table, a
// tool that is missing (named, with its package), what went wrong in a
// measurement; the report has the tables from before it then. A missed bar is no
// error: it is in the report.
func Run(ctx context.Context, o Options) (_ *report.Report, err error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	began := time.Now()
	r := &report.Report{Machine: report.ThisMachine(o.Build, began), Quick: o.Quick}
	s := &session{options: o, names: rig.OwnNames(), seeded: map[rig.Set]int64{}}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	r.Machine.Postgres = s.pg.Version
	r.Warnings = o.warnings()
	for _, t := range tables() {
		if (len(o.Only) > 0 && !slices.Contains(o.Only, t.name)) || o.unfit(t.name) != "" {
			continue
		}
		measured, err := s.table(ctx, t)
		if err != nil {
			r.Seconds, r.Ended = time.Since(began).Seconds(), t.name+": "+err.Error()
			return r, fmt.Errorf("%s: %w", t.name, err)
		}
		r.Tables = append(r.Tables, *measured)
	}
	r.Seconds = time.Since(began).Seconds()
	r.Judge()
	return r, nil
}

func (s *session) table(ctx context.Context, t table) (*report.Table, error) {
	began := time.Now()
	measured := &report.Table{Name: t.name, Title: t.title}
	s.sayf("measuring %s …", t.name)
	if err := t.measure(ctx, s, measured); err != nil {
		return nil, err
	}
	measured.Seconds = time.Since(began).Seconds()
	return measured, nil
}

func (s *session) open(ctx context.Context) (err error) {
	if s.folder, err = os.MkdirTemp("", "verigate-bench-files-"); err != nil {
		return fmt.Errorf("making a folder: %w; set TMPDIR to one that can be written", err)
	}
	if s.options.Target != nil {
		return s.openTarget(ctx)
	}
	if s.secrets, err = rig.NewSecrets(); err != nil {
		return err
	}
	s.pg, err = rig.OpenPostgres(ctx, s.options.Log)
	return err
}

func (s *session) close(ctx context.Context) error {
	var errs []error
	if s.pg != nil {
		errs = append(errs, s.tidy(ctx), s.pg.Close(ctx))
	}
	if s.folder != "" {
		errs = append(errs, os.RemoveAll(s.folder))
	}
	return errors.Join(errs...)
}

// sayf tells whoever waits what is going on.
func (s *session) sayf(format string, arguments ...any) {
	_, _ = fmt.Fprintf(s.options.Progress, format+"\n", arguments...)
}

// newSet numbers a run of rows that are made now.
func (s *session) newSet() rig.Set {
	s.sets++
	return rig.Set{Names: s.names, Number: s.sets, Time: time.Now().Truncate(time.Millisecond)}
}

// size is full, or small in a quick run.
func size[T any](s *session, full, small T) T {
	if s.options.Quick {
		return small
	}
	return full
}
