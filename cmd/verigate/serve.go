package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/telemetry"
)

const (
	defaultConfig = "verigate.yaml"
	// flushTimeout bounds the export of the last traces.
	flushTimeout = 5 * time.Second
)

// keepAlive finds dead HTTP/1.1 peers, which have no pings.
func keepAlive() net.KeepAliveConfig {
	const idle, interval, count = 15 * time.Second, 5 * time.Second, 3
	return net.KeepAliveConfig{Enable: true, Idle: idle, Interval: interval, Count: count}
}

type serveOptions struct {
	config string
	json   bool
	log    logOptions
}

type logOptions struct {
	level string
	text  bool
}

func (o *logOptions) flags(c *cobra.Command, level string) {
	c.Flags().StringVar(&o.level, "log-level", level, "least level to log: debug, info, warn, error")
	c.Flags().BoolVar(&o.text, "log-text", false, "log text for people instead of JSON")
}

func (o *logOptions) logger(std streams) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		return nil, usageError("--log-level: use debug, info, warn or error")
	}
	return telemetry.NewLogger(std.Err, level, !o.text), nil
}

func serveCommand(std streams) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a gateway from a configuration file",
		Long: `Run one node of a gateway. Every node is the same; they share the database.

It refuses to start when anything in the configuration is wrong or the database
has pending migrations. It listens on up to three addresses: public for callers
and people, webhooks for providers, operator for OperatorService and metrics.

SIGHUP reloads the configuration, all but public_url, webhooks_url, listeners,
database_url, watch, bus and drain; the old one stays if the new one is bad, and
the audit log has both. Renewed certificates are read by themselves. SIGTERM
drains: streams end over the configured spread, then requests get a few seconds.`,
		Example: "  verigate serve --config /etc/verigate/verigate.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), o, std) },
	}
	c.Flags().StringVar(&o.config, "config", defaultConfig, "the configuration file")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object on standard output when it serves")
	o.log.flags(c, "info")
	return c
}

func serve(ctx context.Context, o serveOptions, std streams) error {
	log, err := o.log.logger(std)
	if err != nil {
		return err
	}
	cfg, err := config.Load(o.config, adapters())
	if err != nil {
		return err
	}
	tracer, flush, err := telemetry.Tracing(ctx, buildVersion())
	if err != nil {
		return err
	}
	defer flushTraces(ctx, flush, log)
	for _, warning := range cfg.Warnings() {
		log.WarnContext(ctx, "the configuration is allowed, but seldom meant", "warning", warning)
	}
	node, err := server.New(ctx, server.Options{Config: cfg, Log: log, Tracer: tracer})
	if err != nil {
		return err
	}
	listeners, err := listenAll(ctx, node.Addresses())
	if err != nil {
		node.Close()
		return err
	}
	// A reload that began before the end is finished, audit log included.
	stopReloading := reloadOnHangup(context.WithoutCancel(ctx), node, o.config)
	defer stopReloading()
	where := node.Listening(listeners)
	log.InfoContext(ctx, "serving", "public", where["public"], "webhooks", where["webhooks"], "operator", where["operator"], "public_url", cfg.PublicURL, "version", buildVersion())
	if o.json {
		if err := printJSON(std.Out, map[string]any{"listeners": where, "public_url": cfg.PublicURL}); err != nil {
			return err
		}
	}
	return node.Serve(ctx, listeners...)
}

// listenAll listens on every address or on none.
func listenAll(ctx context.Context, addresses []string) ([]net.Listener, error) {
	listeners := make([]net.Listener, 0, len(addresses))
	for _, address := range addresses {
		l, err := listen(ctx, address)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func flushTraces(ctx context.Context, flush func(context.Context) error, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := flush(ctx); err != nil {
		log.WarnContext(ctx, "could not export the last traces", "error", err)
	}
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{KeepAliveConfig: keepAlive()}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; is another gateway running there? Choose another address", address, err)
	}
	return l, nil
}

// reloadOnHangup applies the file anew at each SIGHUP. What is wrong with it is
// logged and changes nothing.
func reloadOnHangup(ctx context.Context, node *server.Server, path string) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for {
			select {
			case <-done:
				return
			case <-hangups:
			}
			// It says itself what became of it.
			_ = node.ReloadFrom(ctx, func() (*config.Config, error) { return config.Load(path, adapters()) })
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(done)
		<-finished
	}
}
