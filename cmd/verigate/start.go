package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// startFlags are the flags of start: the fields of the request, and watching.
type startFlags struct {
	request   verigatev1.StartVerificationRequest
	expiresIn time.Duration
	metadata  []string
	userData  []string
	watch     bool
	follow    watchFlags
}

func startCommand(c *caller) *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "start --flow NAME --subject ID",
		Short: "Start a verification and print the page to open",
		Long: `Start a verification of one subject through one flow. The answer is the hosted
page to open for the person, and a client token with which an app may watch
this one verification.

With --idempotency-key a repeated start returns the first one's answer instead
of starting twice. With --watch the command goes on like ` + "`verigate watch`" + `.

` + exitHelp,
		Example: `  verigate start --flow identity --subject u1 --redirect-url myapp://verify-complete
  verigate start --flow age-gate --subject u1 --reference order-1 --metadata shop=berlin --watch
  verigate start --flow identity --subject u1 --idempotency-key order-1 --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.start(cmd, &f) },
	}
	f.bind(cmd)
	return c.prepare(cmd)
}

func (f *startFlags) bind(cmd *cobra.Command) {
	flags, r := cmd.Flags(), &f.request
	flags.StringVar(&r.Flow, "flow", "", "the flow to start, as the server's configuration names it")
	flags.StringVar(&r.Subject, "subject", "", "who is verified: your opaque id, not a name or e-mail address")
	flags.StringVar(&r.Reference, "reference", "", "your own id for this verification")
	flags.StringVar(&r.IdempotencyKey, "idempotency-key", "", "makes a repeated start return the first one's answer")
	flags.StringVar(&r.RedirectUrl, "redirect-url", "", "where the person goes after passing")
	flags.StringVar(&r.FailureRedirectUrl, "failure-redirect-url", "", "where the person goes after failing or refusing")
	flags.StringVar(&r.CallbackUrl, "callback-url", "", "where decisions are sent")
	flags.StringVar(&r.EventsCallbackUrl, "events-callback-url", "", "where all other events are sent")
	flags.DurationVar(&f.expiresIn, "expires-in", 0, "how long the person has, such as 30m (default: the flow's)")
	flags.StringVar(&r.PageTitle, "page-title", "", "title of the hosted page")
	flags.StringVar(&r.SuccessMessage, "success-message", "", "what the hosted page says after passing")
	flags.StringVar(&r.FailureMessage, "failure-message", "", "what the hosted page says after failing")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "key=value to keep with the verification; repeatable")
	flags.StringArrayVar(&f.userData, "user-data", nil, "key=value of what you know of the person, such as first_name=Ada; repeatable")
	flags.BoolVar(&f.watch, "watch", false, "go on watching until the result is there")
	f.follow.bindTimeout(cmd)
	completeFlows(cmd)
}

// completeFlows offers the flows of `verigate dev`; asking the server would
// make a Tab key wait for the network.
func completeFlows(cmd *cobra.Command) {
	complete(cmd, "flow", "identity", "age-gate", "kyc")
}

func (c *caller) start(cmd *cobra.Command, f *startFlags) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	g, err := c.open()
	if err != nil {
		return err
	}
	defer g.close()
	ctx, cancel := context.WithTimeout(cmd.Context(), callTimeout)
	defer cancel()
	started, err := g.StartVerification(ctx, &f.request)
	if err != nil {
		return err
	}
	if err := c.printStarted(g, started, f.watch); err != nil || !f.watch {
		return err
	}
	return c.within(cmd.Context(), f.follow.timeout, func(ctx context.Context) error {
		return c.follow(ctx, g, started.GetVerification(), f.follow)
	})
}

// check completes the request, or says which flag is wrong.
func (f *startFlags) check(cmd *cobra.Command) error {
	if f.request.GetFlow() == "" || f.request.GetSubject() == "" {
		return usageError("--flow and --subject: both are needed, such as `verigate start --flow identity --subject u1`")
	}
	if cmd.Flags().Changed("expires-in") {
		f.request.ExpiresIn = durationpb.New(f.expiresIn)
	}
	if cmd.Flags().Changed("timeout") && !f.watch {
		return usageError("--timeout: only has a meaning with --watch; --expires-in limits the verification itself")
	}
	f.request.Metadata = make(map[string]string, len(f.metadata))
	for i, pair := range f.metadata {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := f.request.GetMetadata()[key]; !ok || key == "" || twice {
			return usageError("--metadata (number %d): write key=value, each key once", i+1)
		}
		f.request.Metadata[key] = value
	}
	if err := f.checkUserData(); err != nil {
		return err
	}
	return f.follow.check()
}

// checkUserData reads --user-data, whose keys are the contract's own names.
func (f *startFlags) checkUserData() error {
	if len(f.userData) == 0 {
		return nil
	}
	data := make(map[string]string, len(f.userData))
	for i, pair := range f.userData {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := data[key]; !ok || key == "" || twice {
			return usageError("--user-data (number %d): write key=value, each key once", i+1)
		}
		data[key] = value
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	f.request.UserData = &verigatev1.UserData{}
	if protojson.Unmarshal(encoded, f.request.GetUserData()) != nil {
		return usageError("--user-data: the keys are first_name, middle_name, last_name, date_of_birth, phone_number, email_address and ip_address")
	}
	return nil
}

func (c *caller) printStarted(g *gateway, s *verigatev1.StartVerificationResponse, watching bool) error {
	if c.asJSON {
		return writeJSON(c.std.Out, s)
	}
	v := s.GetVerification()
	err := writePairs(c.std.Out, [][2]string{
		{"id", v.GetId()},
		{"state", stateName(v.GetState())},
		{"open", s.GetHostedUrl()},
		{"client token", s.GetClientToken()},
		{"expires", moment(v.GetExpireTime(), c.zone)},
	})
	if err != nil {
		return err
	}
	id := shellWord(printable(v.GetId()))
	next := "\nNext:\n"
	if !watching {
		next += "  verigate watch " + id + "\n"
	}
	if _, sandboxed := completionURL(g.base, s.GetHostedUrl()); sandboxed == nil {
		next += "  verigate sandbox complete " + id + " --outcome pass\n"
	}
	if !watching {
		next += "  verigate get " + id + "\n"
	}
	_, err = fmt.Fprint(c.std.Out, next)
	return err
}
