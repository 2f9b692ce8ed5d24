// Command backend is the example of docs/integrate/backend.md: a small backend
// whose users are verified through Verigate. It owns who is verified, and
// nothing else.
//
//	app  ── POST /verifications ──────────► StartVerification ──► gateway
//	     ◄── hosted URL, client token ────
//	gateway ── POST /verigate/callbacks ──► GetVerification, Users.Record
//	app  ── GET /me ──────────────────────► Users.Verified
//
// Run it beside `verigate dev`, with dev.env loaded. It believes whoever calls
// about who they are, so it listens on loopback only: your backend has sessions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// headerTimeout and stopTimeout bound slow clients and the end.
	headerTimeout = 10 * time.Second
	stopTimeout   = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, log)
	stop()
	if err != nil {
		log.Error("the backend ended", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It prints where it listens.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer, log *slog.Logger) error {
	flags := flag.NewFlagSet("backend", flag.ContinueOnError)
	address := flags.String("listen", "127.0.0.1:9000", "loopback address to serve on")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	for _, name := range []string{"VERIGATE_URL", "VERIGATE_API_KEY", "VERIGATE_CALLBACK_SECRET"} {
		if getenv(name) == "" {
			return errors.New(name + " is not set; load dev.env: set -a; . .verigate/dev.env; set +a")
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer func() { _ = listener.Close() }()
	if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return errors.New("--listen: this example believes every caller, so it listens on loopback addresses only")
	}
	url := "http://" + listener.Addr().String()
	backend := &Backend{
		Gateway: gatewayAt(getenv("VERIGATE_URL"), getenv("VERIGATE_API_KEY")),
		Flow:    "kyc",
		Redirects: map[string]string{
			"web":    "http://localhost:5173/verified",
			"mobile": "myapp://verify-complete",
		},
		CallbackURL:    url + "/verigate/callbacks",
		CallbackSecret: getenv("VERIGATE_CALLBACK_SECRET"),
		User:           demoUser,
		Users:          NewUsers(),
		Log:            log,
	}
	handler, err := backend.Handler()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "The example backend is ready at", url); err != nil {
		return err
	}
	return serve(ctx, listener, handler)
}

// demoUser stands for your sessions: here whoever calls says who it is.
func demoUser(r *http.Request) (string, bool) {
	user := r.Header.Get("X-Demo-User")
	return user, user != ""
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(server.Shutdown(ctx), ignoreClosed(<-ended))
}

// ignoreClosed drops what Serve says when it was asked to stop.
func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
