package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	// maxStartBody is the largest body of a start, in bytes.
	maxStartBody = 4 << 10
	// startPatience bounds a start, the provider's own time included.
	startPatience = 30 * time.Second
	// defaultSubject is who is verified when the page does not say.
	defaultSubject = "demo-user"
	// tooLong is said when the gateway did not answer within startPatience.
	tooLong = "The gateway took too long; try again."
	// expectedBody is named by every complaint about the body.
	expectedBody = `send {"flow": "...", "subject": "...", "reference": "..."}, where only flow is required`
)

// startRequest is what the page sends.
type startRequest struct {
	Flow      string `json:"flow"`
	Subject   string `json:"subject"`
	Reference string `json:"reference"`
}

// startAnswer is what the page gets: verification_id, hosted_url, client_token,
// run and started_at (RFC 3339, by the gateway's clock). Of the gateway's
// credentials the client token is the only one. run is in the return URL and in
// the callback URLs of this start: the tab in which the person comes back asks
// about this verification and no other, and whoever knows it may hear the
// callbacks.
type startAnswer map[string]string

// refusal is an answer other than success.
type refusal struct {
	status int
	text   string
}

func (d *demo) start(w http.ResponseWriter, r *http.Request) {
	answer, refused := d.tryStart(w, r)
	if refused != nil {
		say(w, refused.status, refused.text)
		return
	}
	w.Header().Set("Content-Type", jsonType)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		d.options.Log.InfoContext(r.Context(), "the demo page hung up before its answer", "error", err)
	}
}

func (d *demo) tryStart(w http.ResponseWriter, r *http.Request) (startAnswer, *refusal) {
	if refused := checkSource(r, "Only the demo page itself may start verifications here. From elsewhere, call StartVerification with an API key."); refused != nil {
		return nil, refused
	}
	asked, refused := readStart(w, r)
	if refused != nil {
		return nil, refused
	}
	if refused := d.checkFlow(asked.Flow); refused != nil {
		return nil, refused
	}
	ctx, cancel := context.WithTimeout(r.Context(), startPatience)
	defer cancel()
	run := rand.Text()
	back := "http://" + r.Host + returnedPath + "?run=" + run
	hear := d.options.URL + callbacksPath + "?run=" + run
	started, err := d.options.Client.StartVerification(ctx, &verigatev1.StartVerificationRequest{
		Flow: asked.Flow, Subject: cmp.Or(asked.Subject, defaultSubject), Reference: asked.Reference,
		RedirectUrl: back, FailureRedirectUrl: back, CallbackUrl: hear, EventsCallbackUrl: hear,
	})
	if err != nil {
		d.options.Log.WarnContext(ctx, "the demo page could not start a verification",
			"flow", asked.Flow, "code", connect.CodeOf(err).String())
		return nil, refusalOf(err)
	}
	return startAnswer{
		"verification_id": started.GetVerification().GetId(),
		"hosted_url":      started.GetHostedUrl(),
		"client_token":    started.GetClientToken(),
		"run":             run,
		"started_at":      started.GetVerification().GetCreateTime().AsTime().Format(time.RFC3339Nano),
	}, nil
}

func readStart(w http.ResponseWriter, r *http.Request) (*startRequest, *refusal) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != jsonType {
		return nil, &refusal{http.StatusUnsupportedMediaType, "Content-Type: must be application/json."}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxStartBody))
	decoder.DisallowUnknownFields()
	asked := new(startRequest)
	if err := decoder.Decode(asked); err != nil {
		return nil, badBody(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, &refusal{http.StatusBadRequest, "body: there is something after the JSON object; " + expectedBody + "."}
	}
	return asked, nil
}

func badBody(err error) *refusal {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &refusal{http.StatusRequestEntityTooLarge, "body: must not be larger than 4 KiB; " + expectedBody + "."}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &refusal{http.StatusBadRequest, cmp.Or(wrong.Field, "body") + ": must not be a JSON " + wrong.Value + "; " + expectedBody + "."}
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &refusal{http.StatusBadRequest, "body: unknown field " + field + "; " + expectedBody + "."}
	}
	return &refusal{http.StatusBadRequest, "body: is not valid JSON; " + expectedBody + "."}
}

func (d *demo) checkFlow(name string) *refusal {
	var names []string
	for _, flow := range d.options.Flows {
		names = append(names, flow.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	return &refusal{http.StatusBadRequest, "flow: must be one of " + strings.Join(names, ", ") + "."}
}

// refusalOf tells the person why the gateway did not start. What the gateway
// wrote was written for callers; what failed on the way to it was not.
func refusalOf(err error) *refusal {
	text := connect.CodeOf(err).String()
	if authored, ok := errors.AsType[*connect.Error](err); ok && authored.IsRemote() && authored.Message() != "" {
		text = authored.Message()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &refusal{http.StatusGatewayTimeout, tooLong}
	}
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument:
		return &refusal{http.StatusBadRequest, "The gateway refused the request: " + text}
	case connect.CodeNotFound:
		return &refusal{http.StatusNotFound, "The gateway does not have this: " + text}
	case connect.CodeAlreadyExists, connect.CodeFailedPrecondition, connect.CodeAborted:
		return &refusal{http.StatusConflict, "The gateway could not start this: " + text}
	case connect.CodeResourceExhausted:
		return &refusal{http.StatusTooManyRequests, "Too much at once, try again in a moment: " + text}
	case connect.CodeUnavailable:
		return &refusal{http.StatusServiceUnavailable, "Try again in a moment: " + text}
	case connect.CodeDeadlineExceeded, connect.CodeCanceled:
		return &refusal{http.StatusGatewayTimeout, tooLong}
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return &refusal{http.StatusBadGateway, "The gateway refused the demo page's API key; stop and start `verigate dev` to make a new one."}
	default:
		return &refusal{http.StatusBadGateway, "The gateway could not start a verification; its log says why."}
	}
}
