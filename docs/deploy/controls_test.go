package deploy_test

import (
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// control is a file with a line changed.
type control struct {
	proxy   proxy
	changes []swap
	// breaks are the wires that must not work so, and works those that must. The
	// others may do either.
	breaks, works []string
}

// The names of the wires.
const (
	connect1, connect2 = "Connect on HTTP 1.1", "Connect on HTTP 2"
	grpc               = "gRPC"
	web1, web2         = "gRPC-Web on HTTP 1.1", "gRPC-Web on HTTP 2"
)

// What the page says matters is what breaks a watch when it is missing, and what
// it says does not matter breaks none. Times are shrunk: 12 s are 800ms, and 15 s,
// the default of Envoy's route, are 1s.
func TestWhatMattersToAWatch(t *testing.T) {
	t.Parallel()
	every := []string{connect1, connect2, grpc, web1, web2}
	unbuffered := "    proxy_buffering    off;\n"
	g := openGateway(t, heartbeat)
	tests := map[string]func(t *testing.T){}
	for name, c := range map[string]control{
		"nginx obeys the gateway where it is not told to buffer nothing": {
			nginx(), []swap{{unbuffered, ""}}, nil, every,
		},
		"nginx buffers where it is deaf to both": {
			nginx(), []swap{{unbuffered, "    proxy_ignore_headers X-Accel-Buffering;\n"}}, []string{connect1, web1}, []string{grpc},
		},
		"nginx with proxy_read_timeout below the heartbeat": {
			nginx(), []swap{{"proxy_read_timeout 90s;", "proxy_read_timeout 800ms;"}}, []string{connect1, connect2, web1, web2}, []string{grpc},
		},
		"nginx with grpc_read_timeout below the heartbeat": {
			nginx(), []swap{{"grpc_read_timeout  90s;", "grpc_read_timeout  800ms;"}}, []string{grpc}, []string{connect1, connect2, web1, web2},
		},
		"haproxy with timeout server below the heartbeat": {
			haproxy(), []swap{{"timeout server 90s", "timeout server 800ms"}}, every, nil,
		},
		"envoy with its default time-out of a route": {
			envoy(), []swap{{"timeout: 0s", "timeout: 1s"}}, every, nil,
		},
		"envoy with stream_idle_timeout below the heartbeat": {
			envoy(), []swap{{"stream_idle_timeout: 90s", "stream_idle_timeout: 0.8s"}}, every, nil,
		},
	} {
		tests[name] = func(t *testing.T) { c.check(t, g) }
	}
	together(t, tests)
}

func (c control) check(t *testing.T, g *gateway) {
	t.Helper()
	s := openSite(t, c.proxy, g, c.changes...)
	tests := map[string]func(t *testing.T){}
	for _, w := range wires() {
		tests[w.name] = func(t *testing.T) {
			err := s.hears(t, w)
			if err == nil && slices.Contains(c.breaks, w.name) {
				t.Error("it works, and should not")
			}
			if err != nil && slices.Contains(c.works, w.name) {
				t.Error(err)
			}
		}
	}
	together(t, tests)
}

// hears watches through the proxy for some heartbeats, and beside it for the
// measure of what ought to arrive.
func (s *site) hears(t *testing.T, w wire) error {
	t.Helper()
	const enough = 4
	id := start(t, s.direct(t), "open")
	beside, err := watch(t, s.direct(t), id)
	if err != nil {
		t.Fatal(err)
	}
	first, heard := make(chan struct{}), make(chan error, 1)
	api := s.api(t, w, s.key)
	go func() {
		through, err := watch(t, api, id)
		close(first)
		for n := 0; err == nil && n < enough; n++ {
			err = through.want(beat)
		}
		heard <- err
	}()
	for range enough + 1 {
		if err := beside.want(beat); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-first:
		return <-heard
	default:
		return errHeldBack
	}
}

// A caller that hangs up is noticed late where the file does not say otherwise:
// with the next heartbeats, which it cannot get.
func TestWhatMattersToACallerThatHangsUp(t *testing.T) {
	t.Parallel()
	together(t, map[string]func(t *testing.T){
		"caddy with flush_interval -1": func(t *testing.T) {
			lingers(t, caddy(), swap{"\t\thealth_uri", "\t\tflush_interval -1\n\t\thealth_uri"})
		},
		"haproxy without abortonclose": func(t *testing.T) {
			lingers(t, haproxy(), swap{"    option abortonclose\n", ""})
		},
	})
}

// lingers leaves a stream at a changed proxy, then two, one after the other, at
// the file as it stands. The gateway has noticed those and not the first.
func lingers(t *testing.T, p proxy, change swap) {
	t.Helper()
	g := openGateway(t, longestHeartbeat)
	for n, s := range []*site{openSite(t, p, g, change), openSite(t, p, g), openSite(t, p, g)} {
		api := s.api(t, wires()[0], s.key)
		opened, err := watch(t, api, start(t, api, "open"))
		if err != nil {
			t.Fatal(err)
		}
		opened.cancel()
		if n == 0 {
			continue
		}
		await(t, s.running, func() error {
			if open := g.watchers(t); open != 1 {
				return fmt.Errorf("%d watch at the gateway, want the one that lingers", open)
			}
			return nil
		})
	}
}

// A trusted proxy that passes on what callers say of themselves is believed.
func TestWithoutTheLineAForgedAddressIsBelieved(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"over HTTP": "    proxy_set_header X-Forwarded-For $remote_addr;\n",
		"over gRPC": "    grpc_set_header  X-Forwarded-For $remote_addr;\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if callersAddress(t, openSite(t, nginx(), openGateway(t, heartbeat), swap{line, ""})) == nil {
				t.Error("every caller was known by its own address")
			}
		})
	}
}

// A kept connection that spoke HTTP/1.1 is no good for gRPC, and the other way
// round. Each worker of nginx keeps its own, so it takes a few calls to see.
func TestOneUpstreamForBothProtocolsOfNginxFails(t *testing.T) {
	t.Parallel()
	s := openSite(t, nginx(), openGateway(t, heartbeat), swap{"grpc://verigate_public_grpc", "grpc://verigate_public"})
	ask := func(w wire) error {
		_, err := s.api(t, w, "nobody's").GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Reference: "x"})
		return err
	}
	await(t, s.running, func() error {
		for _, w := range wires() {
			if connect.CodeOf(ask(w)) == connect.CodeUnavailable {
				return nil
			}
		}
		return fmt.Errorf("every call was answered")
	})
}
