package verifyhuman

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// Bounds on the report of unknown fields.
const (
	maxUnknownFields    = 20
	maxUnknownFieldName = 64
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
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (p payload) readCompleted(notice *provider.Notice) error {
	id, err := p.result.label(keyVerificationID)
	if err != nil {
		return err
	}
	product, err := p.result.label(keyProduct)
	if err != nil {
		return err
	}
	status, ok := p.result.text(keyStatus)
	if !ok {
		return fmt.Errorf("%s%s is missing or not a string", p.result.path, keyStatus)
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
	names := append(p.top.namesExcept(top), p.data.namesExcept(data)...)
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxUnknownFields)]
}

func (o object) namesExcept(known []string) []string {
	var names []string
	for key := range o.fields {
		if slices.Contains(known, key) {
			continue
		}
		if name := fieldName(key); name != "" {
			names = append(names, o.path+name)
		}
	}
	return names
}

// fieldName keeps the plain ASCII of a key, bounded: the names go to a log and a
// table, and the key is the provider's to choose.
func fieldName(key string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("_.-", r):
			return r
		}
		return -1
	}, key)
	return kept[:min(len(kept), maxUnknownFieldName)]
}
