package aiprise

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// The event types of AiPrise's event callbacks page, and the one event of a user
// profile that tells of a session.
const (
	eventStarted         = "VERIFICATION_SESSION_STARTED"
	eventSubmitted       = "VERIFICATION_REQUEST_SUBMITTED"
	eventCompletion      = "VERIFICATION_SESSION_COMPLETION"
	eventCaseStatus      = "CASE_STATUS_UPDATE"
	eventAMLMonitoring   = "AML_MONITORING_UPDATE"
	eventSectionInfo     = "SECTION_INFO_UPDATE"
	eventComment         = "COMMENT"
	profileEventVerified = "RUN_USER_VERIFICATION"
)

// maxMillis is the last millisecond of the year 9999, in Unix time.
const maxMillis = 253402300799999

var errNoStatus = errors.New("neither status nor aiprise_summary.verification_result is there, so it says no result")

// Decode reads a final result, an event or a profile event. An event of a type
// that tells of no session is a notice, not an error; a body that names no
// session, says no result where it must, or is of the other environment, is an
// error. Errors name keys and never repeat values.
func (a *adapter) Decode(w provider.Webhook) (provider.Notice, error) {
	p, err := parsePayload(w.Body)
	if err == nil {
		err = p.checkEnvironment(a.settings.Environment)
	}
	if err != nil {
		return provider.Notice{}, fmt.Errorf("%s webhook: the body cannot be read: %w", Name, err)
	}
	notice := provider.Notice{
		Kind:          provider.NoticeUnknown,
		DedupeKey:     p.dedupeKey(w.Body),
		ProviderEvent: p.event,
		UnknownFields: p.unknownFields(),
	}
	d, known, err := p.decision()
	if err == nil && known {
		err = p.fill(&notice, d)
	}
	if err != nil {
		return provider.Notice{}, fmt.Errorf("%s webhook: %s cannot be read: %w", Name, p.name(), err)
	}
	return notice, nil
}

// name says what the payload is, in an error: never a word that it brought.
func (p payload) name() string {
	switch p.form {
	case formResult:
		return "a final result"
	case formProfile:
		return "an event of a user profile"
	case formEvent:
	}
	return "an event"
}

// dedupeKey is the callback's own id where the body has one; AiPrise's callbacks
// page names it without saying where it travels. Without it, the body is the
// same for every attempt. What it says is part of the key beside that id: whether
// another decision comes under an id of its own is not documented.
func (p payload) dedupeKey(body []byte) string {
	id, err := p.top.Label(keyCallbackUUID)
	if err != nil || id == "" {
		return edge.BodyKey(body)
	}
	status, _, _ := p.top.Text(keyStatus)
	result, said, _ := p.top.Text(keyResult)
	if !said {
		summary, _ := p.top.Child(keySummary)
		result, _, _ = summary.Text(keyResult)
	}
	return keyCallbackUUID + ":" + id + ":" + p.event + ":" + status + "/" + result
}

// decision says what the payload means; false for what tells of no session.
func (p payload) decision() (decision, bool, error) {
	if p.form == formResult || p.form == formProfile && p.event == profileEventVerified {
		d, err := p.result()
		return d, true, err
	}
	if p.form != formEvent {
		return decision{}, false, nil
	}
	switch p.event {
	case eventCompletion:
		d, err := p.result()
		return d, true, err
	case eventCaseStatus:
		d, err := p.revision()
		return d, true, err
	case eventStarted:
		return decision{kind: verification.SessionOpened}, true, nil
	case eventSubmitted:
		return decision{kind: verification.PersonSubmitted}, true, nil
	case eventAMLMonitoring, eventSectionInfo, eventComment:
		return decision{kind: verification.Noted}, true, nil
	}
	return decision{}, false, nil
}

// result reads a full result. Only the summary decides: the results of sections
// elsewhere in it are never looked at.
func (p payload) result() (decision, error) {
	status, err := word(p.top, keyStatus)
	if err != nil {
		return decision{}, err
	}
	summary, err := p.top.Child(keySummary)
	if err != nil {
		return decision{}, err
	}
	result, err := word(summary, keyResult)
	if err != nil {
		return decision{}, err
	}
	if status == "" && result == "" {
		return decision{}, errNoStatus
	}
	return decide(status, result).because(p.top.List(keyStatusReasons)...), nil
}

// revision reads a reviewer's decision, which stands at the top.
func (p payload) revision() (decision, error) {
	result, err := word(p.top, keyResult)
	if err != nil {
		return decision{}, err
	}
	return decide("", result).revised().because(p.top.Raw(keyReason)), nil
}

// word returns a status or a result, "" if none is said. An empty text is said,
// and no word that we know.
func word(o edge.Object, key string) (string, error) {
	text, said, err := o.Text(key)
	if said && text == "" {
		return "?", nil
	}
	return text, err
}

// fill makes the notice an event.
func (p payload) fill(notice *provider.Notice, d decision) error {
	event, err := p.about(d.kind)
	if err != nil {
		return err
	}
	event.ReasonCodes = d.reasonCodes
	event.ProviderTime = p.providerTime()
	notice.Kind, notice.Event, notice.ProviderStatus = provider.NoticeEvent, event, d.said
	if d.unknown {
		notice.UnknownStatus = d.said
	}
	return nil
}

// providerTime is a comment's time. In every other payload created_at is when
// the session was created, which says nothing of when this happened. The form of
// a comment's is not documented, so both that AiPrise uses elsewhere are read;
// it is zero for another, because a time orders nothing here.
func (p payload) providerTime() time.Time {
	if p.form != formEvent || p.event != eventComment {
		return time.Time{}
	}
	var millis int64
	if err := json.Unmarshal(p.top.Raw(keyCreatedAt), &millis); err == nil && millis > 0 && millis <= maxMillis {
		return time.UnixMilli(millis).UTC()
	}
	text, _, _ := p.top.Text(keyCreatedAt)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// unknownFields lists the top-level names that AiPrise's documentation does not
// know, sorted and bounded.
func (p payload) unknownFields() []string {
	return edge.UnknownFields(p.top.NamesExcept(knownFields()))
}

// knownFields are the keys of AiPrise's OpenAPI description, its callbacks pages
// and its profile events page.
func knownFields() []string {
	return []string{
		keySessionID, keyTemplateID, keyReference, keyReferenceData, keyEnvironment, keySummary, keyStatus,
		keyStatusReasons, keyCreatedAt, keyCallbackUUID,
		"user_input", "id_info", "face_match_info", "face_liveness_info", "aml_info", "fraud_insights",
		"phone_insights", "lookup_info", optionAdditionalInfo, "risk_info", "aml_monitoring_info",
		"time_elapsed_to_process", "time_elapsed_to_complete_session",
		keyEventType, keyResult, keyReason, "author", "aml_monitoring_update", keyData, "comment",
		keyProfileEventType, "user_profile_id", "author_id",
	}
}
