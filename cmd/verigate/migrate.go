package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/secret"
)

// databaseOptions say which database a command works on: the configuration's,
// or one that is named.
type databaseOptions struct {
	config string
	url    string
	// known is set when the configuration was read before.
	known secret.Value
}

func (o *databaseOptions) flags(c *cobra.Command) {
	c.PersistentFlags().StringVar(&o.config, "config", defaultConfig, "the configuration file that names the database")
	c.PersistentFlags().StringVar(&o.url, "database-url", "", "Postgres URL without a password, ${NAME} or file:/path, instead of a configuration file (VERIGATE_DATABASE_URL, if there is no file)")
}

func (o *databaseOptions) dsn(std streams) (secret.Value, error) {
	if !o.known.Empty() {
		return o.known, nil
	}
	if o.url != "" {
		return databaseURL(o.url, std)
	}
	// A configuration beats the variable: it may name another one.
	cfg, err := config.Load(o.config, adapters())
	if err == nil {
		return cfg.DatabaseURL, nil
	}
	// A file that somebody named and that is not there is a mistake.
	absent := errors.Is(err, fs.ErrNotExist) && o.config == defaultConfig
	if url := std.Getenv("VERIGATE_DATABASE_URL"); url != "" && absent {
		return secret.New(url), nil
	}
	return secret.Value{}, err
}

func migrateCommand(std streams) *cobra.Command {
	var o databaseOptions
	check := false
	asJSON := false
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this binary's schema",
		Long: `Apply pending migrations. Several at once are safe: they take turns.
With --check nothing is changed; the exit code is 1 when migrations are pending.`,
		Example: "  verigate migrate --config verigate.yaml\n  verigate migrate --check --database-url postgres://localhost/verigate",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dsn, err := o.dsn(std)
			if err != nil {
				return err
			}
			if check {
				return checkMigrations(cmd.Context(), dsn, asJSON, std)
			}
			applied, err := db.Migrate(cmd.Context(), dsn.Reveal())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(std.Out, map[string]int{"applied": applied})
			}
			_, err = fmt.Fprintf(std.Out, "%d migrations applied; the schema is up to date\n", applied)
			return err
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&check, "check", false, "only say what is pending")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func checkMigrations(ctx context.Context, dsn secret.Value, asJSON bool, std streams) error {
	pending, err := db.Pending(ctx, dsn.Reveal())
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(std.Out, map[string][]string{"pending": append([]string{}, pending...)})
	} else if len(pending) == 0 {
		_, err = fmt.Fprintln(std.Out, "the schema is up to date")
	}
	if err == nil && len(pending) > 0 {
		return fmt.Errorf("migrations are pending: %v; run `verigate migrate`", pending)
	}
	return err
}
