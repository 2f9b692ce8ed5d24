package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

// The tail is off, so the order register, read, follow has to be right: a
// decision that falls between two of the steps is not seen again.
func TestNoTerminalStateIsMissedHoweverTheDecisionFalls(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Watch.PollInterval = time.Hour })
	const workers, rounds = 4, 75
	var all sync.WaitGroup
	for worker := range workers {
		api := g.apiOver(wires()[worker], g.key)
		poster := newHTTPClient(t, false, "")
		all.Go(func() {
			for round := range rounds {
				if err := race(t.Context(), g, api, poster); err != nil {
					t.Errorf("worker %d, round %d: %v", worker, round, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// race decides a verification while its stream opens, and reads the stream to
// the decision.
func race(ctx context.Context, g *gateway, api verigatev1connect.VerificationServiceClient, poster *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	started, err := api.StartVerification(ctx, &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "s"})
	if err != nil {
		return err
	}
	id := started.GetVerification().GetId()
	decided := make(chan error, 1)
	go func() { decided <- post(ctx, poster, g.url+"/webhooks/fake", hook(verification.Passed, id)) }()
	err = readToTheEnd(ctx, api, id)
	return errors.Join(err, <-decided)
}

func post(ctx context.Context, client *http.Client, url, body string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(fakeHeader, fakeSignature([]byte(body)))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the webhook was answered with %d", response.StatusCode)
	}
	return nil
}

func readToTheEnd(ctx context.Context, api verigatev1connect.VerificationServiceClient, id string) error {
	updates, err := api.WatchStatus(ctx, &verigatev1.WatchStatusRequest{Id: id})
	if err != nil {
		return err
	}
	defer func() { _ = updates.Close() }()
	terminal, version := false, int64(0)
	for {
		u, err := updates.Receive()
		if errors.Is(err, io.EOF) && terminal {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the stream ended after version %d, terminal %t: %w", version, terminal, err)
		}
		if u.GetVersion() < version {
			return fmt.Errorf("version %d came after %d", u.GetVersion(), version)
		}
		terminal, version = u.GetTerminal(), u.GetVersion()
	}
}
