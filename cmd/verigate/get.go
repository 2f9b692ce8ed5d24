package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// getFlags are the flags of get.
type getFlags struct {
	reference    string
	wait         time.Duration
	afterVersion int64
}

func getCommand(c *caller) *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get <id> | get --reference REF",
		Short: "Show one verification",
		Long: `Show one verification, by its id or by your own reference: then it is the newest
that carries the reference.

With --wait the answer comes as soon as the version passes --after-version, or
when the time is over: a way to wait where streams do not work. Without
--after-version any version is new, so give the one that you have seen.

` + exitHelp,
		Example: `  verigate get 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d
  verigate get --reference order-1 --json
  verigate get --reference order-1 --wait 30s --after-version 2`,
		Args: func(_ *cobra.Command, args []string) error { return f.checkTarget(args) },
		RunE: func(cmd *cobra.Command, args []string) error { return c.get(cmd, args, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.reference, "reference", "", "your own id for the verification, instead of its id")
	flags.DurationVar(&f.wait, "wait", 0, "wait this long for a newer version, at most 60s")
	flags.Int64Var(&f.afterVersion, "after-version", 0, "with --wait: the version that you have seen")
	return c.prepare(cmd)
}

// checkTarget wants exactly one of id and reference.
func (f *getFlags) checkTarget(args []string) error {
	byID := len(args) == 1 && args[0] != ""
	if len(args) > 1 || byID == (f.reference != "") {
		return usageError("name one verification: `verigate get <id>` or `verigate get --reference REF`")
	}
	return nil
}

func (c *caller) get(cmd *cobra.Command, args []string, f *getFlags) error {
	if cmd.Flags().Changed("after-version") && f.wait == 0 {
		return usageError("--after-version: only has a meaning with --wait, such as --wait 30s")
	}
	request := &verigatev1.GetVerificationRequest{Reference: f.reference, AfterVersion: f.afterVersion}
	if len(args) == 1 {
		request.Id = args[0]
	}
	if cmd.Flags().Changed("wait") {
		request.Wait = durationpb.New(f.wait)
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	ctx, cancel := context.WithTimeout(cmd.Context(), callTimeout+max(f.wait, 0))
	defer cancel()
	answer, err := g.GetVerification(ctx, request)
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.std.Out, answer)
	}
	return writeVerification(c.std.Out, answer.GetVerification(), c.zone)
}
