package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// outcomes are how a person can leave the sandbox's hosted page.
func outcomes() []string { return []string{"pass", "fail", "deny", "review", "abandon"} }

func sandboxCommand(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Play the person on a sandbox page",
		Long: `Work with the sandbox provider of a development gateway. Nothing here works on a
real provider's page.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sandboxComplete(c), sandboxCase(c))
	return c.prepare(cmd)
}

// completeFlags are the flags of sandbox complete.
type completeFlags struct {
	outcome string
	faults  []string
}

func sandboxComplete(c *caller) *cobra.Command {
	var f completeFlags
	cmd := &cobra.Command{
		Use:   "complete <id> --outcome pass|fail|deny|review|abandon",
		Short: "Do what a person would do on the hosted page",
		Long: `Open the verification's hosted page, choose an outcome and come back as a browser
does: over the gateway's return leg, which tells where the app would be opened.
The result itself comes by the sandbox's signed webhook, a moment later: watch it.
deny is VerifyHuman's, review AiPrise's.

A --fault makes this one run misbehave: duplicate=N, reorder, delay=2s, drop,
wrong_secret and others that each provider has; docs/sandbox.md lists them.

` + exitHelp,
		Example: `  verigate sandbox complete 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --outcome pass
  verigate sandbox complete 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --outcome fail --fault delay=5s
  verigate sandbox complete 0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d --outcome pass --fault duplicate=2 --fault shape=envelope`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error { return c.completePage(cmd, args[0], f) },
	}
	cmd.Flags().StringVar(&f.outcome, "outcome", "", "how it ends: "+strings.Join(outcomes(), ", "))
	cmd.Flags().StringArrayVar(&f.faults, "fault", nil, "name or name=value of a fault for this run; repeatable")
	complete(cmd, "outcome", outcomes()...)
	return cmd
}

// faultsJSON turns name and name=value settings into the sandbox's JSON object.
// A name alone is true; a value that is JSON by itself keeps its type, anything
// else is a string. Which faults exist is the sandbox's business.
func faultsJSON(settings []string) ([]byte, error) {
	faults := make(map[string]json.RawMessage, len(settings))
	for i, setting := range settings {
		name, value, hasValue := strings.Cut(setting, "=")
		name = strings.ReplaceAll(name, "-", "_")
		if _, twice := faults[name]; name == "" || twice {
			return nil, usageError("fault number %d: write name or name=value, each name once", i+1)
		}
		raw := json.RawMessage(value)
		switch {
		case !hasValue:
			raw = json.RawMessage("true")
		case !json.Valid(raw):
			text, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			raw = text
		}
		faults[name] = raw
	}
	return json.Marshal(faults)
}

func (c *caller) completePage(cmd *cobra.Command, id string, f completeFlags) error {
	if !slices.Contains(outcomes(), f.outcome) {
		return usageError("--outcome: must be one of %s", strings.Join(outcomes(), ", "))
	}
	faults, err := faultsJSON(f.faults)
	if err != nil {
		return err
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	ctx, cancel := context.WithTimeout(cmd.Context(), callTimeout)
	defer cancel()
	v, err := fetch(ctx, g, id)
	if err != nil {
		return err
	}
	page, err := sandboxPage(g.base, v)
	if err != nil {
		return err
	}
	done := completion{VerificationID: v.GetId(), Outcome: f.outcome, session: sessionOf(v)}
	if err := done.play(ctx, g, page, faults); err != nil {
		return err
	}
	return c.printCompletion(done)
}

func (c *caller) printCompletion(p completion) error {
	if c.asJSON {
		return printJSON(c.std.Out, p)
	}
	text := fmt.Sprintf("The page answered %s.\n", printable(p.Status))
	if p.Returned {
		text += "The person came back through the gateway.\n"
	}
	if p.AppURL != "" {
		text += "The app would be opened at " + printable(p.AppURL) + "\n"
	}
	text += "\nNext:\n  verigate watch " + shellWord(printable(p.VerificationID)) + "\n"
	_, err := fmt.Fprint(c.std.Out, text)
	return err
}
