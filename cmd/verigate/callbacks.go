package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	callbackStatePrefix = "CALLBACK_STATE_"
	channelPrefix       = "CALLBACK_CHANNEL_"
	// callbacksShown is how many callbacks a list has unless it is asked for
	// more, callbacksPage how many come at a time.
	callbacksShown = 50
	callbacksPage  = 200
	// retryTimeout bounds a retry of all dead callbacks.
	retryTimeout = 10 * time.Minute
)

func callbacksCommand(w world) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "callbacks",
		Short: "See what backends were told, retry it, receive it",
		Long: `A callback is one signed message to your backend about one event of a
verification. It is tried for three days; then, or when the backend answers 410,
it is dead and waits for a retry by hand. See docs/callbacks.md.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(callbacksList(newOperatorCaller(w)), callbacksShow(newOperatorCaller(w)),
		callbacksRetry(newOperatorCaller(w)), callbacksReceive(w))
	return cmd
}

// callbackFlags are the flags of callbacks list.
type callbackFlags struct {
	states       []string
	verification string
	limit        int
}

func callbacksList(c *operatorCaller) *cobra.Command {
	var f callbackFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List callbacks, newest first",
		Long: `List the callbacks of the project and environment, newest first. All filters must
hold. A waiting callback comes after an earlier one of the same verification to
the same address; a pending one is being delivered, or tried again later.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate callbacks list --state dead
  verigate callbacks list --verification 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --json
  verigate callbacks list --state pending,waiting --limit 0 --config verigate.yaml --project acme --environment live`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := f.request()
			if err != nil {
				return err
			}
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				found, err := f.pages(ctx, o, request)
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, found)
				}
				return c.printCallbacks(found, f.limit)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.states, "state", nil, "only these states: "+strings.Join(callbackStates(), ", ")+"; repeatable or separated by commas")
	flags.StringVar(&f.verification, "verification", "", "only callbacks about this verification's id")
	flags.IntVar(&f.limit, "limit", callbacksShown, "how many at most; 0 for all")
	complete(cmd, "state", callbackStates()...)
	return c.prepareOperator(cmd)
}

// request turns the flags into a request, or says which flag is wrong.
func (f *callbackFlags) request() (*verigatev1.ListCallbacksRequest, error) {
	if f.limit < 0 {
		return nil, usageError("--limit: must not be negative; 0 means all")
	}
	r := &verigatev1.ListCallbacksRequest{VerificationId: f.verification}
	for _, name := range f.states {
		if !slices.Contains(callbackStates(), name) {
			return nil, usageError("--state: %q is no state of a callback; the states are %s", printable(name), strings.Join(callbackStates(), ", "))
		}
		number := verigatev1.CallbackState_value[callbackStatePrefix+strings.ToUpper(name)]
		r.States = append(r.States, verigatev1.CallbackState(number))
	}
	return r, nil
}

// pages gets as many pages as the limit needs.
func (f *callbackFlags) pages(ctx context.Context, o *operatorClient, r *verigatev1.ListCallbacksRequest) (*verigatev1.ListCallbacksResponse, error) {
	found := &verigatev1.ListCallbacksResponse{}
	for {
		r.PageSize = callbacksPage
		if f.limit > 0 {
			r.PageSize = int32(min(f.limit-len(found.GetCallbacks()), callbacksPage))
		}
		page, err := o.ListCallbacks(ctx, r)
		if err != nil {
			return nil, err
		}
		found.Callbacks = append(found.Callbacks, page.GetCallbacks()...)
		found.NextPageToken = page.GetNextPageToken()
		if found.GetNextPageToken() == "" || len(found.GetCallbacks()) == f.limit {
			return found, nil
		}
		r.PageToken = found.GetNextPageToken()
	}
}

func (c *operatorCaller) printCallbacks(found *verigatev1.ListCallbacksResponse, limit int) error {
	if len(found.GetCallbacks()) == 0 {
		_, err := fmt.Fprintln(c.std.Err, "no callbacks match")
		return err
	}
	table := tabwriter.NewWriter(c.std.Out, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tSTATE\tCHANNEL\tVERIFICATION\tVERSION\tATTEMPTS\tREASON\tCREATED\tNEXT ATTEMPT")
	for _, b := range found.GetCallbacks() {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", printable(b.GetId()), callbackStateName(b.GetState()),
			channelName(b.GetChannel()), printable(b.GetVerificationId()), b.GetVersion(), b.GetAttempts(),
			printable(b.GetReason()), moment(b.GetCreateTime(), c.zone), moment(b.GetNextAttemptTime(), c.zone))
	}
	if err := table.Flush(); err != nil || found.GetNextPageToken() == "" {
		return err
	}
	_, err := fmt.Fprintf(c.std.Err, "\nthere are more: --limit %d\n", limit+callbacksShown)
	return err
}

func callbacksShow(c *operatorCaller) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show <id>",
		Short: "Show a callback and every attempt at delivering it",
		Long: `Show a callback with its address and its attempts, oldest first; the last 100 of
them. Nothing that the backend answered is kept but its status.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate callbacks show 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate callbacks show 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --json`,
		Args: oneCallback,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				found, err := o.GetCallback(ctx, &verigatev1.GetCallbackRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, found)
				}
				if err := c.printCallback(found.GetCallback()); err != nil {
					return err
				}
				return c.printAttempts(found.GetAttempts())
			})
		},
	}
	return c.prepareOperator(cmd)
}

// oneCallback is the argument check of commands that take a callback's id.
func oneCallback(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError("give one callback's id: `%s <id>`; `verigate callbacks list` shows ids", cmd.CommandPath())
	}
	return nil
}

func (c *operatorCaller) printCallback(b *verigatev1.Callback) error {
	return writePairs(c.std.Out, [][2]string{
		{"id", b.GetId()},
		{"event", b.GetEventId()},
		{"verification", b.GetVerificationId()},
		{"channel", channelName(b.GetChannel())},
		{"url", b.GetUrl()},
		{"state", callbackStateName(b.GetState())},
		{"reason", b.GetReason()},
		{"attempts", strconv.Itoa(int(b.GetAttempts()))},
		{"created", moment(b.GetCreateTime(), c.zone)},
		{"next attempt", moment(b.GetNextAttemptTime(), c.zone)},
		{"finished", moment(b.GetFinishTime(), c.zone)},
	})
}

func (c *operatorCaller) printAttempts(attempts []*verigatev1.CallbackAttempt) error {
	if len(attempts) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(c.std.Out, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nATTEMPT\tTIME\tTOOK\tSTATUS\tREASON")
	for _, a := range attempts {
		status := ""
		if a.GetStatusCode() != 0 {
			status = strconv.Itoa(int(a.GetStatusCode()))
		}
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", a.GetNumber(), moment(a.GetStartTime(), c.zone),
			a.GetDuration().AsDuration().Round(time.Millisecond), status, printable(a.GetReason()))
	}
	return table.Flush()
}

func callbacksRetry(c *operatorCaller) *cobra.Command {
	allDead := false
	cmd := &cobra.Command{
		Use:   "retry <id> | retry --all-dead",
		Short: "Try a callback again, or all that are dead",
		Long: `Try a callback again, at once and then on the usual schedule: a dead one, or one
whose next attempt is far. Later events of its verification may have been
delivered before it, so the backend compares versions. With --all-dead all dead
ones are taken up again, oldest first. It is in the audit log.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate callbacks retry 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate callbacks retry --all-dead --config verigate.yaml --project acme --environment live`,
		Args: func(cmd *cobra.Command, args []string) error {
			if allDead == (len(args) > 0) {
				return usageError("name one callback or all: `%s <id>` or `%[1]s --all-dead`", cmd.CommandPath())
			}
			if allDead {
				return nil
			}
			return oneCallback(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOperatorFor(cmd, retryTimeout, func(ctx context.Context, o *operatorClient) error {
				if allDead {
					return c.retryDead(ctx, o)
				}
				return c.retry(ctx, o, args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&allDead, "all-dead", false, "all dead callbacks of the project and environment")
	return c.prepareOperator(cmd)
}

func (c *operatorCaller) retry(ctx context.Context, o *operatorClient, id string) error {
	done, err := o.RetryCallback(ctx, &verigatev1.RetryCallbackRequest{Id: id})
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.std.Out, done)
	}
	_, err = fmt.Fprintln(c.std.Out, "tried again:", printable(done.GetCallback().GetId()))
	return err
}

func (c *operatorCaller) retryDead(ctx context.Context, o *operatorClient) error {
	done, err := o.RetryDeadCallbacks(ctx, &verigatev1.RetryDeadCallbacksRequest{})
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.std.Out, done)
	}
	_, err = fmt.Fprintf(c.std.Out, "%d callbacks are tried again\n", done.GetCallbacks())
	return err
}

func callbackStateName(s verigatev1.CallbackState) string {
	return plainName(s.String(), callbackStatePrefix)
}

func channelName(ch verigatev1.CallbackChannel) string { return plainName(ch.String(), channelPrefix) }

// callbackStates lists the states in the order of a callback's life.
func callbackStates() []string {
	values := verigatev1.CallbackState(0).Descriptor().Values()
	names := make([]string, 0, values.Len())
	for i := range values.Len() {
		if name := plainName(string(values.Get(i).Name()), callbackStatePrefix); name != "" {
			names = append(names, name)
		}
	}
	return names
}
