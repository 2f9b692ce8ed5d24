package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/docs/receiver"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

const (
	// patience bounds a start, the provider's own time included; askPatience a
	// question, within the 15 seconds that the gateway gives a callback.
	patience    = 30 * time.Second
	askPatience = 10 * time.Second
	// maxBody bounds what an app may send.
	maxBody = 4 << 10
)

// Backend is an app's own backend: it starts verifications for its users, hears
// what became of them, and decides what each user may do.
type Backend struct {
	Gateway verigatev1connect.VerificationServiceClient
	// Flow is what is started.
	Flow string
	// Redirects are where each app is opened again, by the app's name: an app says
	// which one it is, never where to send the person.
	Redirects map[string]string
	// CallbackURL is where the gateway reaches Callbacks; empty when the flow's
	// configuration says it.
	CallbackURL string
	// CallbackSecret is what callbacks are signed with: whsec_ and base64.
	CallbackSecret string
	// User returns who is logged in: your sessions.
	User  func(r *http.Request) (id string, ok bool)
	Users *Users
	Log   *slog.Logger
}

// Handler serves POST /verifications and GET /me to the apps, and POST
// /verigate/callbacks to the gateway.
func (b *Backend) Handler() (http.Handler, error) {
	callbacks, err := receiver.Handler(b.CallbackSecret, b.heard)
	if err != nil {
		return nil, fmt.Errorf("the callback secret: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /verigate/callbacks", callbacks)
	mux.HandleFunc("POST /verifications", b.loggedIn(b.start))
	mux.HandleFunc("GET /me", b.loggedIn(b.me))
	return mux, nil
}

func (b *Backend) loggedIn(serve func(w http.ResponseWriter, r *http.Request, user string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, ok := b.User(r)
		if !ok {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		serve(w, r, user)
	}
}

// started is what an app gets: the page to open, and a token that is good for
// watching this one verification. The API key stays here.
type started struct {
	ID string `json:"id"`
	// HostedURL is empty when the verification is over already.
	HostedURL   string `json:"hostedUrl"`
	ClientToken string `json:"clientToken"`
}

// start begins a verification of the user, or returns the last one, open or over:
// an app that was killed, or a second click, goes on with the same. Only who asks
// for a new try after one that failed gets another.
func (b *Backend) start(w http.ResponseWriter, r *http.Request, user string) {
	var asked struct {
		App   string `json:"app"`
		Again bool   `json:"again"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&asked)
	redirect, known := b.Redirects[asked.App]
	if err != nil || !known {
		http.Error(w, `app: send {"app": "web"} or {"app": "mobile"}`, http.StatusBadRequest)
		return
	}
	reference := b.Users.Reference(user, asked.Again)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	got, err := b.Gateway.StartVerification(ctx, &verigatev1.StartVerificationRequest{
		Flow: b.Flow, Subject: user, Reference: reference,
		IdempotencyKey: fmt.Sprintf("%s/%s/%s", user, asked.App, reference),
		RedirectUrl:    redirect, FailureRedirectUrl: redirect,
		CallbackUrl: b.CallbackURL, EventsCallbackUrl: b.CallbackURL,
	})
	if err != nil {
		b.refuse(w, err)
		return
	}
	// What is over already will be told by a callback too; this is only sooner.
	b.Users.Record(got.GetVerification())
	b.answer(w, started{got.GetVerification().GetId(), got.GetHostedUrl(), got.GetClientToken()})
}

// me is what the apps ask before they show what only verified users may see.
func (b *Backend) me(w http.ResponseWriter, _ *http.Request, user string) {
	b.answer(w, map[string]any{"user": user, "verified": b.Users.Verified(user)})
}

// heard takes one verified callback. It says that something happened; what holds
// now is asked for, so neither the order nor a repeat matters. An error makes the
// gateway send the callback again.
func (b *Backend) heard(event *verigatev1.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	got, err := b.Gateway.GetVerification(ctx, &verigatev1.GetVerificationRequest{Id: event.GetVerificationId()})
	if err != nil {
		b.Log.Warn("could not ask about a callback", "verification", event.GetVerificationId(), "code", connect.CodeOf(err).String())
		return err
	}
	b.Users.Record(got.GetVerification())
	return nil
}

// refuse tells the app whether trying again helps; the log has the rest.
func (b *Backend) refuse(w http.ResponseWriter, err error) {
	code := connect.CodeOf(err)
	b.Log.Warn("could not start a verification", "code", code.String())
	switch code {
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeAborted, connect.CodeDeadlineExceeded:
		w.Header().Set("Retry-After", "2")
		http.Error(w, "try again in a moment", http.StatusServiceUnavailable)
	default:
		http.Error(w, "verifications cannot be started; the backend's log says why", http.StatusInternalServerError)
	}
}

func (b *Backend) answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		b.Log.Info("an app hung up before its answer")
	}
}
