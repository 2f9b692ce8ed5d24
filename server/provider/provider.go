// Package provider is the contract between the gateway and the companies it
// buys verifications from: one adapter package per company, each below this
// one.
//
// An adapter is stateless: no database, no globals, no goroutines, no retries
// of its own. It turns the provider's words into ours at its edge and nowhere
// else; what it does not recognise is never a success. Adapters import this
// package, edge, verification and secret, never store, rpc or each other; only
// the wiring in cmd names concrete adapters. edge holds what every adapter needs
// and is no company's business, providertest the suite that every adapter
// passes.
package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/verigate/verigate/server/verification"
)

// Provider is one open account at a company. All four methods are safe for
// concurrent use.
type Provider interface {
	// Name is the provider's name in configuration, logs and metrics.
	Name() string
	// Start opens a hosted page. Its errors are *verification.Error:
	// KindUnavailable when a retry may help, KindRefused when the provider
	// refuses our account or request. The provider's own text is only ever the
	// cause.
	Start(ctx context.Context, r verification.StartSession) (verification.Session, error)
	// Authenticate checks the signature of a webhook over its exact bytes, in
	// constant time. Any failure is ErrUnauthentic, wrapped with a reason for
	// the operator that carries no secret and no expected signature.
	Authenticate(w Webhook) error
	// Decode reads an authenticated webhook. An error means that the body is
	// not what the provider's format promises; it is then kept as unreadable.
	Decode(w Webhook) (Notice, error)
}

// Fetcher is the capability of asking the provider for the truth.
type Fetcher interface {
	// Fetch asks for the status behind one of the adapter's own provider refs.
	// ErrNotFetchable when the ref is of a kind that has no status endpoint.
	Fetch(ctx context.Context, product, ref string) (verification.Event, error)
}

// FlowChecker is the capability of an adapter's settings to judge a flow: its
// product and its `options`. Flows of adapters without it may have no options.
type FlowChecker interface {
	// CheckFlow returns everything that is wrong. hostedURL is the flow's stable
	// page and options a JSON object; both are empty if the flow has none. Problem.Field is the flow's yaml key, such as
	// `product` or `options.theme`.
	CheckFlow(product, hostedURL string, options []byte) []Problem
}

// Webhook is one request to a connection's webhook URL, as it arrived.
type Webhook struct {
	Header http.Header
	// Body is the raw request body, within the ingress's size cap.
	Body []byte
	// ReceiveTime is when it arrived; adapters read no clock.
	ReceiveTime time.Time
}

// NoticeKind says what sort of thing a webhook is.
type NoticeKind int

// The kinds of notice.
const (
	// NoticeEvent: something happened to a verification.
	NoticeEvent NoticeKind = iota + 1
	// NoticePing: the provider's test message.
	NoticePing
	// NoticeUnknown: readable, of a type that the adapter does not know.
	NoticeUnknown
)

// Notice is what an adapter read in a webhook.
type Notice struct {
	Kind NoticeKind
	// DedupeKey is the same for every attempt at delivering the same thing.
	DedupeKey string
	// ProviderEvent is the provider's own name of what happened.
	ProviderEvent string
	// Event is set for NoticeEvent.
	Event verification.Event
	// UnknownFields are names, never values, of payload fields that the adapter
	// does not know: the first live webhook shows what exists.
	UnknownFields []string
	// ProviderStatus is what the provider said of the verification, in its own
	// words, for an operator: printable and at most 100 runes; empty if it said
	// nothing.
	ProviderStatus string
	// UnknownStatus is set when the provider said a status that the adapter
	// does not know; the Event is then a ReviewStarted. It is bounded as
	// ProviderStatus is.
	UnknownStatus string
}

// ErrUnauthentic is what Authenticate returns for everything that is not
// proven to come from the provider.
var ErrUnauthentic = errors.New("not authentic")

// ErrNotFetchable is what Fetch returns for a ref without a status endpoint.
var ErrNotFetchable = errors.New("the provider has no status endpoint for this ref")

// Deps is what an adapter gets from the process.
type Deps struct {
	// HTTP is the client for calls to the provider.
	HTTP *http.Client
	// Log is for what an operator should know; never bodies or secrets.
	Log *slog.Logger
	// Now is the clock for deadlines of outgoing calls.
	Now func() time.Time
}
