package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func timelineCommand(c *operatorCaller) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "timeline <id>",
		Short: "Show everything that was said about a verification",
		Long: `Show a verification and everything that was said about it, oldest first: each
change of state with its source and how the verification was found, and each
delivery that changed nothing with what it did instead. Then whether and when the
provider is asked for the status. The last 500 entries.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate timeline 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate timeline 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --json`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				found, err := o.GetTimeline(ctx, &verigatev1.GetTimelineRequest{VerificationId: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, found)
				}
				return c.printTimeline(found)
			})
		},
	}
	return c.prepareOperator(cmd)
}

func (c *operatorCaller) printTimeline(found *verigatev1.GetTimelineResponse) error {
	if err := writeVerification(c.std.Out, found.GetVerification(), c.zone); err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.std.Out, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nTIME\tSOURCE\tKIND\tEFFECT\tFOUND BY\tDETAILS")
	for _, e := range found.GetEntries() {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", moment(e.GetTime(), c.zone),
			plainName(e.GetSource().String(), sourcePrefix), kindName(e.GetKind()), timelineEffect(e), foundBy(e), timelineDetails(e))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.std.Out, "\n"+c.reconciliation(found.GetVerification(), found.GetReconciliation()))
	return err
}

// timelineEffect is what an entry did: the way of a transition, or a word.
func timelineEffect(e *verigatev1.TimelineEntry) string {
	if e.GetVersion() == 0 {
		return effectName(e.GetEffect())
	}
	from := stateName(e.GetFromState())
	if from == "" {
		return fmt.Sprintf("%d: %s", e.GetVersion(), stateName(e.GetToState()))
	}
	return fmt.Sprintf("%d: %s → %s", e.GetVersion(), from, stateName(e.GetToState()))
}

func foundBy(e *verigatev1.TimelineEntry) string {
	if e.GetRung() == "" {
		return ""
	}
	return printable(e.GetRung()) + " (" + matchName(e.GetMatch()) + ")"
}

func timelineDetails(e *verigatev1.TimelineEntry) string {
	var details []string
	add := func(name, value string) {
		if value != "" {
			details = append(details, name+"="+printable(value))
		}
	}
	add("reasons", strings.Join(e.GetReasonCodes(), ","))
	add("reason", e.GetReason())
	add("provider", e.GetProviderStatus())
	add("delivery", e.GetDeliveryId())
	return strings.Join(details, " ")
}

func (c *operatorCaller) reconciliation(v *verigatev1.Verification, r *verigatev1.Reconciliation) string {
	switch {
	case r.GetNextFetchTime() != nil:
		return fmt.Sprintf("the provider is asked next at %s; it was asked %d times since the last change",
			moment(r.GetNextFetchTime(), c.zone), r.GetFetches())
	case v.GetResult() != verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING:
		return "it is over: the provider is not going to be asked for the status any more"
	case r.GetPollable():
		return "there is nothing that the provider can be asked by, as far as is known: only its webhooks tell"
	default:
		return "this connection's provider cannot be asked for the status: only its webhooks tell"
	}
}
