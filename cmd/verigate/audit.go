package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func auditCommand(c *operatorCaller) *cobra.Command {
	request, all := &verigatev1.ListAuditEntriesRequest{}, false
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what, newest first",
		Long: `Show the audit log of a project and environment, and of the whole gateway: key
changes, erasures, re-encryption, reloads of the configuration.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate audit
  verigate audit --action api_key.revoke --all --json
  verigate audit --config verigate.yaml --project acme --environment live`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				return c.audit(ctx, o, request, all)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&request.Action, "action", "", "only this action, such as subject.erase")
	flags.StringVar(&request.Target, "target", "", "only what was done to this id")
	flags.Int32Var(&request.PageSize, "page-size", 0, "how many at a time, 1 to 200 (default 50)")
	flags.StringVar(&request.PageToken, "page-token", "", "the next page's token, as the page before told it")
	flags.BoolVar(&all, "all", false, "get all pages")
	return c.prepareOperator(cmd)
}

func (c *operatorCaller) audit(ctx context.Context, o *operatorClient, request *verigatev1.ListAuditEntriesRequest, all bool) error {
	found := &verigatev1.ListAuditEntriesResponse{}
	for {
		page, err := o.ListAuditEntries(ctx, request)
		if err != nil {
			return err
		}
		found.Entries = append(found.Entries, page.GetEntries()...)
		found.NextPageToken = page.GetNextPageToken()
		if !all || found.GetNextPageToken() == "" {
			break
		}
		request.PageToken = found.GetNextPageToken()
	}
	if c.asJSON {
		return writeJSON(c.std.Out, found)
	}
	table := tabwriter.NewWriter(c.std.Out, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "TIME\tACTOR\tADDRESS\tACTION\tTARGET\tDETAILS")
	for _, e := range found.GetEntries() {
		details := make([]string, 0, len(e.GetDetails()))
		for _, key := range sortedKeys(e.GetDetails()) {
			details = append(details, printable(key+"="+e.GetDetails()[key]))
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", moment(e.GetCreateTime(), c.zone), printable(e.GetActor()),
			printable(e.GetAddress()), printable(e.GetAction()), printable(e.GetTarget()), strings.Join(details, " "))
	}
	if err := table.Flush(); err != nil || found.GetNextPageToken() == "" {
		return err
	}
	_, err := fmt.Fprintln(c.std.Err, "\nmore: --page-token", found.GetNextPageToken())
	return err
}
