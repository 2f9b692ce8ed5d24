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
	"slices"
	"strings"

	"github.com/spf13/cobra"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// sessionRef begins a provider ref that is a session's id.
const sessionRef = "session:"

// caseResults are what a reviewer may decide.
func caseResults() []string { return []string{"approved", "declined", "review"} }

// caseFlags are the flags of sandbox case.
type caseFlags struct {
	result string
	reason string
}

// decidedCase is what a reviewer decided, as --json prints it.
type decidedCase struct {
	VerificationID string `json:"verificationId"`
	// Session is AiPrise's.
	Session string `json:"session"`
	Result  string `json:"result"`
	// Sent tells that a webhook is on its way; a fault may swallow it.
	Sent bool `json:"sent"`
}

func sandboxCase(c *caller) *cobra.Command {
	var f caseFlags
	cmd := &cobra.Command{
		Use:   "case <id> --result approved|declined|review",
		Short: "Do what a reviewer would do on AiPrise's dashboard",
		Long: `Decide the case of a verification on AiPrise's sandbox page as a human reviewer
does, also after it was decided: the sandbox sends a CASE_STATUS_UPDATE. The
person has to be done with the page first.

The session is looked up in the hosted page while the verification is open, and
in what AiPrise delivered afterwards, which needs a key of the scope operator, as
that of ` + "`verigate dev`" + ` is.

` + exitHelp,
		Example: `  verigate sandbox case 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --result declined --reason FAKE_ID
  verigate sandbox case 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --result approved --json`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error { return c.reviewCase(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.result, "result", "", "the reviewer's decision: "+strings.Join(caseResults(), ", "))
	cmd.Flags().StringVar(&f.reason, "reason", "", "AiPrise's code of the reason, with declined")
	complete(cmd, "result", caseResults()...)
	return cmd
}

func (c *caller) reviewCase(ctx context.Context, id string, f caseFlags) error {
	if !slices.Contains(caseResults(), f.result) {
		return usageError("--result: must be one of %s", strings.Join(caseResults(), ", "))
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := fetch(ctx, g, id)
	if err != nil {
		return err
	}
	session, err := aipriseSessionOf(ctx, g, v)
	if err != nil {
		return err
	}
	done := decidedCase{VerificationID: v.GetId(), Session: session, Result: f.result}
	if err := done.decide(ctx, g, f.reason); err != nil {
		return err
	}
	if c.asJSON {
		return printJSON(c.std.Out, done)
	}
	_, err = fmt.Fprintf(c.std.Out, "A reviewer decided %s; the sandbox tells the gateway.\n\nNext:\n  verigate timeline %s\n",
		done.Result, shellWord(printable(done.VerificationID)))
	return err
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

// aipriseSessionOf finds the session of a verification, open or over.
func aipriseSessionOf(ctx context.Context, g *gateway, v *verigatev1.Verification) (string, error) {
	if v.GetHostedUrl() != "" {
		// It says what is wrong with a page of somebody else.
		if _, err := completionURL(g.base, v.GetHostedUrl()); err != nil {
			return "", err
		}
		if session := sessionOf(v); session != "" {
			return session, nil
		}
		return "", exitWith(exitRefused, "the hosted page is none of AiPrise's, and only AiPrise has cases\n"+
			"Flow kyc of `verigate dev` goes to AiPrise.")
	}
	return deliveredSession(ctx, g, v.GetId())
}

// deliveredSession finds a verification's session in what was delivered.
func deliveredSession(ctx context.Context, g *gateway, id string) (string, error) {
	api := verigatev1connect.NewOperatorServiceClient(g.api)
	found, err := api.ListDeliveries(ctx, &verigatev1.ListDeliveriesRequest{VerificationId: id, Connection: aipriseConnection})
	if err != nil {
		return "", &operatorError{err}
	}
	for _, d := range found.GetDeliveries() {
		for _, ref := range d.GetProviderRefs() {
			if session, ok := strings.CutPrefix(ref, sessionRef); ok {
				return session, nil
			}
		}
	}
	return "", exitWith(exitRefused, "the verification is over, and no delivery of it names a session of AiPrise\n"+
		"Start one with `verigate start --flow kyc`, and complete it before its case is decided.")
}

// decide posts the decision to the sandbox, as AiPrise's dashboard would.
func (d *decidedCase) decide(ctx context.Context, g *gateway, reason string) error {
	body, err := json.Marshal(map[string]string{"verification_result": strings.ToUpper(d.Result), "reason_code": reason})
	if err != nil {
		return err
	}
	target := g.base.JoinPath(aipriseSandboxPath, "control", "sessions", url.PathEscape(d.Session), "case")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Api-Key", aipriseSandboxKey)
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
	decodeErr := json.Unmarshal(text, &answer)
	if response.StatusCode != http.StatusAccepted {
		return exitWith(statusExit(response.StatusCode), "the sandbox answered %d: %s", response.StatusCode, printable(answer.Message))
	}
	if cmp.Or(err, decodeErr) != nil {
		return exitWith(exitInternal, "the sandbox's answer cannot be read")
	}
	d.Sent = answer.Sent
	return nil
}
