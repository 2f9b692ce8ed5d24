package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// person goes through one verification.
type person struct {
	*world

	api  verigatev1connect.VerificationServiceClient
	dice *rand.Rand
}

func (p *person) chance(percent int) bool { return p.dice.IntN(100) < percent }

func (p *person) start(ctx context.Context, flow string, i int, expires time.Duration) (*verigatev1.StartVerificationResponse, error) {
	request := &verigatev1.StartVerificationRequest{
		Flow: flow, Subject: fmt.Sprintf("person-%d", i), RedirectUrl: "myapp://done", FailureRedirectUrl: "myapp://sorry",
		IdempotencyKey: fmt.Sprintf("start-%d", i),
	}
	if expires > 0 {
		request.ExpiresIn = durationpb.New(expires)
	}
	// As a backend does: what a slow machine did not manage in time is asked for
	// again, with the same key.
	ctx, cancel := context.WithTimeout(ctx, longPatience)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		started, err := p.api.StartVerification(ctx, request)
		if err == nil || !again(err) {
			return started, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// again reports whether a call that failed may be made once more.
func again(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeDeadlineExceeded, connect.CodeUnavailable, connect.CodeAborted:
		return true
	default:
		return false
	}
}

// faults are what both providers may do wrong.
func (p *person) faults() map[string]any {
	faults := map[string]any{"duplicate": p.dice.IntN(3)}
	if p.chance(60) {
		faults["delay"] = fmt.Sprintf("%dms", p.dice.IntN(800))
	}
	if p.chance(20) {
		faults["reorder"] = true
	}
	return faults
}

func (p *person) verifyHuman(ctx context.Context, i int) (end, error) {
	faults := p.faults()
	faults["link_field"] = true
	faults["shape"] = []string{"flat", "envelope"}[p.dice.IntN(2)]
	faults["signature"] = []string{"body", "ts_dot_body"}[p.dice.IntN(2)]
	outcome, state := "pass", approved
	if p.chance(50) {
		outcome, state = "fail", declined
	}
	var expires time.Duration
	if p.chance(10) {
		// A hosted token has no status endpoint: what is lost is lost.
		faults["drop"] = true
		state, expires = verigatev1.VerificationState_VERIFICATION_STATE_EXPIRED, forgotten
	}
	started, err := p.start(ctx, "vh", i, expires)
	if err != nil {
		return end{}, err
	}
	page := strings.Replace(started.GetHostedUrl(), "/hosted/v/", "/hosted/complete/", 1)
	return end{started.GetVerification().GetId(), state}, p.finish(ctx, page, map[string]any{"outcome": outcome, "faults": faults})
}

func (p *person) aiPrise(ctx context.Context, i int) (end, error) {
	faults := p.faults()
	if p.chance(40) {
		faults[[]string{"drop", "drop_callback", "drop_events", "profile_mode"}[p.dice.IntN(4)]] = true
	}
	for _, harmless := range []string{"compact", "no_reference", "old_statuses"} {
		if p.chance(20) {
			faults[harmless] = true
		}
	}
	started, err := p.start(ctx, "kyc", i, 0)
	if err != nil {
		return end{}, err
	}
	page, err := url.Parse(started.GetHostedUrl())
	if err != nil {
		return end{}, err
	}
	session := page.Query().Get("verification_session_id")
	outcome := []string{"pass", "fail", "review"}[p.dice.IntN(3)]
	state := map[string]verigatev1.VerificationState{"pass": approved, "fail": declined, "review": inReview}[outcome]
	if p.chance(50) {
		// The person opens the page, which the provider tells.
		if _, err := p.get(ctx, started.GetHostedUrl()); err != nil {
			return end{}, err
		}
	}
	err = p.finish(ctx, p.account+"/verify/complete", map[string]any{
		"verification_session_id": session, "outcome": outcome, "faults": faults,
	})
	if err != nil {
		return end{}, err
	}
	if outcome == "review" || p.chance(30) {
		if state, err = p.review(ctx, session); err != nil {
			return end{}, err
		}
	}
	return end{started.GetVerification().GetId(), state}, nil
}

// review is a reviewer at the provider, who decides anew.
func (p *person) review(ctx context.Context, session string) (verigatev1.VerificationState, error) {
	result, state := "APPROVED", approved
	if p.chance(50) {
		result, state = "DECLINED", declined
	}
	_, err := p.post(ctx, p.account+"/control/sessions/"+session+"/case", map[string]any{"verification_result": result})
	return state, err
}

// finish posts an outcome and goes back as a browser does, sometimes twice and
// sometimes never.
func (p *person) finish(ctx context.Context, page string, run map[string]any) error {
	text, err := p.post(ctx, page, run)
	if err != nil {
		return err
	}
	var done struct {
		RedirectURL string `json:"redirect_url"`
	}
	if err := json.Unmarshal(text, &done); err != nil {
		return err
	}
	// Whoever is expected to be found by a poll comes back: that starts the clock.
	for range 1 + p.dice.IntN(2) {
		if _, err := p.get(ctx, done.RedirectURL); err != nil {
			return err
		}
	}
	return nil
}

func (p *person) get(ctx context.Context, address string) ([]byte, error) {
	return p.send(ctx, http.MethodGet, address, nil)
}

// post sends JSON, again while the sandbox's queue is full.
func (p *person) post(ctx context.Context, address string, content map[string]any) ([]byte, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return p.send(ctx, http.MethodPost, address, body)
}

func (p *person) send(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-API-KEY", aipriseKey)
		response, err := p.client.Do(request)
		if err != nil {
			return nil, err
		}
		text := new(bytes.Buffer)
		_, err = text.ReadFrom(response.Body)
		_ = response.Body.Close()
		switch {
		case err != nil:
			return nil, err
		case response.StatusCode == http.StatusServiceUnavailable || response.StatusCode == http.StatusTooManyRequests:
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case response.StatusCode >= http.StatusBadRequest:
			return nil, fmt.Errorf("%s %s: %d %s", method, address, response.StatusCode, text)
		default:
			return text.Bytes(), nil
		}
	}
}
