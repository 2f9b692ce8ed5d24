package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func keysCommand(std streams) *cobra.Command {
	var o databaseOptions
	c := &cobra.Command{
		Use:   "keys",
		Short: "Create, list and revoke API keys",
		Long: `API keys are for backends: one may do everything in its project and environment.
They live in the database, which these commands open directly; only a hash is
stored, and a key is shown once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	o.flags(c)
	asJSON := false
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(keysCreate(&o, &asJSON, std), keysList(&o, &asJSON, std), keysRevoke(&o, &asJSON, std))
	return c
}

// withStore opens the database for one command.
func withStore(ctx context.Context, o *databaseOptions, std streams, do func(*store.Store) error) error {
	dsn, err := o.dsn(std)
	if err != nil {
		return err
	}
	pending, err := db.Pending(ctx, dsn.Reveal())
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fmt.Errorf("the database lacks migrations (%s); run `verigate migrate` first", strings.Join(pending, ", "))
	}
	s, err := store.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}

func keysCreate(o *databaseOptions, asJSON *bool, std streams) *cobra.Command {
	var project, environment, name string
	c := &cobra.Command{
		Use:     "create",
		Short:   "Make a key and show it once",
		Example: "  verigate keys create --project acme --environment live --name checkout-backend",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if environment != string(verification.Live) && environment != string(verification.Test) {
				return usageError("--environment: must be live or test")
			}
			if project == "" || name == "" {
				return usageError("--project and --name: must not be empty")
			}
			scope := verification.Scope{Project: project, Environment: verification.Environment(environment)}
			if err := o.checkScope(scope); err != nil {
				return err
			}
			return withStore(cmd.Context(), o, std, func(s *store.Store) error {
				key, text, err := access.NewKey(scope, name, rand.Reader, time.Now())
				if err != nil {
					return err
				}
				if err := s.AddKey(cmd.Context(), key); err != nil {
					return err
				}
				if *asJSON {
					return printJSON(std.Out, map[string]string{"id": key.ID, "key": text.Reveal()})
				}
				_, err = fmt.Fprintf(std.Out, "%s\n\nKeep it now: it is stored as a hash and cannot be shown again. Its id is %s.\n", text.Reveal(), key.ID)
				return err
			})
		},
	}
	c.Flags().StringVar(&project, "project", "", "the project, as in the configuration")
	c.Flags().StringVar(&environment, "environment", "", "live or test")
	c.Flags().StringVar(&name, "name", "", "what it is for")
	return c
}

// checkScope refuses a project and environment that the configuration, if it is
// what names the database, does not have: such a key could never be used.
func (o *databaseOptions) checkScope(scope verification.Scope) error {
	if o.url != "" {
		return nil
	}
	cfg, err := config.Load(o.config, adapters())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	known := make([]string, 0, len(cfg.Connections))
	for _, c := range cfg.Connections {
		if c.Scope == scope {
			return nil
		}
		known = append(known, c.Scope.Project+" "+string(c.Scope.Environment))
	}
	return usageError("--project and --environment: %s has no connection of %s %s; it has %s",
		o.config, scope.Project, scope.Environment, strings.Join(slices.Compact(slices.Sorted(slices.Values(known))), ", "))
}

// listedKey is a key without anything secret.
type listedKey struct {
	ID          string     `json:"id"`
	Project     string     `json:"project"`
	Environment string     `json:"environment"`
	Name        string     `json:"name"`
	CreateTime  time.Time  `json:"create_time"`
	RevokeTime  *time.Time `json:"revoke_time,omitempty"`
}

func keysList(o *databaseOptions, asJSON *bool, std streams) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List keys, never their secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd.Context(), o, std, func(s *store.Store) error {
				keys, err := s.Keys(cmd.Context())
				if err != nil {
					return err
				}
				listed := make([]listedKey, 0, len(keys))
				for _, k := range keys {
					listed = append(listed, toListed(k))
				}
				if *asJSON {
					return printJSON(std.Out, map[string][]listedKey{"keys": listed})
				}
				return printKeys(std, listed)
			})
		},
	}
}

func toListed(k *access.Key) listedKey {
	l := listedKey{
		ID: k.ID, Project: k.Scope.Project, Environment: string(k.Scope.Environment), Name: k.Name, CreateTime: k.CreateTime,
	}
	if !k.RevokeTime.IsZero() {
		l.RevokeTime = &k.RevokeTime
	}
	return l
}

func printKeys(std streams, keys []listedKey) error {
	const padding = 2
	table := tabwriter.NewWriter(std.Out, 0, 0, padding, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tPROJECT\tENVIRONMENT\tNAME\tCREATED\tREVOKED")
	for _, k := range keys {
		revoked := ""
		if k.RevokeTime != nil {
			revoked = k.RevokeTime.Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Project, k.Environment, k.Name, k.CreateTime.Format(time.RFC3339), revoked)
	}
	return table.Flush()
}

func keysRevoke(o *databaseOptions, asJSON *bool, std streams) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke <id>",
		Short:   "Make a key useless, at once and on all nodes",
		Example: "  verigate keys revoke 3f9a1c0e77d21b54",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd.Context(), o, std, func(s *store.Store) error {
				revoked, err := s.RevokeKey(cmd.Context(), args[0], time.Now())
				if err != nil {
					return err
				}
				if !revoked {
					return fmt.Errorf("no active key has the id %q; see `verigate keys list`", args[0])
				}
				if *asJSON {
					return printJSON(std.Out, map[string]string{"revoked": args[0]})
				}
				_, err = fmt.Fprintln(std.Out, "revoked", args[0])
				return err
			})
		},
	}
}
