package verifyhuman

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// Decode reads a webhook of either shape. An unknown event type is a notice,
// not an error; a completed verification without its id, status or product is
// an error. Errors name keys and never repeat values.
func (a *adapter) Decode(w provider.Webhook) (provider.Notice, error) {
	p, err := parsePayload(w.Body)
	if err != nil {
		return provider.Notice{}, fmt.Errorf("%s webhook: the body cannot be read: %w", Name, err)
	}
	notice := provider.Notice{
		Kind:          provider.NoticeUnknown,
		DedupeKey:     p.dedupeKey(w.Body),
		ProviderEvent: p.event,
		UnknownFields: p.unknownFields(),
	}
	switch p.event {
	case eventPing:
		notice.Kind = provider.NoticePing
	case eventCompleted:
		notice.Kind = provider.NoticeEvent
		if err := p.readCompleted(&notice); err != nil {
			return provider.Notice{}, fmt.Errorf("%s webhook: %s cannot be read: %w", Name, eventCompleted, err)
		}
	}
	return notice, nil
}

// dedupeKey is the event id where there is one. The flat shape has none, but
// its body is the same for every attempt.
func (p payload) dedupeKey(body []byte) string {
	if p.envelope {
		return "id:" + p.id
	}
	return edge.BodyKey(body)
}

func (p payload) readCompleted(notice *provider.Notice) error {
	id, err := p.result.RequiredLabel(keyVerificationID)
	if err != nil {
		return err
	}
	product, err := p.result.RequiredLabel(keyProduct)
	if err != nil {
		return err
	}
	status, said, err := p.result.Text(keyStatus)
	if err != nil {
		return err
	}
	if !said {
		return fmt.Errorf("%s is missing", p.result.Name(keyStatus))
	}
	d := decide(status)
	notice.UnknownStatus = d.unknown
	notice.Event = verification.Event{
		Kind:         d.kind,
		ReasonCodes:  d.reasonCodes,
		ProviderTime: p.providerTime(),
		Refs:         []string{verificationRefPrefix + id},
		Product:      strings.ToLower(product),
	}
	return p.addLinks(&notice.Event)
}

// providerTime is zero for a time that cannot be read: it orders nothing here,
// and a decision must not be lost over it.
func (p payload) providerTime() time.Time {
	t, err := time.Parse(time.RFC3339, p.time)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// unknownFields lists the names that neither documentation nor link.go knows,
// those in data with the prefix "data.", sorted and bounded.
func (p payload) unknownFields() []string {
	known := slices.Concat([]string{keyEnvironment, keyMetadata, keySessionID}, tokenKeys(), referenceKeys())
	result := []string{keyVerificationID, keyStatus, keyProduct}
	top, data := slices.Concat(known, result, []string{keyEvent, "timestamp"}), known
	if p.envelope {
		top = slices.Concat(known, []string{keyID, keyType, "created", "data"})
		data = slices.Concat(known, result, []string{"confidence"})
	}
	return edge.UnknownFields(p.top.NamesExcept(top), p.data.NamesExcept(data))
}
