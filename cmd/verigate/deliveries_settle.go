package main

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func deliveriesReplay(c *operatorCaller) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay <id>",
		Short: "Read a delivery again, and apply it",
		Long: `Read a delivery again with today's adapter and configuration, and apply it as if
it had arrived then: after an update that can read it, or when what it waits for
is there. What was applied, and what was purged, cannot be replayed. It is in the
audit log.

It opens what lies sealed, so it needs a running gateway, which has the keys and
adapters.

` + gatewayHelp + "\n\n" + exitHelp,
		Example: `  verigate deliveries replay 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate deliveries replay 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --json`,
		Args: oneDelivery,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.wantsGateway("deliveries replay", "opens and reads what lies sealed"); err != nil {
				return err
			}
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				done, err := o.ReplayDelivery(ctx, &verigatev1.ReplayDeliveryRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, done)
				}
				return c.printSettled(done.GetDelivery())
			})
		},
	}
	return c.prepareOperator(cmd)
}

func deliveriesBind(c *operatorCaller) *cobra.Command {
	request := &verigatev1.BindDeliveryRequest{}
	cmd := &cobra.Command{
		Use:   "bind <id> --verification ID --reason WHY",
		Short: "Say which verification a waiting delivery is about",
		Long: `Say by hand which verification an unmatched delivery is about, and apply it. What
the provider sends next about the same run follows it. The wrong one would decide
about the wrong person, so compare times, product and what the provider shows
first. It is in the audit log.

It needs a running gateway, which knows the flows.

` + gatewayHelp + "\n\n" + exitHelp,
		Example: `  verigate deliveries bind 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d \
    --verification 0197a3c2-9d20-7aa1-8c11-3b7e5a6f1d2e --reason ticket-4711`,
		Args: oneDelivery,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Id = args[0]
			if request.GetVerificationId() == "" {
				return usageError("--verification: must not be empty; `verigate list` shows ids")
			}
			if err := checkReason(request.GetReason()); err != nil {
				return err
			}
			if err := c.wantsGateway("deliveries bind", "applies what a provider said"); err != nil {
				return err
			}
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				done, err := o.BindDelivery(ctx, request)
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, done)
				}
				if err := c.printSettled(done.GetDelivery()); err != nil {
					return err
				}
				return c.printState(done.GetVerification())
			})
		},
	}
	cmd.Flags().StringVar(&request.VerificationId, "verification", "", "the id of the verification that it is about")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, for the record, without naming the subject")
	return c.prepareOperator(cmd)
}

// checkReason checks a reason that goes on record.
func checkReason(reason string) error {
	if reason == "" {
		return usageError("--reason: must not be empty; it is kept, so write a ticket's number")
	}
	if !utf8.ValidString(reason) {
		return usageError("--reason: must be UTF-8")
	}
	return nil
}

// printSettled tells in one line what became of a delivery.
func (c *operatorCaller) printSettled(d *verigatev1.Delivery) error {
	text := printable(d.GetId()) + "  " + effectName(d.GetEffect())
	if d.GetVerificationId() != "" {
		text += "  verification " + printable(d.GetVerificationId())
	}
	_, err := fmt.Fprintln(c.std.Out, text)
	return err
}

// printState tells in one line where a verification stands.
func (c *operatorCaller) printState(v *verigatev1.Verification) error {
	_, err := fmt.Fprintf(c.std.Out, "%s  %s\n", printable(v.GetId()), stateName(v.GetState()))
	return err
}
