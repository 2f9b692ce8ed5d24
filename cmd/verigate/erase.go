package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// eraseTimeout bounds an erasure: a subject may have thousands of verifications.
const eraseTimeout = 10 * time.Minute

// maxSubjectInput is the most that is read of a subject from standard input, in
// bytes: 256 characters of four.
const maxSubjectInput = 1024

func eraseCommand(c *operatorCaller) *cobra.Command {
	request, confirmed := &verigatev1.EraseSubjectRequest{}, false
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Remove everything that tells who a subject was",
		Long: `Remove a subject from all its verifications: the subject itself, reference,
metadata, URLs, reasons in words, provider ids, and the bodies of deliveries.
Open verifications are canceled. States, times and counts remain, and belong to
nobody. It cannot be undone, so it wants --yes.

With --subject - the subject is read from standard input, so that it is neither
in the process list nor in the shell's history. See docs/privacy.md.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate erase --subject u1 --reason ticket-4711 --yes
  printf %s u1 | verigate erase --subject - --reason ticket-4711 --yes --config verigate.yaml --project acme --environment live`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !confirmed {
				return usageError("--yes: is needed, because nothing brings the data back")
			}
			if err := completeErasure(request, c.std.In); err != nil {
				return err
			}
			return c.withOperatorFor(cmd, eraseTimeout, func(ctx context.Context, o *operatorClient) error {
				done, err := o.EraseSubject(ctx, request)
				if exitCode(err) == exitInterrupted {
					return exitWith(exitInterrupted, "interrupted; what was erased stays erased, and the same command does the rest")
				}
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, done)
				}
				_, err = fmt.Fprintf(c.std.Out, "erased %d verifications (%d of them open, now canceled) and %d deliveries\nerasure %s\n",
					done.GetVerifications(), done.GetCanceled(), done.GetDeliveries(), printable(done.GetErasureId()))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&request.Subject, "subject", "", "the subject, exactly as at start; - reads it from standard input")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, for the audit log, without naming the subject")
	cmd.Flags().BoolVar(&confirmed, "yes", false, "yes, remove it for good")
	return c.prepareOperator(cmd)
}

// completeErasure reads the subject from in if it is not in the request, and
// checks what the contract cannot carry.
func completeErasure(request *verigatev1.EraseSubjectRequest, in io.Reader) error {
	if request.GetSubject() == "-" {
		text, err := io.ReadAll(io.LimitReader(in, maxSubjectInput+1))
		if err != nil {
			return usageError("--subject -: cannot read standard input: %v", err)
		}
		request.Subject = strings.TrimRight(string(text), "\r\n")
	}
	if request.GetSubject() == "" || request.GetReason() == "" {
		return usageError("--subject and --reason: must not be empty; the reason is kept, so write a ticket's number")
	}
	if len(request.GetSubject()) > maxSubjectInput || !utf8.ValidString(request.GetSubject()) {
		return usageError("--subject: must be UTF-8 of at most 256 characters, exactly as it was at start")
	}
	if !utf8.ValidString(request.GetReason()) {
		return usageError("--reason: must be UTF-8")
	}
	return nil
}
