package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/verigate/verigate/bench/crowd"
	"github.com/verigate/verigate/bench/peer"
	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/telemetry"
)

// benchParts are what bench runs as processes of their own. People have no use
// for them.
func benchParts(std streams) []*cobra.Command {
	part := func(name, short string, run func(ctx context.Context) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Short: short, Hidden: true, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) },
		}
	}
	return []*cobra.Command{
		part("crowd", "Play watchers", func(ctx context.Context) error { return crowd.Child(ctx, std.In, std.Out) }),
		part("peer", "Play a gateway without a database", func(ctx context.Context) error { return peer.Child(ctx, std.In, std.Out) }),
		benchServe(std),
	}
}

// benchServe is serve for a provider on loopback, which serve itself never calls.
func benchServe(std streams) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use: "serve", Short: "Run a gateway whose provider is on loopback", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveBench(cmd.Context(), o, std) },
	}
	c.Flags().StringVar(&o.config, "config", defaultConfig, "the configuration file")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object on standard output when it serves")
	o.log.flags(c, "info")
	return c
}

func serveBench(ctx context.Context, o serveOptions, std streams) error {
	log, err := o.log.logger(std)
	if err != nil {
		return err
	}
	source, err := os.ReadFile(o.config)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	cfg, err := config.Parse(source, o.config, adapters(), true)
	if err != nil {
		return err
	}
	tracer, flush, err := telemetry.Tracing(ctx, buildVersion())
	if err != nil {
		return err
	}
	defer flushTraces(ctx, flush, log)
	node, err := server.New(ctx, server.Options{Config: cfg, Log: log, Tracer: tracer, Development: true})
	if err != nil {
		return err
	}
	listeners, err := listenAll(ctx, node.Addresses())
	if err != nil {
		node.Close()
		return err
	}
	if err := printJSON(std.Out, map[string]any{"listeners": node.Listening(listeners)}); err != nil {
		return err
	}
	return node.Serve(ctx, listeners...)
}
