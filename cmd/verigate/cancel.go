package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func cancelCommand(c *caller) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "cancel <id>",
		Short: "Call a verification off",
		Long: `Call a verification off: it ends as canceled and its hosted page has no effect any
more. Canceling a canceled one is fine; one that is over in another way stays
as it is, and the exit code is 6.

` + exitHelp,
		Example: `  verigate cancel 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate cancel 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --reason "the order was withdrawn"`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error { return c.cancel(cmd, args[0], reason) },
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record; the person does not see it")
	return c.prepare(cmd)
}

func (c *caller) cancel(cmd *cobra.Command, id, reason string) error {
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	ctx, stop := context.WithTimeout(cmd.Context(), callTimeout)
	defer stop()
	answer, err := g.CancelVerification(ctx, &verigatev1.CancelVerificationRequest{Id: id, Reason: reason})
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.std.Out, answer)
	}
	v := answer.GetVerification()
	_, err = fmt.Fprintf(c.std.Out, "%s  %s\n", printable(v.GetId()), stateName(v.GetState()))
	return err
}
