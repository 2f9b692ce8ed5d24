package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/verigate/verigate/bench/load"
	"github.com/verigate/verigate/bench/peer"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

const (
	// startBar is design.md's, in milliseconds.
	startBar = 10.0
	// startRate is how many verifications a second are begun: a busy shop's.
	startRate = 100
	// refusers is how many lines what is refused comes in on.
	refusers  = 16
	bareStart = "a bare connect handler"
)

// start measures StartVerification at a steady rate, and how fast what has no
// business here is refused.
func start(ctx context.Context, s *session, t *report.Table) (err error) {
	if s.options.Target != nil {
		return s.startAtTarget(ctx, t)
	}
	own, bare, stop, err := s.starters(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	duration := size(s, 3*time.Second, time.Second/2)
	var values, references []percentiles
	for range size(s, 2, 1) {
		for _, side := range []struct {
			starter *starter
			rounds  *[]percentiles
		}{{own, &values}, {bare, &references}} {
			times, err := side.starter.run(ctx, startRate, duration)
			if err != nil {
				return err
			}
			*side.rounds = append(*side.rounds, percentilesOf(times))
		}
	}
	for i, name := range percentileNames() {
		figure := report.Compare("start, "+name, milliseconds, column(values, i), bareStart, column(references, i))
		if i == 1 {
			figure.Bar = report.AtMost("p99", figure.Value.Median, startBar)
		}
		t.Figures = append(t.Figures, figure)
	}
	t.Notes = append(t.Notes, fmt.Sprintf("%d starts a second; the time that the provider itself took is taken off each", startRate))
	return s.refusals(ctx, t, own, bare)
}

// starter starts verifications at one address.
type starter struct {
	name, address, webhooks string
	key                     string
	names                   rig.Names
	// provider is nil for one of somebody else's.
	provider *provider
	service  verigatev1connect.VerificationServiceClient
	line     *http.Transport
}

// starters starts a provider, a gateway that may call it, and a bare handler.
func (s *session) starters(ctx context.Context) (own, bare *starter, stop func() error, err error) {
	var stops []func() error
	stop = func() error { return stopAll(stops) }
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	p, err := startProvider(ctx)
	if err != nil {
		return nil, nil, stop, err
	}
	stops = append(stops, p.stop)
	key, err := rig.NewAPIKey(ctx, s.pg.Pool, s.names.Project)
	if err != nil {
		return nil, nil, stop, err
	}
	gateway, err := s.gateway(ctx, rig.GatewayOptions{Name: "gateway-start", ProviderURL: p.url})
	if err != nil {
		return nil, nil, stop, err
	}
	stops = append(stops, gateway.Stop)
	plain, err := peer.Start(ctx, peer.Options{Folder: s.folder, Secret: s.secrets.Webhooks, ProviderURL: p.url})
	if err != nil {
		return nil, nil, stop, err
	}
	stops = append(stops, plain.Stop)
	own = &starter{name: gatewayName, address: gateway.Public, webhooks: gateway.Webhooks, key: key, names: s.names, provider: p}
	bare = &starter{name: "bare handler", address: plain.Address, webhooks: plain.Address, key: key, names: s.names, provider: p}
	for _, one := range []*starter{own, bare} {
		one.connect()
		stops = append(stops, func() error { one.line.CloseIdleConnections(); return nil })
		// The first calls open lines and pools.
		if _, err := one.run(ctx, startRate, size(s, time.Second, time.Second/4)); err != nil {
			return nil, nil, stop, err
		}
	}
	return own, bare, stop, nil
}

func (st *starter) connect() {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	st.line = &http.Transport{Protocols: protocols}
	st.service = verigatev1connect.NewVerificationServiceClient(
		connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: st.line}, "http://"+st.address)))
}

// run starts verifications at a rate, each when it is due whatever became of the
// others, and returns how long each took, without the provider's part.
func (st *starter) run(ctx context.Context, rate float64, duration time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	times := make([]time.Duration, int(rate*duration.Seconds()))
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	var group sync.WaitGroup
	defer group.Wait()
	for i := range times {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		group.Go(func() {
			took, err := st.one(ctx)
			if err != nil {
				cancel(fmt.Errorf("starting a verification at the %s: %w", st.name, err))
			}
			times[i] = took
		})
	}
	group.Wait()
	return times, context.Cause(ctx)
}

func (st *starter) one(ctx context.Context) (time.Duration, error) {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+st.key)
	name := rand.Text()
	began := time.Now()
	answer, err := st.service.StartVerification(ctx, &verigatev1.StartVerificationRequest{
		Flow: st.names.Flow, Subject: rig.SubjectPrefix + "_" + name, Reference: rig.ReferencePrefix + "_" + name, IdempotencyKey: name,
		Metadata: map[string]string{"channel": "app"},
	})
	took := time.Since(began)
	if err != nil || st.provider == nil {
		return took, err
	}
	providers, err := st.provider.took(answer.GetHostedUrl())
	return took - providers, err
}

// refusals measures how fast calls with a bad key and webhooks with a bad
// signature are refused.
func (s *session) refusals(ctx context.Context, t *report.Table, own, bare *starter) error {
	for _, kind := range []struct {
		name    string
		request func(st *starter) (address string, request []byte)
	}{
		{"refused: bad API key", (*starter).badKey},
		{"refused: bad signature", (*starter).badSignature},
	} {
		var values, references []float64
		for range size(s, 3, 1) {
			for _, side := range []struct {
				starter *starter
				rounds  *[]float64
			}{{own, &values}, {bare, &references}} {
				address, request := kind.request(side.starter)
				rate, err := refusedPerSecond(ctx, address, request, size(s, time.Second/2, time.Second/4))
				if err != nil {
					return fmt.Errorf("%s: %w", kind.name, err)
				}
				*side.rounds = append(*side.rounds, rate)
			}
		}
		t.Figures = append(t.Figures, report.Compare(kind.name, perSecond, values, "a bare handler that refuses", references))
	}
	return nil
}

// same is a load.Source that sends one request again and again.
type same []byte

// Request implements load.Source.
func (r same) Request(int64, time.Time) []byte { return r }

func refusedPerSecond(ctx context.Context, address string, request []byte, duration time.Duration) (float64, error) {
	const endless = 1 << 40
	outcome, err := load.Closed(ctx, load.Plan{
		Address: address, Connections: refusers, Duration: duration, Until: endless,
		NewSource: func() load.Source { return same(request) },
	})
	if err != nil {
		return 0, err
	}
	refused := outcome.Codes[http.StatusUnauthorized]
	if refused == 0 || len(outcome.Codes) != 1 || outcome.Broken > 0 {
		hint := ""
		if outcome.Codes[http.StatusTooManyRequests] > 0 {
			hint = "; limits.per_address or limits.webhooks_per_address of its configuration is in the way: raise it for the benchmark"
		}
		return 0, fmt.Errorf("not everything was refused with 401: answers %v, broken lines %d%s", outcome.Codes, outcome.Broken, hint)
	}
	return float64(refused) / outcome.Elapsed.Seconds(), nil
}

func (st *starter) badKey() (address string, request []byte) {
	body := `{"flow":"` + st.names.Flow + `","subject":"` + rig.SubjectPrefix + `_1"}`
	path := verigatev1connect.VerificationServiceName + "/StartVerification"
	if st.name != gatewayName {
		path = "refuse" // the bare handler authenticates nobody; here it refuses everybody
	}
	return st.address, httpPost(st.address, "/"+path, body, "Connect-Protocol-Version: 1",
		"Authorization: Bearer vg_test_0000000000000000_"+fmt.Sprintf("%043d", 0))
}

func (st *starter) badSignature() (address string, request []byte) {
	const body = `{"id":"evt_1","type":"verification.completed","environment":"test","data":{"verification_id":"vh_1","product":"verifyidentity","status":"PASS"}}`
	return st.webhooks, httpPost(st.webhooks, "/webhooks/"+st.names.Connection, body, "X-VerifyHuman-Signature: sha256="+fmt.Sprintf("%064d", 0))
}

func httpPost(host, path, body string, headers ...string) []byte {
	lines := append([]string{"POST " + path + " HTTP/1.1", "Host: " + host, "Content-Type: application/json"}, headers...)
	lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)), "", body)
	return []byte(strings.Join(lines, "\r\n"))
}
