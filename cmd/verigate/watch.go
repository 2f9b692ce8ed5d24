package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// watchFlags are the flags of watch.
type watchFlags struct {
	afterVersion int64
	revisions    bool
	timeout      time.Duration
}

// errTimeOver is the cause when --timeout has passed.
var errTimeOver = errors.New("--timeout has passed")

func watchCommand(c *caller) *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch <id>",
		Short: "Watch a verification until its result is there",
		Long: `Watch a verification: one line for each state, as it comes, until the result is
there. The exit code tells the result. A cut connection, a restarted server or a
silent line does not end the watch: it reconnects with growing pauses and goes
on from the last version, and says so on standard error.

With --json each message of the stream is one line, heartbeats included.

` + exitHelp,
		Example: `  verigate watch 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate watch 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --timeout 10m && echo passed
  verigate watch 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --json --follow-revisions`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error { return c.watch(cmd, args[0], f) },
	}
	cmd.Flags().Int64Var(&f.afterVersion, "after-version", 0, "the last version that you have seen")
	cmd.Flags().BoolVar(&f.revisions, "follow-revisions", false,
		"stay after the result, to see it revised; ends with --timeout or Ctrl-C")
	f.bindTimeout(cmd)
	return c.prepare(cmd)
}

func (f *watchFlags) bindTimeout(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "give up watching after this long, such as 10m (default: never)")
}

// check says which flag is wrong.
func (f *watchFlags) check() error {
	if f.timeout < 0 {
		return usageError("--timeout: must not be negative; leave it out to wait without end")
	}
	if f.afterVersion < 0 {
		return usageError("--after-version: must not be negative; 0 means that no version was seen")
	}
	return nil
}

func (c *caller) watch(cmd *cobra.Command, id string, f watchFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	return c.within(cmd.Context(), f.timeout, func(ctx context.Context) error {
		v, err := fetch(ctx, g, id)
		if err != nil {
			return err
		}
		return c.follow(ctx, g, v, f)
	})
}

// fetch gets a verification by its id.
func fetch(ctx context.Context, g *gateway, id string) (*verigatev1.Verification, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := g.GetVerification(ctx, &verigatev1.GetVerificationRequest{Id: id})
	return answer.GetVerification(), err
}

// within does something for at most so long; 0 means without limit.
func (c *caller) within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if limit > 0 {
		over := c.clock.Alarm(limit, func() { stop(errTimeOver) })
		defer over.Stop()
	}
	err := do(ctx)
	if _, known := errors.AsType[*exitError](err); err != nil && !known && errors.Is(context.Cause(ctx), errTimeOver) {
		return exitWith(exitTimedOut, "--timeout: %s passed before the server answered", limit)
	}
	return err
}

// follow watches until the result is there, and returns it as an error that
// exitCode understands.
func (c *caller) follow(ctx context.Context, g *gateway, v *verigatev1.Verification, f watchFlags) error {
	r := &reporter{caller: c}
	if f.afterVersion == 0 {
		if err := r.created(v); err != nil {
			return err
		}
	}
	seen, err := c.watchShowing(ctx, g, v.GetId(), f, r)
	r.clear()
	switch {
	case errors.Is(err, errTimeOver) && seen.last.GetTerminal():
		return verdict(seen.last)
	case errors.Is(err, errTimeOver):
		return exitWith(exitTimedOut, "--timeout: still pending after %s\nGo on with `verigate watch %s --after-version %d`.",
			f.timeout, v.GetId(), seen.version)
	case err != nil:
		return err
	default:
		return verdict(seen.last)
	}
}

// verdict is nil for a pass only: what is not recognised is not a success.
func verdict(last *verigatev1.StatusUpdate) error {
	if last.GetResult() == verigatev1.VerificationResult_VERIFICATION_RESULT_PASS {
		return nil
	}
	text := "not passed: the verification ended as " + stateName(last.GetState())
	if len(last.GetReasonCodes()) > 0 {
		text += " (" + strings.Join(last.GetReasonCodes(), ", ") + ")"
	}
	return exitWith(exitFail, "%s", text)
}

// reporter shows what a watch hears.
type reporter struct {
	*caller

	started bool
	shown   int64
	live    bool
}

// created shows the state that every verification begins with; a stream only
// tells where it stands now.
func (r *reporter) created(v *verigatev1.Verification) error {
	if r.asJSON {
		return nil
	}
	r.started, r.shown = true, 1
	return r.state(v.GetCreateTime().AsTime(), verigatev1.VerificationState_VERIFICATION_STATE_CREATED,
		verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING, nil)
}

// message shows one message: as it is in JSON, else each version once.
func (r *reporter) message(m *verigatev1.StatusUpdate) error {
	if r.asJSON {
		return writeJSON(r.std.Out, m)
	}
	if !r.started || m.GetVersion() > r.shown {
		r.started, r.shown = true, m.GetVersion()
		r.clear()
		if err := r.state(m.GetUpdateTime().AsTime(), m.GetState(), m.GetResult(), m.GetReasonCodes()); err != nil {
			return err
		}
	}
	r.waiting("waiting; last heard from the server at " + r.clock.Now().In(r.zone).Format(time.TimeOnly))
	return nil
}

func (r *reporter) state(at time.Time, s verigatev1.VerificationState, result verigatev1.VerificationResult, reasons []string) error {
	line := fmt.Sprintf("%s  %-10s  %-7s  %s", at.In(r.zone).Format(time.TimeOnly),
		stateName(s), resultName(result), strings.Join(reasons, ", "))
	_, err := fmt.Fprintln(r.std.Out, strings.TrimRight(printable(line), " "))
	return err
}

// eraseLine clears a terminal's current line.
const eraseLine = "\r\x1b[K"

// waiting keeps one line below the states, on a terminal only.
func (r *reporter) waiting(text string) {
	if r.std.IsTerminal {
		_, _ = fmt.Fprint(r.std.Out, eraseLine+text)
		r.live = true
	}
}

// clear removes the waiting line.
func (r *reporter) clear() {
	if r.live {
		_, _ = fmt.Fprint(r.std.Out, eraseLine)
		r.live = false
	}
}

// lost tells about a pause on standard error, so that scripts can read Out.
func (r *reporter) lost(why error, pause time.Duration) {
	r.clear()
	reason := "the stream ended"
	answer, ok := errors.AsType[*connect.Error](why)
	switch {
	case ok && unconnected(answer):
		reason = "the server cannot be reached"
	case ok:
		reason = "the stream was cut (" + answer.Code().String() + ")"
	case why != nil:
		reason = why.Error()
	}
	_, _ = fmt.Fprintf(r.std.Err, "%s; reconnecting in %s\n", reason, pause.Round(time.Millisecond))
}
