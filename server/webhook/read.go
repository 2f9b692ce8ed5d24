package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// maxKeptHeader bounds what is kept of one header.
const maxKeptHeader = 200

// StatusMeter counts what adapters do not know.
type StatusMeter interface {
	// UnknownStatus counts a status that an adapter does not know.
	UnknownStatus(connection string)
}

// Reader turns what a provider sent into a delivery: when it arrives, and when
// an operator has it read again.
type Reader struct {
	Connections Connections
	Meter       StatusMeter
	Log         *slog.Logger
}

// Read turns an authentic webhook into a delivery. What the adapter cannot read
// is a delivery too; an error means that there is no randomness for an id.
func (r *Reader) Read(ctx context.Context, c Connection, hook provider.Webhook) (*verification.Delivery, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	d := &verification.Delivery{
		ID: id, Scope: c.Scope, Connection: c.Name,
		ReceiveTime: hook.ReceiveTime, Headers: kept(hook.Header), Body: hook.Body,
	}
	r.decode(ctx, c, hook, d)
	return d, nil
}

// ReadAgain fills in what today's adapter makes of a kept, opened delivery. It
// was authenticated when it came; its signature is not kept. KindRefused if its
// connection is not configured in its scope any more; then the delivery is as it
// was.
func (r *Reader) ReadAgain(ctx context.Context, d *verification.Delivery) error {
	c, ok := r.Connections.Connection(d.Connection)
	if !ok || c.Scope != d.Scope {
		return verification.NewError(verification.KindRefused, "CONNECTION_GONE",
			"the delivery came in on the connection "+d.Connection+", which the configuration does not have any more; put it back and replay again")
	}
	header := make(http.Header, len(d.Headers))
	for name, value := range d.Headers {
		header.Set(name, value)
	}
	r.decode(ctx, c, provider.Webhook{Header: header, Body: d.Body, ReceiveTime: d.ReceiveTime}, d)
	return nil
}

// decode sets all that the adapter says, and nothing else.
func (r *Reader) decode(ctx context.Context, c Connection, hook provider.Webhook, d *verification.Delivery) {
	notice, err := c.Provider.Decode(hook)
	if err != nil {
		r.Log.WarnContext(ctx, "unreadable delivery", "connection", c.Name, "delivery_id", d.ID, "error", err)
		sum := sha256.Sum256(hook.Body)
		d.DedupeKey, d.Effect = "sha256:"+hex.EncodeToString(sum[:]), verification.Unreadable
		d.ProviderEvent, d.ProviderStatus, d.Event = "", "", verification.Event{}
		return
	}
	d.DedupeKey, d.Effect = notice.DedupeKey, ""
	d.ProviderEvent, d.ProviderStatus, d.Event = notice.ProviderEvent, notice.ProviderStatus, notice.Event
	r.remark(ctx, c, d, notice)
}

func (r *Reader) remark(ctx context.Context, c Connection, d *verification.Delivery, n provider.Notice) {
	switch n.Kind {
	case provider.NoticePing:
		d.Effect = verification.Ping
	case provider.NoticeUnknown:
		d.Effect = verification.Unknown
		r.Log.WarnContext(ctx, "unknown event type", "connection", c.Name, "delivery_id", d.ID, "type", n.ProviderEvent)
	case provider.NoticeEvent:
	}
	if n.UnknownStatus != "" {
		r.Meter.UnknownStatus(c.Name)
		r.Log.WarnContext(ctx, "unknown status is taken as a review", "connection", c.Name, "delivery_id", d.ID, "status", n.UnknownStatus)
	}
	if len(n.UnknownFields) > 0 {
		r.Log.InfoContext(ctx, "the payload has fields that the adapter does not know",
			"connection", c.Name, "delivery_id", d.ID, "fields", n.UnknownFields)
	}
}

// kept returns the headers that help an operator later: the provider's own and
// the basic ones, never a signature, a credential or an address.
func kept(header http.Header) map[string]string {
	headers := make(map[string]string)
	for name := range header {
		if !helpful(name) {
			continue
		}
		value := header.Get(name)
		headers[name] = value[:min(len(value), maxKeptHeader)]
	}
	return headers
}

func helpful(name string) bool {
	if name == "Content-Type" || name == "User-Agent" {
		return true
	}
	if !strings.HasPrefix(name, "X-") {
		return false
	}
	for _, secretive := range []string{"Signature", "Hmac", "Digest", "Auth", "Key", "Token", "Secret", "Forwarded", "Ip"} {
		if strings.Contains(name, secretive) {
			return false
		}
	}
	return true
}
