package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/verigate/verigate/server/config"
)

func configCommand(std streams) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Work with the configuration file", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	path := ""
	asJSON := false
	check := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration without starting anything",
		Long: `Read the file exactly as serve does, secrets included, and report everything
that is wrong at once, each with its line. Nothing is started or contacted.`,
		Example: "  verigate config check --config verigate.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := config.Load(path, adapters())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(std.Out, map[string]any{
					"connections": len(cfg.Connections), "flows": len(cfg.Flows), "warnings": append([]string{}, cfg.Warnings()...),
				})
			}
			for _, warning := range cfg.Warnings() {
				_, _ = fmt.Fprintln(std.Err, "warning:", warning)
			}
			_, err = fmt.Fprintf(std.Out, "%s is valid: connections %d, flows %d\n", path, len(cfg.Connections), len(cfg.Flows))
			return err
		},
	}
	check.Flags().StringVar(&path, "config", defaultConfig, "the configuration file")
	check.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(check)
	return c
}
