package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

const (
	testKey = "vg_test_0123456789abcdef"
	testID  = "0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d"
)

// script answers one WatchStatus call.
type script func(ctx context.Context, s verigatev1connect.VerificationServiceWatchStatusServerStream) error

// fakeService is a server with scripted behaviour.
type fakeService struct {
	verigatev1connect.UnimplementedVerificationServiceHandler

	start  func(*verigatev1.StartVerificationRequest) (*verigatev1.StartVerificationResponse, error)
	get    func(*verigatev1.GetVerificationRequest) (*verigatev1.Verification, error)
	list   func(*verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error)
	cancel func(*verigatev1.CancelVerificationRequest) (*verigatev1.Verification, error)

	mu          sync.Mutex
	watches     []script
	asked       []*verigatev1.WatchStatusRequest
	credentials []string
}

func (f *fakeService) note(ctx context.Context) {
	info, _ := connect.CallInfoForServerContext(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.credentials = append(f.credentials, info.RequestHeader().Get("Authorization"))
}

func (f *fakeService) StartVerification(ctx context.Context, r *verigatev1.StartVerificationRequest) (*verigatev1.StartVerificationResponse, error) {
	f.note(ctx)
	return f.start(r)
}

func (f *fakeService) GetVerification(ctx context.Context, r *verigatev1.GetVerificationRequest) (*verigatev1.GetVerificationResponse, error) {
	f.note(ctx)
	if f.get == nil {
		return &verigatev1.GetVerificationResponse{Verification: pendingVerification()}, nil
	}
	v, err := f.get(r)
	return &verigatev1.GetVerificationResponse{Verification: v}, err
}

func (f *fakeService) ListVerifications(ctx context.Context, r *verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error) {
	f.note(ctx)
	return f.list(r)
}

func (f *fakeService) CancelVerification(ctx context.Context, r *verigatev1.CancelVerificationRequest) (*verigatev1.CancelVerificationResponse, error) {
	f.note(ctx)
	v, err := f.cancel(r)
	return &verigatev1.CancelVerificationResponse{Verification: v}, err
}

func (f *fakeService) WatchStatus(ctx context.Context, r *verigatev1.WatchStatusRequest, s verigatev1connect.VerificationServiceWatchStatusServerStream) error {
	f.note(ctx)
	f.mu.Lock()
	f.asked = append(f.asked, r)
	if len(f.watches) == 0 {
		f.mu.Unlock()
		return connect.NewError(connect.CodeNotFound, "the script is over")
	}
	next := f.watches[0]
	f.watches = f.watches[1:]
	f.mu.Unlock()
	return next(ctx, s)
}

func testTime() time.Time { return time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC) }

func pendingVerification() *verigatev1.Verification {
	return &verigatev1.Verification{
		Id: testID, Flow: "identity", Subject: "u1", Reference: "order-1", Environment: "test", Version: 2,
		State:      verigatev1.VerificationState_VERIFICATION_STATE_PENDING,
		Result:     verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING,
		CreateTime: timestamppb.New(testTime()), UpdateTime: timestamppb.New(testTime()),
	}
}

// ringer is an alarm that a test rings itself.
type ringer struct {
	after time.Duration
	ring  func()
}

func (ringer) Reset(time.Duration) bool { return true }
func (ringer) Stop() bool               { return true }

// testClock is a clock whose every hand a test may hold.
type testClock struct {
	now    func() time.Time
	pause  func(ctx context.Context, d time.Duration) error
	alarm  func(d time.Duration, ring func()) verigate.Alarm
	jitter func(limit time.Duration) time.Duration
}

func (c *testClock) Now() time.Time                                    { return c.now() }
func (c *testClock) Pause(ctx context.Context, d time.Duration) error  { return c.pause(ctx, d) }
func (c *testClock) Alarm(d time.Duration, ring func()) verigate.Alarm { return c.alarm(d, ring) }
func (c *testClock) Jitter(limit time.Duration) time.Duration          { return c.jitter(limit) }

// bench runs client commands against a fake server over real HTTP.
type bench struct {
	t        *testing.T
	service  *fakeService
	mux      *http.ServeMux
	url      string
	world    world
	clock    *testClock
	env      map[string]string
	out, err bytes.Buffer
	alarms   chan ringer
	pauses   []time.Duration
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, service: &fakeService{}, mux: http.NewServeMux(), alarms: make(chan ringer, 256)}
	api := connect.NewServer()
	verigatev1connect.RegisterVerificationServiceHandler(api, b.service)
	connecthttp.Mount(b.mux, api)
	server := httptest.NewServer(b.mux)
	t.Cleanup(server.Close)
	b.url = server.URL
	b.env = map[string]string{envURL: server.URL, envKey: testKey}
	b.clock = &testClock{
		now: testTime,
		pause: func(ctx context.Context, d time.Duration) error {
			b.pauses = append(b.pauses, d)
			return ctx.Err()
		},
		alarm: func(d time.Duration, ring func()) verigate.Alarm {
			r := ringer{after: d, ring: ring}
			b.alarms <- r
			return r
		},
		jitter: func(limit time.Duration) time.Duration { return limit },
	}
	b.world = world{
		std:   streams{Out: &b.out, Err: &b.err, Getenv: func(name string) string { return b.env[name] }},
		clock: b.clock, zone: time.UTC, devEnv: filepath.Join(t.TempDir(), "dev.env"),
	}
	return b
}

// run executes a command line and returns its exit code; what explain says is
// in b.err, as in the real binary.
func (b *bench) run(args ...string) int {
	b.t.Helper()
	return b.runIn(b.t.Context(), args...)
}

func (b *bench) runIn(ctx context.Context, args ...string) int {
	b.t.Helper()
	root := &cobra.Command{Use: "verigate", SilenceErrors: true, SilenceUsage: true}
	root.SetOut(&b.out)
	root.SetErr(&b.err)
	root.AddCommand(commandsIn(b.world)...)
	root.AddCommand(operatorCommands(b.world)...)
	root.AddCommand(migrateCommand(b.world.std))
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(&b.err, explain(err))
	}
	for _, text := range []string{b.out.String(), b.err.String()} {
		if strings.Contains(text, testKey) {
			b.t.Errorf("the key is in the output: %s", text)
		}
	}
	return exitCode(err)
}

// want checks the exit code and that the texts hold the given parts.
func (b *bench) want(code, got int, out, errOut string) {
	b.t.Helper()
	if code != got || !strings.Contains(b.out.String(), out) || !strings.Contains(b.err.String(), errOut) {
		b.t.Errorf("exit %d, want %d with %q and %q\nout: %s\nerr: %s", got, code, out, errOut, b.out.String(), b.err.String())
	}
}

func TestTheServerAndKeyAreFound(t *testing.T) {
	t.Parallel()

	t.Run("in the flags before the environment", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.env[envURL], b.env[envKey] = "http://127.0.0.1:1", "vg_test_other"
		b.env["OTHER_KEY"] = testKey
		b.want(exitPass, b.run("get", testID, "--url", b.url+"/", "--api-key", "${OTHER_KEY}"), "identity", "")
		if got := b.service.credentials; len(got) != 1 || got[0] != "Bearer "+testKey {
			t.Errorf("credentials = %v", got)
		}
	})

	t.Run("in a file that the flag names", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		delete(b.env, envKey)
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, testKey+"\n")
		b.want(exitPass, b.run("get", testID, "--api-key", "file:"+path), "identity", "")
		if got := b.service.credentials; len(got) != 1 || got[0] != "Bearer "+testKey {
			t.Errorf("credentials = %v", got)
		}
	})

	t.Run("in the file of verigate dev", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.env = nil
		b.writeDevEnv("# comment\nexport VERIGATE_URL=\"" + b.url + "\"\nVERIGATE_API_KEY=" + testKey + "\n")
		b.want(exitPass, b.run("get", testID), "identity", "")
		if got := b.service.credentials; len(got) != 1 || got[0] != "Bearer "+testKey {
			t.Errorf("credentials = %v", got)
		}
	})

	t.Run("but the file's key goes to the file's server only", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.env = nil
		b.writeDevEnv("VERIGATE_URL=http://127.0.0.1:1\nVERIGATE_API_KEY=" + testKey + "\n")
		b.want(exitUnauthenticated, b.run("get", testID, "--url", b.url), "", "no API key for "+b.url)
		if len(b.service.credentials) != 0 {
			t.Errorf("the server was called with %v", b.service.credentials)
		}
	})

	t.Run("or the error names all three places", func(t *testing.T) {
		t.Parallel()
		for missing, flag := range map[string]string{envURL: "--url", envKey: "--api-key"} {
			b := newBench(t)
			delete(b.env, missing)
			code := b.run("get", testID)
			for _, place := range []string{flag, missing, ".verigate/dev.env"} {
				if !strings.Contains(b.err.String(), place) {
					t.Errorf("exit %d: %q does not name %s", code, b.err.String(), place)
				}
			}
			if code == exitPass || code == exitFail {
				t.Errorf("exit %d", code)
			}
		}
	})
}

func (b *bench) writeDevEnv(text string) {
	b.t.Helper()
	if err := os.WriteFile(b.world.devEnv, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestABadAddressOrKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, flag, value, want string }{
		{"an address without a scheme", "--url", "127.0.0.1:8080", "--url"},
		{"an address of another kind", "--url", "ftp://example.com", "--url"},
		{"an address with a user", "--url", "http://me:hunter2@example.com", "must not carry a user"},
		{"a key with a line break", "--api-key", "${WITH_BREAK}", "--api-key"},
		{"a key with a space", "--api-key", "${WITH_SPACE}", "--api-key"},
		{"a key itself", "--api-key", "vg_test_a", envKey + " is the usual place"},
		{"a reference to a variable that is not set", "--api-key", "${NOT_SET}", "the environment variable NOT_SET is not set"},
		{"a reference to a file that is not there", "--api-key", "file:/not/there", "cannot read the file /not/there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.env["WITH_BREAK"], b.env["WITH_SPACE"] = "vg_test_a\nX-Evil: 1", "vg_test_a b"
			b.want(exitUsage, b.run("get", testID, c.flag, c.value), "", c.want)
			for _, secretText := range []string{"hunter2", "vg_test_a"} {
				if strings.Contains(b.err.String(), secretText) {
					t.Errorf("%q shows a credential", b.err.String())
				}
			}
			if len(b.service.credentials) != 0 {
				t.Error("the server was called")
			}
		})
	}
}

func TestAKeyIsNotSentAlongARedirect(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	front := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(front.Close)
	if code := b.run("get", testID, "--url", front.URL); code != exitInternal {
		t.Errorf("exit %d: %s", code, b.err.String())
	}
}

func TestHelpTeaches(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{
		{"start"}, {"get"}, {"list"}, {"cancel"}, {"watch"}, {"sandbox", "complete"},
		{"keys", "create"}, {"keys", "list"}, {"keys", "rotate"}, {"keys", "revoke"}, {"audit"}, {"erase"},
		{"callbacks", "list"}, {"callbacks", "show"}, {"callbacks", "retry"},
	} {
		t.Run(strings.Join(command, " "), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			code := b.run(append(command, "--help")...)
			for _, part := range []string{"Examples:", "Exit codes:", "--json", "--url", "--api-key"} {
				b.want(exitPass, code, part, "")
			}
			// The line of usage, and two examples.
			lines := regexp.MustCompile(`(?m)^  .*verigate ` + strings.Join(command, " ") + `( |$)`)
			if found := lines.FindAllString(b.out.String(), -1); len(found) < 3 {
				t.Errorf("%d examples", len(found)-1)
			}
		})
	}
}

func TestTheShellCompletesValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"sandbox complete x --outcome ", "abandon"},
		{"list --state ", "in_review"},
		{"start --flow ", "age-gate"},
	} {
		b := newBench(t)
		b.want(exitPass, b.run(append([]string{"__complete"}, strings.Split(c.line, " ")...)...), c.want, "")
	}
}

func TestHelpOfMaintenanceTeachesToo(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"deliveries reencrypt", "migrate"} {
		b := newBench(t)
		code := b.run(append(strings.Fields(line), "--help")...)
		for _, part := range []string{"Examples:\n  verigate " + line, "--json", "--config"} {
			b.want(exitPass, code, part, "")
		}
	}
	b := newBench(t)
	b.want(exitPass, b.run("deliveries", "reencrypt", "--help"), "Exit codes:", "")
}
