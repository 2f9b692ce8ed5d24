package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// caseFlags are the flags of sandbox case.
type caseFlags struct {
	session string
	result  string
	reason  string
}

func sandboxCase(c *caller) *cobra.Command {
	var f caseFlags
	cmd := &cobra.Command{
		Use:   "case --session <id> --result approved|declined|review",
		Short: "Do what a reviewer would do on AiPrise's dashboard",
		Long: `Change the decision of an AiPrise sandbox session, as a human reviewer does, also
after it was decided: the sandbox sends a CASE_STATUS_UPDATE. The session's id is
in the hosted page's address, verification_session_id.

` + exitHelp,
		Example: `  verigate sandbox case --session 4f1d2c3b-0000-4000-8000-000000000001 --result declined --reason FAKE_ID`,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.reviewCase(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.session, "session", "", "the provider's id of the session")
	cmd.Flags().StringVar(&f.result, "result", "", "the reviewer's decision: approved, declined or review")
	cmd.Flags().StringVar(&f.reason, "reason", "", "AiPrise's code of the reason, with declined")
	complete(cmd, "result", "approved", "declined", "review")
	return cmd
}

// sessionOf is the AiPrise session in a verification's hosted page; empty for
// any other page.
func sessionOf(v *verigatev1.Verification) string {
	page, err := url.Parse(v.GetHostedUrl())
	if err != nil {
		return ""
	}
	return aipriseSession(page)
}

func (c *caller) reviewCase(ctx context.Context, f caseFlags) error {
	if f.session == "" || f.result == "" {
		return usageError("--session and --result: both are needed")
	}
	body, err := json.Marshal(map[string]string{
		"verification_result": strings.ToUpper(f.result), "reason_code": f.reason,
	})
	if err != nil {
		return err
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	target := g.base.JoinPath(aipriseSandboxPath, "control", "sessions", f.session, "case")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return usageError("--session: is no id")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-KEY", aipriseSandboxKey)
	response, err := g.http.Do(request)
	if err != nil {
		return exitWith(exitOf(ctx), "the sandbox at %s does not answer\nIs `verigate dev` still running?", g.base)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxSandboxAnswer))
	var answer struct {
		Sent    bool   `json:"sent"`
		Message string `json:"message"`
	}
	if decodeErr := json.Unmarshal(text, &answer); response.StatusCode != http.StatusAccepted {
		return exitWith(statusExit(response.StatusCode), "the sandbox answered %d: %s", response.StatusCode, printable(answer.Message))
	} else if err := cmp.Or(err, decodeErr); err != nil {
		return exitWith(exitInternal, "the sandbox's answer cannot be read")
	}
	if c.asJSON {
		return printJSON(c.std.Out, map[string]any{"session": f.session, "result": f.result, "sent": answer.Sent})
	}
	_, err = fmt.Fprintf(c.std.Out, "The case of session %s is now %s; the sandbox tells the gateway.\n", printable(f.session), f.result)
	return err
}
