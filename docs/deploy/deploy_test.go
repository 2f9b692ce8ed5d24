package deploy_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// Each file is run in its proxy: first everything that goes on side by side, then
// what the gateway and the proxy must be alone for.
func TestEachFileWorksAsItStands(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, p := range proxies() {
		tests[p.name] = func(t *testing.T) {
			s := openSite(t, p, openGateway(t, heartbeat))
			t.Run("side by side", func(t *testing.T) { sideBySide(t, s) })
			if p.reload != nil {
				t.Run("a reload leaves the streams alone", func(t *testing.T) { reloads(t, s) })
			}
			t.Run("a deploy tells every stream to come back", func(t *testing.T) { deploys(t, s) })
		}
	}
	together(t, tests)
}

// together runs subtests at once, however few processors there are: all they do
// is wait.
func together(t *testing.T, tests map[string]func(t *testing.T)) {
	t.Helper()
	var all sync.WaitGroup
	for name, test := range tests {
		all.Go(func() { t.Run(name, test) })
	}
	all.Wait()
}

func sideBySide(t *testing.T, s *site) {
	t.Helper()
	tests := map[string]func(t *testing.T){
		"a long poll":                   func(t *testing.T) { longPoll(t, s) },
		"a browser asks first":          func(t *testing.T) { preflight(t, s) },
		"a webhook keeps every byte":    func(t *testing.T) { webhooks(t, s) },
		"each name reaches its port":    func(t *testing.T) { routes(t, s) },
		"a caller that hangs up":        func(t *testing.T) { hangsUp(t, s.proxy) },
		"the caller's address, no lies": func(t *testing.T) { mustSucceed(t, callersAddress(t, s)) },
	}
	for _, w := range wires() {
		tests["a watch over "+w.name] = func(t *testing.T) { mustSucceed(t, follow(t, s, w)) }
		tests["a call and a refusal over "+w.name] = func(t *testing.T) { calls(t, s, w) }
	}
	together(t, tests)
}

func mustSucceed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// watched is one open stream over each wire, with the verification that it is
// about.
type watched struct {
	id string
	*stream
}

func watchAll(t *testing.T, s *site) map[string]watched {
	t.Helper()
	open := make(map[string]watched)
	for _, w := range wires() {
		api := s.api(t, w, s.key)
		id := start(t, api, "open")
		opened, err := watch(t, api, id)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		open[w.name] = watched{id, opened}
	}
	return open
}

// reloads changes the proxy's file under open streams. What changes is the answer
// to what is not routed, so that one can see when it has happened.
func reloads(t *testing.T, s *site) {
	t.Helper()
	began, open := time.Now(), watchAll(t, s)
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := swap{s.proxy.refused, s.proxy.alsoRefused}.in(t, s.proxy.file, string(text))
	if err := os.WriteFile(s.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		s.proxy.reload(t, s)
	}()
	await(t, s.running, func() error {
		// A connection that is open may stay with the old process.
		a, err := s.try(t, http1, http.MethodGet, providersHost, "/elsewhere", "")
		if err == nil && a.status != http.StatusGone {
			err = fmt.Errorf("GET /elsewhere: %d", a.status)
		}
		return err
	})
	// What arrived meanwhile waits to be read; the last of so many is new.
	after := 2 + int(time.Since(began)/heartbeat)
	for name, w := range open {
		for range after {
			if err := w.want(beat); err != nil {
				t.Fatalf("%s: after the reload: %v", name, err)
			}
		}
		request := &verigatev1.CancelVerificationRequest{Id: w.id, Reason: "test"}
		if _, err := s.direct(t).CancelVerification(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		if err := w.ends(); err != nil {
			t.Errorf("%s: after the reload: %v", name, err)
		}
	}
	<-reloaded
}

// deploys replaces the gateway under open streams.
func deploys(t *testing.T, s *site) {
	t.Helper()
	open := watchAll(t, s)
	s.deploy(t, func() {
		for name, w := range open {
			if err := w.drained(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	for _, w := range wires() {
		api := s.api(t, w, s.key)
		await(t, s.running, func() error {
			_, err := watch(t, api, open[w.name].id)
			return err
		})
	}
}

// hangsUp leaves a stream over every wire. The gateway's next heartbeat, which a
// caller that is gone cannot get either, is too late to be what ends them.
func hangsUp(t *testing.T, p proxy) {
	t.Helper()
	s := openSite(t, p, openGateway(t, longestHeartbeat))
	open := watchAll(t, s)
	if n := s.watchers(t); n != len(open) {
		t.Fatalf("%d watch at the gateway, want %d", n, len(open))
	}
	began := time.Now()
	for _, w := range open {
		w.cancel()
	}
	await(t, s.running, func() error {
		if n := s.watchers(t); n > 0 {
			return fmt.Errorf("%d still watch at the gateway", n)
		}
		return nil
	})
	if took := time.Since(began); took > longestHeartbeat/2 {
		t.Errorf("the gateway noticed after %s, want it before its next heartbeat", took)
	}
}

// longestHeartbeat is the most that the gateway's configuration allows.
const longestHeartbeat = 30 * time.Second

// No file leads to the operator's port.
func TestNoFileLeadsToTheOperatorsPort(t *testing.T) {
	t.Parallel()
	for _, p := range proxies() {
		text, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line, _, _ = strings.Cut(line, "#"); strings.Contains(line, "8082") {
				t.Errorf("%s: %s", p.file, line)
			}
		}
	}
}

var errHeldBack = errors.New("nothing came while a watch without the proxy heard five heartbeats")
