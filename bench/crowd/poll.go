package crowd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/bench/rig"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/secret"
)

// Pollers are clients that ask instead of watching: what an app does that has no
// stream.
type Pollers struct {
	group  sync.WaitGroup
	cancel context.CancelCauseFunc
	mu     sync.Mutex
	told   []Told
}

// Poll asks for each of the verifications once an interval, each client at a
// moment of its own, until it is over. The rows are First up to First+Count.
func Poll(ctx context.Context, w Watchers, secrets rig.Secrets, interval time.Duration) (*Pollers, error) {
	tokens, err := access.NewTokens([]access.TokenKey{{ID: secrets.TokenKeyID, Secret: secret.New(secrets.Tokens)}})
	if err != nil {
		return nil, err
	}
	issuer := &child{tokens: tokens}
	service := client("http://"+w.Address, true)
	p := &Pollers{}
	ctx, p.cancel = context.WithCancelCause(ctx)
	for i := range w.Count {
		row := w.First + i
		token, err := issuer.token(w.Set, row)
		if err != nil {
			p.cancel(err)
			p.group.Wait()
			return nil, err
		}
		one := poller{row: row, id: w.Set.ID(row).String(), token: token, service: service}
		p.group.Go(func() {
			at, err := one.run(ctx, interval)
			if err != nil {
				p.cancel(fmt.Errorf("polling for row %d: %w", row, err))
				return
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.told = append(p.told, Told{Row: row, At: at.UnixNano()})
		})
	}
	return p, nil
}

// Wait returns when each client has heard, or an error after the patience.
func (p *Pollers) Wait(patience time.Duration) ([]Told, error) {
	timer := time.AfterFunc(patience, func() { p.cancel(fmt.Errorf("not every polling client heard within %s", patience)) })
	defer timer.Stop()
	p.group.Wait()
	p.cancel(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told, nil
}

// Stop ends all clients and waits for them.
func (p *Pollers) Stop() {
	p.cancel(nil)
	p.group.Wait()
}

// poller asks about one verification.
type poller struct {
	row       int64
	id, token string
	service   verigatev1connect.VerificationServiceClient
}

func (p poller) run(ctx context.Context, interval time.Duration) (time.Time, error) {
	timer := time.NewTimer(rand.N(interval))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
		timer.Reset(interval)
		call, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set("Authorization", "Bearer "+p.token)
		answer, err := p.service.GetVerification(call, &verigatev1.GetVerificationRequest{Id: p.id})
		if err != nil {
			return time.Time{}, err
		}
		if answer.GetVerification().GetResult() != verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING {
			return time.Now(), nil
		}
	}
}
