// Package verigate follows a verification until its result is there, over as
// many streams as it takes. The generated client, in gen/go, does everything
// else.
//
//	api := connect.NewClient(verigate.NewTransport(verigate.HTTPClient(), url), verigate.APIKey(key))
//	client := verigatev1connect.NewVerificationServiceClient(api)
//	for update, err := range verigate.Watch(ctx, client, &verigatev1.WatchStatusRequest{Id: id}) {
//		…
//	}
//
// It owns the judgement about a line: when a stream is dead, when to come back
// and with what, when to poll instead, when to give up. It must not import
// server: it is for programs that talk to a gateway.
//
//	Watch ─┐            ┌─► attempt: one stream, under a watchdog ─┐
//	       ├─► follower ┤                                          ├─► pause ─► again
//	Events ┘            └─► poll: GetVerification (Watch only) ────┘
package verigate

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// Watch yields where a verification stands: each version that is newer than the
// last one, once and in order. The first message is the current state; it is left
// out only when the request's after_version has seen it and it is not terminal.
//
// The loop ends by itself after a message with terminal, unless the request's
// follow_revisions is set. The end of a stream, a cut connection, a restarted
// server or a silent line do not end it: it comes back with the last version,
// after a random pause that grows up to 30 s with each failure and is reset by a
// message. Where streams keep failing it polls GetVerification, and tries a
// stream again: after 5 s, then ever later, up to 5 minutes.
//
// An error is yielded once, and last: the context's cause when ctx ends, an error
// of the kind that retrying cannot heal (unauthenticated, permission_denied,
// not_found, invalid_argument, out_of_range, unimplemented), or one about an
// option. Breaking out of the loop cancels the call. No goroutine outlives it.
//
// The client should come from NewTransport and HTTPClient. With another HTTP
// client, see to it that it has no Timeout, which would end every stream, and
// sends pings over HTTP/2.
func Watch(
	ctx context.Context, client verigatev1connect.VerificationServiceClient, request *verigatev1.WatchStatusRequest, options ...Option,
) iter.Seq2[*verigatev1.StatusUpdate, error] {
	return func(yield func(*verigatev1.StatusUpdate, error) bool) {
		chosen, err := newSettings(options)
		if err != nil {
			yield(nil, err)
			return
		}
		w := &watch{client: client, request: &verigatev1.WatchStatusRequest{}, settings: chosen, yield: yield}
		proto.Merge(w.request, request)
		f := &follower[*verigatev1.StatusUpdate]{settings: chosen, open: w.open, take: w.take}
		if !chosen.streamsOnly {
			f.poll = w.poll
		}
		if err := f.run(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// watch is the part of a watch that knows what is watched.
type watch struct {
	settings

	client verigatev1connect.VerificationServiceClient
	// request is the next stream's; its after_version is the last version seen.
	request *verigatev1.WatchStatusRequest
	yield   func(*verigatev1.StatusUpdate, error) bool
	// begun: the first message was there.
	begun bool
}

func (w *watch) open(ctx context.Context) (stream[*verigatev1.StatusUpdate], error) {
	return w.client.WatchStatus(ctx, proto.CloneOf(w.request))
}

// take yields a message if it is news, and tells what it means for the stream.
func (w *watch) take(m *verigatev1.StatusUpdate) outcome {
	over := m.GetTerminal() && !w.request.GetFollowRevisions()
	news := m.GetVersion() > w.request.GetAfterVersion() || (!w.begun && m.GetTerminal())
	w.begun = true
	w.request.AfterVersion = max(w.request.GetAfterVersion(), m.GetVersion())
	if (news || w.everyMessage) && !w.yield(m, nil) {
		return outcome{done: true}
	}
	return outcome{
		news:    news,
		done:    over,
		drained: m.GetKind() == verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN,
		pause:   m.GetReconnectAfter().AsDuration(),
	}
}

// poll asks once, and waits at the gateway for something newer. It tells whether
// the answer was news.
func (w *watch) poll(ctx context.Context) (outcome, bool, error) {
	answer, err := w.client.GetVerification(ctx, &verigatev1.GetVerificationRequest{
		Id: w.request.GetId(), AfterVersion: w.request.GetAfterVersion(), Wait: durationpb.New(pollWait),
	})
	if err != nil {
		return outcome{}, false, err
	}
	m := updateOf(answer.GetVerification())
	news := m.GetVersion() > w.request.GetAfterVersion()
	return w.take(m), news, nil
}

// updateOf is the message that a stream would have sent about a verification.
func updateOf(v *verigatev1.Verification) *verigatev1.StatusUpdate {
	result := v.GetResult()
	return &verigatev1.StatusUpdate{
		Kind: verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT, VerificationId: v.GetId(),
		State: v.GetState(), Result: result, Version: v.GetVersion(),
		ReasonCodes: v.GetReasonCodes(), UpdateTime: v.GetUpdateTime(),
		// The result is pending as long as the state is not terminal.
		Terminal: result != verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING &&
			result != verigatev1.VerificationResult_VERIFICATION_RESULT_UNSPECIFIED,
	}
}
