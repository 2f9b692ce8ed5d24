// Command natsd is a NATS server on a free loopback port, for the benchmark's
// table nodes. It is a program of its own, built when it is needed, so that the
// gateway's binary has no server in it.
//
// It prints its URL when it is ready, and ends when its standard input does.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// readyTimeout bounds how long the server may take to listen.
const readyTimeout = 10 * time.Second

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	nats, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		return fmt.Errorf("making a NATS server: %w", err)
	}
	nats.Start()
	defer nats.WaitForShutdown()
	defer nats.Shutdown()
	if !nats.ReadyForConnections(readyTimeout) {
		return errors.New("the NATS server did not become ready")
	}
	if _, err := fmt.Fprintln(out, nats.ClientURL()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}
