package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// callbackServer is an operator listener that knows callbacks only.
type callbackServer struct {
	verigatev1connect.UnimplementedOperatorServiceHandler

	callbacks []*verigatev1.Callback
	attempts  []*verigatev1.CallbackAttempt
	lists     []*verigatev1.ListCallbacksRequest
	retried   []string
	allDead   int
}

func (s *callbackServer) ListCallbacks(_ context.Context, r *verigatev1.ListCallbacksRequest) (*verigatev1.ListCallbacksResponse, error) {
	s.lists = append(s.lists, r)
	from := 0
	if r.GetPageToken() != "" {
		if _, err := fmt.Sscanf(r.GetPageToken(), "after-%d", &from); err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, "page_token: is none of this list")
		}
	}
	until := min(from+int(r.GetPageSize()), len(s.callbacks))
	answer := &verigatev1.ListCallbacksResponse{Callbacks: s.callbacks[from:until]}
	if until < len(s.callbacks) {
		answer.NextPageToken = fmt.Sprintf("after-%d", until)
	}
	return answer, nil
}

func (s *callbackServer) GetCallback(_ context.Context, r *verigatev1.GetCallbackRequest) (*verigatev1.GetCallbackResponse, error) {
	for _, c := range s.callbacks {
		if c.GetId() == r.GetId() {
			return &verigatev1.GetCallbackResponse{Callback: c, Attempts: s.attempts}, nil
		}
	}
	return nil, connect.NewError(connect.CodeNotFound, "no such callback")
}

func (s *callbackServer) RetryCallback(_ context.Context, r *verigatev1.RetryCallbackRequest) (*verigatev1.RetryCallbackResponse, error) {
	s.retried = append(s.retried, r.GetId())
	if r.GetId() == "delivered" {
		return nil, connect.NewError(connect.CodeFailedPrecondition, "the receiver took this callback")
	}
	return &verigatev1.RetryCallbackResponse{Callback: &verigatev1.Callback{Id: r.GetId()}}, nil
}

func (s *callbackServer) RetryDeadCallbacks(context.Context, *verigatev1.RetryDeadCallbacksRequest) (*verigatev1.RetryDeadCallbacksResponse, error) {
	s.allDead++
	return &verigatev1.RetryDeadCallbacksResponse{Callbacks: 12}, nil
}

// callbackBench is a bench with so many callbacks behind it.
func callbackBench(t *testing.T, n int) (*bench, *callbackServer) {
	t.Helper()
	b, s := newBench(t), &callbackServer{}
	for i := range n {
		s.callbacks = append(s.callbacks, &verigatev1.Callback{
			Id: fmt.Sprintf("callback-%d", i), EventId: testID + ".4", VerificationId: testID, Version: 4, Attempts: 21,
			Channel: verigatev1.CallbackChannel_CALLBACK_CHANNEL_DECISIONS, State: verigatev1.CallbackState_CALLBACK_STATE_DEAD,
			Url: "https://shop.example.com/\x1b[2Jdecisions", Reason: "expired",
			CreateTime: timestamppb.New(testTime()), FinishTime: timestamppb.New(testTime().Add(72 * time.Hour)),
		})
	}
	api := connect.NewServer()
	verigatev1connect.RegisterOperatorServiceHandler(api, s)
	connecthttp.Mount(b.mux, api)
	return b, s
}

func TestCallbacksAreListed(t *testing.T) {
	t.Parallel()
	t.Run("as a table, with what is dead and why", func(t *testing.T) {
		t.Parallel()
		b, s := callbackBench(t, 2)
		b.want(exitPass, b.run("callbacks", "list", "--state", "dead,pending", "--verification", testID), "callback-1", "")
		row := strings.Fields(rowOf(b.out.String(), "callback-0"))
		if want := []string{"callback-0", "dead", "decisions", testID, "4", "21", "expired"}; len(row) < len(want) || !slices.Equal(row[:len(want)], want) {
			t.Errorf("the row is %q", row)
		}
		asked := s.lists[0]
		if asked.GetVerificationId() != testID || asked.GetPageSize() != 50 || len(asked.GetStates()) != 2 ||
			asked.GetStates()[0] != verigatev1.CallbackState_CALLBACK_STATE_DEAD || asked.GetStates()[1] != verigatev1.CallbackState_CALLBACK_STATE_PENDING {
			t.Errorf("asked for %v", asked)
		}
	})
	t.Run("up to a limit, whatever the size of a page", func(t *testing.T) {
		t.Parallel()
		for limit, pages := range map[int]int{1: 1, 200: 1, 201: 2, 450: 3, 451: 3, 0: 3} {
			b, s := callbackBench(t, 451)
			code := b.run("callbacks", "list", "--limit", fmt.Sprint(limit))
			b.want(exitPass, code, "callback-0", "")
			want := limit
			if limit == 0 {
				want = 451
			}
			if got := strings.Count(b.out.String(), "callback-"); got != want || len(s.lists) != pages {
				t.Errorf("--limit %d: %d rows of %d pages, want %d of %d", limit, got, len(s.lists), want, pages)
			}
			if told := strings.Contains(b.err.String(), fmt.Sprintf("there are more: --limit %d", limit+50)); told != (want < 451) {
				t.Errorf("--limit %d: said %q", limit, b.err.String())
			}
		}
	})
	t.Run("as JSON", func(t *testing.T) {
		t.Parallel()
		b, _ := callbackBench(t, 60)
		b.want(exitPass, b.run("callbacks", "list", "--json"), `"state":"CALLBACK_STATE_DEAD"`, "")
		b.want(exitPass, exitPass, `"nextPageToken":"after-50"`, "")
	})
	t.Run("or there are none", func(t *testing.T) {
		t.Parallel()
		b, _ := callbackBench(t, 0)
		b.want(exitPass, b.run("callbacks", "list"), "", "no callbacks match")
	})
}

func TestACallbackIsShownWithItsAttempts(t *testing.T) {
	t.Parallel()
	b, s := callbackBench(t, 1)
	s.attempts = []*verigatev1.CallbackAttempt{
		{Number: 1, StartTime: timestamppb.New(testTime()), Duration: durationpb.New(15 * time.Second), Reason: "timeout"},
		{Number: 2, StartTime: timestamppb.New(testTime()), Duration: durationpb.New(12 * time.Millisecond), StatusCode: 503, Reason: "status"},
	}
	b.want(exitPass, b.run("callbacks", "show", "callback-0"), "shop.example.com", "")
	for _, want := range []string{testID + ".4", "decisions", "dead", "expired", "2026-05-20 10:30:00 UTC", "15s", "timeout", "12ms", "503", "status"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, b.out.String())
		}
	}
	if strings.Contains(b.out.String(), "\x1b") {
		t.Error("a URL may steer the terminal")
	}
	b.want(exitPass, b.run("callbacks", "show", "callback-0", "--json"), `"statusCode":503`, "")
	b.want(exitNotFound, b.run("callbacks", "show", "callback-7"), "", "no such callback")
}

func TestCallbacksAreRetried(t *testing.T) {
	t.Parallel()
	b, s := callbackBench(t, 1)
	b.want(exitPass, b.run("callbacks", "retry", "callback-0"), "tried again: callback-0", "")
	b.want(exitPass, b.run("callbacks", "retry", "--all-dead"), "12 callbacks are tried again", "")
	b.want(exitPass, b.run("callbacks", "retry", "--all-dead", "--json"), `{"callbacks":"12"}`, "")
	b.want(exitRefused, b.run("callbacks", "retry", "delivered"), "", "the receiver took this callback")
	if !slices.Equal(s.retried, []string{"callback-0", "delivered"}) || s.allDead != 2 {
		t.Errorf("retried %v, and %d times all", s.retried, s.allDead)
	}
}

func TestAWrongCallbacksCommandIsToldBeforeAnyCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, line, want string }{
		{"a state that is none", "callbacks list --state lost", `"lost" is no state of a callback; the states are waiting, pending, delivered, dead`},
		{"a limit below nothing", "callbacks list --limit -1", "--limit"},
		{"a list of arguments", "callbacks list dead", "flags only"},
		{"a show of nothing", "callbacks show", "give one callback's id"},
		{"a show of two", "callbacks show a b", "give one callback's id"},
		{"a retry of nothing", "callbacks retry", "--all-dead"},
		{"a retry of one and all", "callbacks retry a --all-dead", "--all-dead"},
		{"a retry of two", "callbacks retry a b", "give one callback's id"},
		{"a project without an environment", "callbacks list --project acme", "--environment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, s := callbackBench(t, 1)
			b.want(exitUsage, b.run(strings.Fields(c.line)...), "", c.want)
			if len(s.lists)+len(s.retried)+s.allDead != 0 {
				t.Error("the server was called")
			}
		})
	}
}

func TestHelpOfCallbacksTeaches(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"callbacks list", "callbacks show", "callbacks retry", "callbacks receive"} {
		b := newBench(t)
		code := b.run(append(strings.Fields(command), "--help")...)
		for _, part := range []string{"Examples:\n  verigate " + command, "Exit codes:", "--json"} {
			b.want(exitPass, code, part, "")
		}
	}
	b := newBench(t)
	b.want(exitPass, b.run("__complete", "callbacks", "list", "--state", ""), "delivered", "")
}

// deadCallback puts a callback that was given up into the database: the first
// event of a verification.
func (s *site) deadCallback(t *testing.T, verification string) string {
	t.Helper()
	db := s.connect(t)
	id := uuid.Must(uuid.NewV7()).String()
	if _, err := db.Exec(t.Context(), `INSERT INTO callback (id, project, environment, verification_id, version, channel, url, state, reason,
		attempts, create_time, first_time, finish_time) VALUES ($1, 'acme', 'live', $2, 1, 'events', 'https://shop.example.com/events',
		'dead', 'expired', 1, now(), now(), now())`, id, verification); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), `INSERT INTO callback_attempt (callback_id, number, project, environment, start_time, duration_ms,
		status_code, reason) VALUES ($1, 1, 'acme', 'live', now(), 7, 503, 'status')`, id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCallbacksAreReadAndRetriedOnTheDatabaseItself(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	about := r.begin(t, "u1", "order-1")
	other := r.begin(t, "u2", "order-2")
	// A running node would deliver what is retried.
	r.stop(t)
	one, two := r.deadCallback(t, about), r.deadCallback(t, other)

	r.direct(t, "callbacks", "list", "--state", "dead").want(t, exitPass, one, "")
	r.direct(t, "callbacks", "show", one).want(t, exitPass, "503", "")
	r.direct(t, "callbacks", "retry", one).want(t, exitPass, "tried again: "+one, "")
	listed := r.direct(t, "callbacks", "list").want(t, exitPass, "", "")
	if row := rowOf(listed.out, one); !strings.Contains(row, "pending") {
		t.Errorf("the retried one's row is %q", row)
	}
	r.direct(t, "callbacks", "retry", "--all-dead").want(t, exitPass, "1 callbacks are tried again", "")
	r.direct(t, "callbacks", "list", "--state", "dead").want(t, exitPass, "", "no callbacks match")
	listed = r.direct(t, "callbacks", "list", "--verification", other).want(t, exitPass, two, "")
	if strings.Contains(listed.out, one) {
		t.Errorf("--verification did not select:\n%s", listed.out)
	}
	r.direct(t, "callbacks", "show", about).want(t, exitNotFound, "", "no such callback")
	told := r.direct(t, "audit", "--action", "callback.retry").want(t, exitPass, commandActor(), "")
	if !strings.Contains(told.out, one) || !strings.Contains(told.out, "callbacks=1") {
		t.Errorf("the audit log says\n%s", told.out)
	}
}
