package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
)

func keysCommand(c *operatorCaller) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, list, rotate and revoke API keys",
		Long: `API keys are for backends: one acts in its project and environment, as far as its
scopes go. Only a hash is stored, and a key is shown once.

` + operatorHelp + "\n\n" + exitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(keysCreate(c), keysList(c), keysRotate(c), keysRevoke(c))
	return c.prepareOperator(cmd)
}

// withOperator makes one call and closes what it opened.
func (c *operatorCaller) withOperator(cmd *cobra.Command, call func(ctx context.Context, o *operatorClient) error) error {
	return c.withOperatorFor(cmd, callTimeout, call)
}

// withOperatorFor does the same for a call that may take its time.
func (c *operatorCaller) withOperatorFor(cmd *cobra.Command, timeout time.Duration, call func(ctx context.Context, o *operatorClient) error) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	o, err := c.openOperator(ctx, cmd)
	if err != nil {
		return err
	}
	defer o.close()
	if err := call(ctx, o); err != nil {
		return &operatorError{err}
	}
	return nil
}

func scopeNames(scopes []access.KeyScope) []string {
	names := make([]string, 0, len(scopes))
	for _, s := range scopes {
		names = append(names, string(s))
	}
	return names
}

func keysCreate(c *operatorCaller) *cobra.Command {
	name, scopes, expiresIn := "", []string{}, time.Duration(0)
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key and show it once",
		Long: `Make a key and print it, this once: only a hash is stored. Without --scope it may
do what a backend needs; the scope operator is for these commands.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate keys create --config verigate.yaml --project acme --environment live --name checkout-backend
  verigate keys create --config verigate.yaml --project acme --environment live --name on-call --scope operator
  verigate keys create --name nightly-report --scope verifications:read --expires-in 720h`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return usageError("--name: must not be empty; say what the key is for")
			}
			request := &verigatev1.CreateApiKeyRequest{Name: name, Scopes: scopes}
			if expiresIn != 0 {
				request.ExpiresIn = durationpb.New(expiresIn)
			}
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				made, err := o.CreateApiKey(ctx, request)
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, made)
				}
				return c.showKey(made.GetApiKey(), made.GetSecret())
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what it is for; not personal")
	cmd.Flags().StringSliceVar(&scopes, "scope", scopeNames(access.BackendScopes()), "what it may do; repeatable or separated by commas")
	cmd.Flags().DurationVar(&expiresIn, "expires-in", 0, "after how long it ends by itself, such as 2160h; 0 means never")
	complete(cmd, "scope", scopeNames(access.KeyScopes())...)
	return cmd
}

func (c *operatorCaller) showKey(key *verigatev1.ApiKey, text string) error {
	_, err := fmt.Fprintf(c.std.Out, "%s\n\nKeep it now: it is stored as a hash and cannot be shown again. Its id is %s.\n",
		printable(text), printable(key.GetId()))
	return err
}

func keysList(c *operatorCaller) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List keys, never their secrets",
		Long: `List all keys of the project and environment, oldest first: revoked and expired
ones too.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate keys list
  verigate keys list --config verigate.yaml --project acme --environment live --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				found, err := o.ListApiKeys(ctx, &verigatev1.ListApiKeysRequest{})
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, found)
				}
				return c.printKeys(found.GetApiKeys())
			})
		},
	}
}

func (c *operatorCaller) printKeys(keys []*verigatev1.ApiKey) error {
	if len(keys) == 0 {
		_, err := fmt.Fprintln(c.std.Err, "there are no keys; make one with `verigate keys create`")
		return err
	}
	table := tabwriter.NewWriter(c.std.Out, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tNAME\tSCOPES\tCREATED\tLAST USED\tENDS\tSTATUS")
	for _, k := range keys {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(k.GetId()), printable(k.GetName()),
			printable(strings.Join(k.GetScopes(), " ")), moment(k.GetCreateTime(), c.zone),
			moment(k.GetLastUseTime(), c.zone), moment(k.GetExpireTime(), c.zone), c.keyStatus(k))
	}
	return table.Flush()
}

func (c *operatorCaller) keyStatus(k *verigatev1.ApiKey) string {
	switch {
	case k.GetRevokeTime() != nil:
		return "revoked " + moment(k.GetRevokeTime(), c.zone)
	case k.GetExpireTime() != nil && !c.clock.Now().Before(k.GetExpireTime().AsTime()):
		return "expired"
	case k.GetSuccessorId() != "":
		return "rotated to " + printable(k.GetSuccessorId())
	default:
		return "active"
	}
}

func keysRotate(c *operatorCaller) *cobra.Command {
	overlap := time.Duration(0)
	cmd := &cobra.Command{
		Use:   "rotate <id>",
		Short: "Give a key a successor, and let it work a little longer",
		Long: `Make a key with the same name, scopes and lifetime, show it once, and let the old
one work for --overlap longer: deploy the new one meanwhile. A key is rotated
once; then its successor is.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate keys rotate 3f9a1c0e77d21b54 --overlap 24h
  verigate keys rotate 3f9a1c0e77d21b54 --overlap 0s --json`,
		Args: oneKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &verigatev1.RotateApiKeyRequest{Id: args[0], Overlap: durationpb.New(overlap)}
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				made, err := o.RotateApiKey(ctx, request)
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, made)
				}
				if err := c.showKey(made.GetApiKey(), made.GetSecret()); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.std.Out, "The old key %s works until %s.\n",
					printable(made.GetPredecessor().GetId()), moment(made.GetPredecessor().GetExpireTime(), c.zone))
				return err
			})
		},
	}
	const day = 24 * time.Hour
	cmd.Flags().DurationVar(&overlap, "overlap", day, "how long the old key still works, up to 720h; 0 ends it now")
	return cmd
}

func keysRevoke(c *operatorCaller) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke <id>",
		Short: "Make a key useless, at once and on all nodes",
		Long: `Make a key useless, at once and on all nodes. Streams that it began end within one
heartbeat. Revoking a revoked key changes nothing.

` + operatorHelp + "\n\n" + exitHelp,
		Example: `  verigate keys revoke 3f9a1c0e77d21b54
  verigate keys revoke 3f9a1c0e77d21b54 --config verigate.yaml --project acme --environment live`,
		Args: oneKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOperator(cmd, func(ctx context.Context, o *operatorClient) error {
				done, err := o.RevokeApiKey(ctx, &verigatev1.RevokeApiKeyRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return writeJSON(c.std.Out, done)
				}
				_, err = fmt.Fprintln(c.std.Out, "revoked", printable(done.GetApiKey().GetId()))
				return err
			})
		},
	}
}

// keyID is what a key's public id looks like.
var keyID = regexp.MustCompile(`^[0-9a-f]{16}$`)

// oneKey is the argument check of commands that take a key's public id. It
// never repeats the argument, which may be a whole key.
func oneKey(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError("give one key's public id: `%s <id>`; `verigate keys list` shows ids", cmd.CommandPath())
	}
	if !keyID.MatchString(args[0]) {
		return usageError("give the key's public id only, the 16 characters in the middle of vg_live_<id>_…\n" +
			"A whole key on a command line shows in the process list; if this was one, rotate it.")
	}
	return nil
}
