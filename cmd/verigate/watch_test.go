package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

type updateStream = verigatev1connect.VerificationServiceWatchStatusServerStream

const (
	statePending    = verigatev1.VerificationState_VERIFICATION_STATE_PENDING
	stateProcessing = verigatev1.VerificationState_VERIFICATION_STATE_PROCESSING
	stateApproved   = verigatev1.VerificationState_VERIFICATION_STATE_APPROVED
	stateDeclined   = verigatev1.VerificationState_VERIFICATION_STATE_DECLINED
)

// update makes a message whose result and terminal follow from the state.
func update(version int64, state verigatev1.VerificationState) *verigatev1.StatusUpdate {
	m := &verigatev1.StatusUpdate{
		Kind: verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE, VerificationId: testID,
		Version: version, State: state, Result: verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING,
		UpdateTime: timestamppb.New(testTime().Add(time.Duration(version) * time.Second)),
	}
	if state >= stateApproved {
		m.Terminal, m.Result = true, verigatev1.VerificationResult_VERIFICATION_RESULT_FAIL
	}
	if state == stateApproved {
		m.Result = verigatev1.VerificationResult_VERIFICATION_RESULT_PASS
	}
	return m
}

func kind(m *verigatev1.StatusUpdate, k verigatev1.StatusUpdateKind) *verigatev1.StatusUpdate {
	m.Kind = k
	return m
}

func heartbeat(version int64, state verigatev1.VerificationState) *verigatev1.StatusUpdate {
	return kind(update(version, state), verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_HEARTBEAT)
}

// sends makes a stream that sends messages and ends as end says.
func sends(end func(context.Context) error, messages ...*verigatev1.StatusUpdate) script {
	return func(ctx context.Context, s updateStream) error {
		for _, m := range messages {
			if err := s.Send(m); err != nil {
				return err
			}
		}
		return end(ctx)
	}
}

func endsOK(context.Context) error { return nil }

// isCut breaks the connection without a word.
func isCut(context.Context) error { panic(http.ErrAbortHandler) }

// hangs says nothing more until the caller leaves.
func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func fails(code connect.Code) func(context.Context) error {
	return func(context.Context) error { return connect.NewError(code, "as the script says") }
}

func (b *bench) afterVersions() []int64 {
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	versions := make([]int64, 0, len(b.service.asked))
	for _, r := range b.service.asked {
		versions = append(versions, r.GetAfterVersion())
	}
	return versions
}

func TestWatchShowsEachStateOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	declined := update(4, stateDeclined)
	declined.ReasonCodes = []string{"provider_declined"}
	b.service.watches = []script{sends(endsOK,
		kind(update(2, statePending), verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT),
		heartbeat(2, statePending), update(3, stateProcessing), update(3, stateProcessing), declined,
	)}
	b.want(exitFail, b.run("watch", testID), "", "not passed: the verification ended as declined (provider_declined)")
	want := "10:30:00  created     pending\n" +
		"10:30:02  pending     pending\n" +
		"10:30:03  processing  pending\n" +
		"10:30:04  declined    fail     provider_declined\n"
	if b.out.String() != want {
		t.Errorf("got\n%s", b.out.String())
	}
}

func TestWatchTellsTheResultByItsExitCode(t *testing.T) {
	t.Parallel()
	odd := update(9, verigatev1.VerificationState(77))
	odd.Result = verigatev1.VerificationResult(9)
	for name, c := range map[string]struct {
		last *verigatev1.StatusUpdate
		code int
	}{
		"a pass is 0":                       {update(3, stateApproved), exitPass},
		"declined is 1":                     {update(3, stateDeclined), exitFail},
		"expired is 1":                      {update(3, verigatev1.VerificationState_VERIFICATION_STATE_EXPIRED), exitFail},
		"canceled is 1":                     {update(3, verigatev1.VerificationState_VERIFICATION_STATE_CANCELED), exitFail},
		"failed is 1":                       {update(3, verigatev1.VerificationState_VERIFICATION_STATE_FAILED), exitFail},
		"what is not recognised is no pass": {odd, exitFail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.service.watches = []script{sends(endsOK, c.last)}
			b.want(c.code, b.run("watch", testID), "created", "")
		})
	}
}

func TestWatchComesBackWithTheLastVersion(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context) error{
		"after a cut connection":                    isCut,
		"after an end without a terminal message":   endsOK,
		"after a server that is going away":         fails(connect.CodeUnavailable),
		"after an error that nobody thought of yet": fails(connect.CodeInternal),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.service.watches = []script{
				sends(end, update(2, statePending)),
				sends(end, update(2, statePending), update(3, stateProcessing)),
				sends(endsOK, update(4, stateApproved)),
			}
			b.want(exitPass, b.run("watch", testID), "approved", "reconnecting in 250ms")
			if got := b.afterVersions(); !slices.Equal(got, []int64{0, 2, 3}) {
				t.Errorf("asked after versions %v", got)
			}
			if lines := strings.Count(b.out.String(), "\n"); lines != 4 {
				t.Errorf("%d lines:\n%s", lines, b.out.String())
			}
		})
	}
}

func TestWatchNeverTakesAnEndForAResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.service.watches = []script{sends(endsOK, update(2, statePending)), sends(endsOK)}
	b.want(exitNotFound, b.run("watch", testID), "pending", "the script is over")
}

func TestWatchObeysDrain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	drain := kind(update(3, stateProcessing), verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN)
	drain.ReconnectAfter = durationpb.New(700 * time.Millisecond)
	b.service.watches = []script{
		sends(hangs, update(2, statePending), drain),
		sends(endsOK, update(4, stateApproved)),
	}
	b.want(exitPass, b.run("watch", testID), "processing", "the stream ended; reconnecting in 700ms")
	if !slices.Equal(b.pauses, []time.Duration{700 * time.Millisecond}) || !slices.Equal(b.afterVersions(), []int64{0, 3}) {
		t.Errorf("pauses %v, asked after %v", b.pauses, b.afterVersions())
	}
}

func TestWatchBacksOff(t *testing.T) {
	t.Parallel()

	t.Run("longer each time, up to 30 s, until a message comes", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for range 9 {
			b.service.watches = append(b.service.watches, sends(fails(connect.CodeUnavailable)))
		}
		b.service.watches = append(b.service.watches,
			sends(isCut, update(2, statePending)), sends(endsOK, update(3, stateApproved)))
		b.want(exitPass, b.run("watch", testID), "approved", "(unavailable)")
		ms := time.Millisecond
		want := []time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 30000 * ms, 30000 * ms, 250 * ms}
		if !slices.Equal(b.pauses, want) {
			t.Errorf("pauses %v", b.pauses)
		}
	})

	t.Run("at least as long as the server asks", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.service.watches = []script{
			func(context.Context, updateStream) error {
				detail, err := connectproto.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Second)})
				if err != nil {
					return err
				}
				return connect.NewError(connect.CodeResourceExhausted, "too many watchers").WithDetail(detail)
			},
			sends(endsOK, update(3, stateApproved)),
		}
		b.want(exitPass, b.run("watch", testID), "approved", "")
		if !slices.Equal(b.pauses, []time.Duration{5*time.Second + 250*time.Millisecond}) {
			t.Errorf("pauses %v", b.pauses)
		}
	})

	t.Run("with a random pause in the real command", func(t *testing.T) {
		t.Parallel()
		seen := map[time.Duration]bool{}
		jitter := realWorld(streams{}).clock.Jitter
		for range 100 {
			d := jitter(time.Second)
			if d < 0 || d > time.Second {
				t.Fatalf("pause %s", d)
			}
			seen[d] = true
		}
		if len(seen) < 2 {
			t.Error("all pauses are the same")
		}
	})
}

func TestWatchNoticesSilence(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.service.watches = []script{
		sends(hangs, update(2, statePending), heartbeat(2, statePending)),
		sends(endsOK, update(3, stateApproved)),
	}
	b.world.std.Out = tellsWrites{&b.out, func() {
		if strings.Contains(b.out.String(), "  pending     ") && !strings.Contains(b.out.String(), "approved") {
			(<-b.alarms).ring()
		}
	}}
	b.want(exitPass, b.run("watch", testID), "approved", "no message for 45s; reconnecting in")
}

func TestWatchGivesUpWhereRetryingCannotHelp(t *testing.T) {
	t.Parallel()
	for code, exit := range map[connect.Code]int{
		connect.CodeUnauthenticated: exitUnauthenticated, connect.CodePermissionDenied: exitUnauthenticated,
		connect.CodeNotFound: exitNotFound, connect.CodeInvalidArgument: exitUsage, connect.CodeUnimplemented: exitInternal,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.service.watches = []script{sends(fails(code), update(2, statePending))}
			b.want(exit, b.run("watch", testID), "pending", code.String()+": as the script says")
			if len(b.pauses) != 0 {
				t.Errorf("it paused %v", b.pauses)
			}
		})
	}
}

func TestWatchEndsInTime(t *testing.T) {
	t.Parallel()

	t.Run("with 7 and how to go on while it is pending", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.service.watches = []script{sends(hangs, update(2, statePending))}
		b.clock.alarm = ringAfterFirstMessage(b, time.Minute)
		b.want(exitTimedOut, b.run("watch", testID, "--timeout", "1m"), "pending", "verigate watch "+testID+" --after-version 2")
	})

	t.Run("with the last result when revisions are followed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		revised := []*verigatev1.StatusUpdate{update(3, stateApproved), update(4, stateDeclined)}
		b.service.watches = []script{sends(isCut, revised...), sends(hangs, revised...)}
		b.clock.alarm = ringAfterFirstMessage(b, time.Minute)
		b.want(exitFail, b.run("watch", testID, "--timeout", "1m", "--follow-revisions"), "approved", "ended as declined")
		if !strings.Contains(b.out.String(), "declined") || !b.service.asked[0].GetFollowRevisions() {
			t.Errorf("out:\n%s", b.out.String())
		}
	})

	t.Run("with 130 when it is interrupted", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		ctx, interrupt := context.WithCancel(t.Context())
		b.service.watches = []script{sends(func(ctx context.Context) error { interrupt(); return hangs(ctx) }, update(2, statePending))}
		b.want(exitInterrupted, b.runIn(ctx, "watch", testID), "", "interrupted")
	})
}

// ringAfterFirstMessage rings the alarm of d once a message of the last scripted
// stream has come.
func ringAfterFirstMessage(b *bench, d time.Duration) func(time.Duration, func()) verigate.Alarm {
	var over func()
	return func(after time.Duration, ring func()) verigate.Alarm {
		if after == d {
			over = ring
			return ringer{}
		}
		return resetter{func() {
			b.service.mu.Lock()
			defer b.service.mu.Unlock()
			if len(b.service.watches) == 0 {
				over()
			}
		}}
	}
}

// resetter calls a function when it is reset.
type resetter struct{ onReset func() }

func (r resetter) Reset(time.Duration) bool { r.onReset(); return true }
func (resetter) Stop() bool                 { return true }

func TestWatchPrintsTheStreamAsJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sent := []*verigatev1.StatusUpdate{update(2, statePending), heartbeat(2, statePending), update(3, stateApproved)}
	b.service.watches = []script{sends(endsOK, sent...)}
	b.want(exitPass, b.run("watch", testID, "--json"), `"terminal":false`, "")
	lines := strings.Split(strings.TrimSpace(b.out.String()), "\n")
	if len(lines) != len(sent) {
		t.Fatalf("%d lines:\n%s", len(lines), b.out.String())
	}
	for i, line := range lines {
		var got verigatev1.StatusUpdate
		if err := protojson.Unmarshal([]byte(line), &got); err != nil || got.GetKind() != sent[i].GetKind() || got.GetVersion() != sent[i].GetVersion() {
			t.Errorf("line %d: %v: %s", i, err, line)
		}
	}
}

func TestWatchSkipsWhatWasSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.service.watches = []script{sends(endsOK, update(3, stateProcessing), update(4, stateApproved))}
	b.want(exitPass, b.run("watch", testID, "--after-version", "2"), "processing", "")
	if strings.Contains(b.out.String(), "created") || !slices.Equal(b.afterVersions(), []int64{2}) {
		t.Errorf("asked after %v, out:\n%s", b.afterVersions(), b.out.String())
	}
}

func TestWatchKeepsALineOfItsOwnOnATerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.world.std.IsTerminal = true
	b.service.watches = []script{sends(endsOK, heartbeat(2, statePending), update(3, stateApproved))}
	b.want(exitPass, b.run("watch", testID), "last heard from the server at 10:30:00"+eraseLine+"10:30:03  approved", "")
	if !strings.HasSuffix(b.out.String(), eraseLine) {
		t.Errorf("the line is left behind: %q", b.out.String())
	}
}
