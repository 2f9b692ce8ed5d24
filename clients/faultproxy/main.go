// Command faultproxy is a reverse proxy that breaks on command, for tests of
// clients in any language. Package fault says what it does.
//
//	faultproxy --upstream http://127.0.0.1:PORT [--listen 127.0.0.1:0] [--tls]
//
// It prints one line of JSON when it is ready, {"url":…,"control":…}, and ends
// with SIGTERM, SIGINT, or when its standard input is closed, so that it never
// outlives the test that started it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/verigate/verigate/clients/faultproxy/fault"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main without the process: it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("faultproxy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var config fault.Config
	flags.StringVar(&config.Upstream, "upstream", "", "the gateway's address, http://127.0.0.1:PORT")
	flags.StringVar(&config.Listen, "listen", "127.0.0.1:0", "where to listen, on loopback")
	flags.BoolVar(&config.TLS, "tls", false, "serve HTTPS with a self-signed certificate")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "faultproxy: %q: takes flags only; see --help\n", flags.Arg(0))
		return exitUsage
	}
	if err := serve(ctx, config, stdin, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "faultproxy:", err)
		return exitFailed
	}
	return 0
}

// serve runs a proxy until ctx ends or standard input does.
func serve(ctx context.Context, config fault.Config, stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	proxy, err := fault.Start(ctx, config)
	if err != nil {
		return err
	}
	err = json.NewEncoder(stdout).Encode(map[string]string{"url": proxy.URL(), "control": proxy.ControlURL()})
	if err == nil {
		go func() {
			// It ends with standard input, or with the process.
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
		<-ctx.Done()
	}
	if closeErr := proxy.Close(); err == nil {
		err = closeErr
	}
	return err
}
