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
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// listFlags are the flags of list.
type listFlags struct {
	states       []string
	flow         string
	subject      string
	since, until string
	pageSize     int32
	pageToken    string
	all          bool
}

func listCommand(c *caller) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List verifications, newest first",
		Long: `List the verifications of the key's project and environment, newest first. All
filters must hold. A page token goes with exactly the filters that it was made
for, so times must then be written out, not relative to now.

` + exitHelp,
		Example: `  verigate list --state pending --since 1h
  verigate list --subject u1 --all --json
  verigate list --state declined,failed --since 2026-05-01T00:00:00Z --until 2026-06-01T00:00:00Z`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.list(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.states, "state", nil, "only these states; repeatable or separated by commas")
	flags.StringVar(&f.flow, "flow", "", "only this flow")
	flags.StringVar(&f.subject, "subject", "", "only this subject")
	flags.StringVar(&f.since, "since", "", "started at or after: 1h, or an RFC 3339 time")
	flags.StringVar(&f.until, "until", "", "started before: 1h, or an RFC 3339 time")
	flags.Int32Var(&f.pageSize, "page-size", 0, "how many at a time, 1 to 200 (default 50)")
	flags.StringVar(&f.pageToken, "page-token", "", "the next page's token, as the page before told it")
	flags.BoolVar(&f.all, "all", false, "get all pages")
	complete(cmd, "state", stateNames()...)
	completeFlows(cmd)
	return c.prepare(cmd)
}

// request turns the flags into a request, or says which flag is wrong.
func (f *listFlags) request(now time.Time) (*verigatev1.ListVerificationsRequest, error) {
	r := &verigatev1.ListVerificationsRequest{
		Flow: f.flow, Subject: f.subject, PageSize: f.pageSize, PageToken: f.pageToken,
	}
	for _, name := range f.states {
		if !slices.Contains(stateNames(), name) {
			return nil, usageError("--state: %q is no state; the states are %s", printable(name), strings.Join(stateNames(), ", "))
		}
		number := verigatev1.VerificationState_value[statePrefix+strings.ToUpper(name)]
		r.States = append(r.States, verigatev1.VerificationState(number))
	}
	if err := f.bound("since", f.since, now, &r.CreateTimeFrom); err != nil {
		return nil, err
	}
	return r, f.bound("until", f.until, now, &r.CreateTimeUntil)
}

// bound reads a time, absolute or so long ago, if there is one.
func (f *listFlags) bound(flag, text string, now time.Time, into **timestamppb.Timestamp) error {
	if text == "" {
		return nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		*into = timestamppb.New(t)
		return nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return usageError("--%s: write how long ago, such as 1h, or a time, such as 2026-05-17T10:30:00Z", flag)
	}
	if f.pageToken != "" {
		return usageError("--%s: write an RFC 3339 time together with --page-token; "+
			"a token goes with the exact time of the page before", flag)
	}
	*into = timestamppb.New(now.Add(-ago))
	return nil
}

func (c *caller) list(cmd *cobra.Command, f *listFlags) error {
	request, err := f.request(c.clock.Now())
	if err != nil {
		return err
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	found, err := listPages(cmd.Context(), g, request, f.all)
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.std.Out, found)
	}
	return c.printList(found, request)
}

// listPages gets one page, or all that follow it too.
func listPages(ctx context.Context, g *gateway, r *verigatev1.ListVerificationsRequest, all bool) (*verigatev1.ListVerificationsResponse, error) {
	found := &verigatev1.ListVerificationsResponse{}
	for {
		page, err := listPage(ctx, g, r)
		if err != nil {
			return nil, err
		}
		found.Verifications = append(found.Verifications, page.GetVerifications()...)
		found.NextPageToken = page.GetNextPageToken()
		if !all || found.GetNextPageToken() == "" {
			return found, nil
		}
		r.PageToken = found.GetNextPageToken()
	}
}

func listPage(ctx context.Context, g *gateway, r *verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return g.ListVerifications(ctx, r)
}

func (c *caller) printList(found *verigatev1.ListVerificationsResponse, r *verigatev1.ListVerificationsRequest) error {
	if len(found.GetVerifications()) == 0 {
		_, err := fmt.Fprintln(c.std.Err, "no verifications match")
		return err
	}
	table := tabwriter.NewWriter(c.std.Out, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tSTATE\tRESULT\tFLOW\tSUBJECT\tREFERENCE\tCREATED")
	for _, v := range found.GetVerifications() {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(v.GetId()),
			stateName(v.GetState()), resultName(v.GetResult()), printable(v.GetFlow()),
			printable(v.GetSubject()), printable(v.GetReference()), moment(v.GetCreateTime(), c.zone))
	}
	if err := table.Flush(); err != nil || found.GetNextPageToken() == "" {
		return err
	}
	_, err := fmt.Fprintln(c.std.Err, "\nmore:", nextPage(r, found.GetNextPageToken()))
	return err
}

// nextPage is the command that gets the next page: same filters, exact times.
func nextPage(r *verigatev1.ListVerificationsRequest, token string) string {
	words := []string{"verigate", "list"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag, shellWord(printable(value)))
		}
	}
	for _, state := range r.GetStates() {
		add("state", stateName(state))
	}
	add("flow", r.GetFlow())
	add("subject", r.GetSubject())
	if t := r.GetCreateTimeFrom(); t != nil {
		add("since", t.AsTime().Format(time.RFC3339Nano))
	}
	if t := r.GetCreateTimeUntil(); t != nil {
		add("until", t.AsTime().Format(time.RFC3339Nano))
	}
	if r.GetPageSize() != 0 {
		add("page-size", strconv.Itoa(int(r.GetPageSize())))
	}
	add("page-token", token)
	return strings.Join(words, " ")
}
