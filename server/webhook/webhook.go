// Package webhook takes in what providers say: POST /webhooks/{connection}, and
// /webhooks/{connection}/events for those that want two addresses.
//
//	cap and read the raw body → authenticate the exact bytes → decode →
//	Service.Deliver (one transaction) → 2xx
//	an operator ─► Reader.ReadAgain ─► decode what was kept ─► Service.Replay
//
// The provider gets a 2xx only for what is stored, and a 5xx only when we could
// not store it; a delivery that got a 2xx is never lost. A bad signature is a
// bare 401 and leaves nothing behind but a count. It imports provider and
// verification, never store or rpc, and knows no concrete adapter.
package webhook

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
)

const (
	// MaxBody is the largest body that is read; more is 413.
	MaxBody = 1 << 20
	// defaultReadTimeout is Handler.ReadTimeout when that is zero.
	defaultReadTimeout = 10 * time.Second
	// settleTimeout bounds storing and applying. Providers wait 10 s for an
	// answer (VerifyHuman docs, webhooks page), so we give up before they do.
	settleTimeout = 8 * time.Second
	// retryAfterSeconds is our hint to a provider when we cannot store.
	retryAfterSeconds = "5"
	// shedRetrySeconds is the hint when there are too many deliveries at once,
	// which takes less long.
	shedRetrySeconds = "1"
)

// Connection is what the ingress needs of a connection.
type Connection struct {
	Name     string
	Scope    verification.Scope
	Provider provider.Provider
}

// Connections finds a connection by its name.
type Connections interface {
	Connection(name string) (Connection, bool)
}

// Applier keeps and applies deliveries.
type Applier interface {
	// Full reports whether Deliver would refuse now.
	Full() bool
	// Deliver returns after the delivery is stored. KindLimited if it was refused
	// because too many are in hand.
	Deliver(ctx context.Context, d *verification.Delivery) (verification.Effect, error)
}

// Meter counts what the ingress refuses.
type Meter interface {
	StatusMeter

	// Refused counts a request that was not stored, by a short reason.
	Refused(connection, reason string)
}

// Limits refuses addresses that send too much at a time.
type Limits interface {
	// Webhook takes a request from an address.
	Webhook(bucket string) error
}

// Path is where webhooks arrive; a connection's name follows.
const Path = "/webhooks/"

// EventsSuffix follows the connection's name for providers that send decisions
// to one address and everything else to another. What arrives is told by what it
// says, so both are the same to us.
const EventsSuffix = "/events"

// Handler serves both addresses of every connection.
type Handler struct {
	Connections Connections
	Applier     Applier
	Meter       Meter
	Limits      Limits
	Log         *slog.Logger
	Now         func() time.Time
	// ReadTimeout bounds the upload, however slowly it drips; zero means 10 s.
	ReadTimeout time.Duration

	// large counts the large bodies in hand.
	large largeBodies
}

// ServeHTTP answers 200 for everything that was stored.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	release := h.armReadDeadline(w)
	if h.Applier.Full() {
		h.shed(w, r, "")
		return
	}
	if err := h.Limits.Webhook(transport.Bucket(transport.Address(r.Context()))); err != nil {
		w.Header().Set("Retry-After", retryAfterSeconds)
		h.refuse(w, r, "", http.StatusTooManyRequests, "limit")
		return
	}
	connection, ok := h.Connections.Connection(r.PathValue("connection"))
	if !ok {
		h.refuse(w, r, "", http.StatusNotFound, "unknown_connection")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, r, connection.Name, http.StatusMethodNotAllowed, "method")
		return
	}
	if !isPlainJSON(r.Header) {
		h.refuse(w, r, connection.Name, http.StatusUnsupportedMediaType, "content_type")
		return
	}
	body, done, status := h.readBody(w, r)
	defer done()
	if status == http.StatusServiceUnavailable {
		h.shed(w, r, connection.Name)
		return
	}
	if status != 0 {
		h.refuse(w, r, connection.Name, status, "body")
		return
	}
	release()
	hook := provider.Webhook{Header: r.Header, Body: body, ReceiveTime: h.Now()}
	if err := connection.Provider.Authenticate(hook); err != nil {
		h.Log.WarnContext(r.Context(), "webhook refused", "connection", connection.Name, "error", err)
		h.refuse(w, r, connection.Name, http.StatusUnauthorized, "signature")
		return
	}
	h.settle(w, r, connection, hook)
}

func (h *Handler) settle(w http.ResponseWriter, r *http.Request, c Connection, hook provider.Webhook) {
	delivery, err := h.reader().Read(r.Context(), c, hook)
	if err == nil {
		// The provider may hang up; what was authenticated is applied anyway.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTimeout)
		defer cancel()
		_, err = h.Applier.Deliver(ctx, delivery)
	}
	if verification.KindOf(err) == verification.KindLimited {
		h.shed(w, r, c.Name)
		return
	}
	if err != nil {
		h.Log.ErrorContext(r.Context(), "could not store a delivery", "connection", c.Name, "error", err, "cause", errors.Unwrap(err))
		w.Header().Set("Retry-After", retryAfterSeconds)
		h.refuse(w, r, c.Name, http.StatusServiceUnavailable, "store")
		return
	}
	w.WriteHeader(http.StatusOK)
}

// shed refuses what there is no room for, before it waits: the provider sends it
// again.
func (h *Handler) shed(w http.ResponseWriter, r *http.Request, connection string) {
	w.Header().Set("Retry-After", shedRetrySeconds)
	h.refuse(w, r, connection, http.StatusServiceUnavailable, "overload")
}

func (h *Handler) reader() *Reader {
	return &Reader{Connections: h.Connections, Meter: h.Meter, Log: h.Log}
}

func (h *Handler) refuse(w http.ResponseWriter, _ *http.Request, connection string, status int, reason string) {
	h.Meter.Refused(connection, reason)
	http.Error(w, http.StatusText(status), status)
}

// armReadDeadline bounds the upload from here on. A refused request keeps the
// deadline: the HTTP server still reads what is left of its body, and would
// wait for a dripping one for ever. The returned function ends it.
func (h *Handler) armReadDeadline(w http.ResponseWriter) func() {
	timeout := h.ReadTimeout
	if timeout == 0 {
		timeout = defaultReadTimeout
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(timeout)) != nil {
		return func() {}
	}
	return func() { _ = control.SetReadDeadline(time.Time{}) }
}

// isPlainJSON refuses what we would not hash as it was sent: another type, or a
// compressed body.
func isPlainJSON(header http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && mediaType == "application/json" && header.Get("Content-Encoding") == ""
}
