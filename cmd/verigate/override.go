package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// decisions are the states that an operator may decide.
func decisions() []string { return []string{"approved", "declined"} }

func overrideCommand(c *operatorCaller) *cobra.Command {
	to, request := "", &verigatev1.OverrideVerificationRequest{}
	cmd := &cobra.Command{
		Use:   "override <id> --to approved|declined --reason WHY",
		Short: "Decide a verification by hand, or turn its decision over",
		Long: `Decide a verification by hand, or turn its decision over, which is a revision. It
is on record with its author and reason, in the event stream, and sent to the
backend.
What is so already stays so. A canceled or failed verification, and one that is
expired for longer than the grace period, cannot be decided: start a new one.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate override 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --to declined --reason ticket-4711
  verigate override 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --to approved --reason "seen in person, case 12" --config verigate.yaml --project acme --environment live`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(decisions(), to) {
				return usageError("--to: must be one of %s", strings.Join(decisions(), ", "))
			}
			if err := checkReason(request.GetReason()); err != nil {
				return err
			}
			number := verigatev1.VerificationState_value[statePrefix+strings.ToUpper(to)]
			request.Id, request.State = args[0], verigatev1.VerificationState(number)
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				done, err := o.OverrideVerification(ctx, request)
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, done)
				}
				return c.printState(done.GetVerification())
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the decision: "+strings.Join(decisions(), " or "))
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, for the record, without naming the subject")
	complete(cmd, "to", decisions()...)
	return c.prepareOperator(cmd)
}
