package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// sessionQuery is the name of the session id in hosted URLs and redirects, as
// AiPrise's guide and OpenAPI document show them.
const sessionQuery = "verification_session_id"

// created is the answer to a request for a hosted URL: the four fields of
// AiPrise's OpenAPI document. The older guide shows the first two only.
type created struct {
	Message               string `json:"message"`
	VerificationURL       string `json:"verification_url"`
	VerificationSessionID string `json:"verification_session_id,omitempty"`
	SessionExpiryTime     string `json:"session_expiry_time,omitempty"`
}

func (a *AiPrise) create(w http.ResponseWriter, r *http.Request) error {
	body, err := readBodyOr(w, r, jsonType, http.StatusRequestEntityTooLarge)
	if err != nil {
		return err
	}
	faults := a.Faults()
	if faults.CreateHang {
		return a.hang(r)
	}
	if faults.CreateStatus != 0 {
		return aipriseRefusal(faults.CreateStatus)
	}
	request, err := readAiPriseRequest(body)
	if err != nil {
		return badRequest(err)
	}
	now := a.now().UTC()
	s := &aipriseSession{
		aipriseRequest: request, id: uuid.NewString(), created: now,
		expires: now.Add(a.lifetime).Truncate(time.Second),
	}
	a.mu.Lock()
	a.sessions.put(s.id, s)
	a.mu.Unlock()
	a.log.InfoContext(r.Context(), "sandbox: hosted session made")
	answer := created{
		Message:               "Verification URL generated",
		VerificationURL:       a.baseURL + "/verify?" + sessionQuery + "=" + s.id,
		VerificationSessionID: s.id,
		SessionExpiryTime:     s.expires.Format(time.RFC3339),
	}
	if faults.NoSessionField {
		answer.VerificationSessionID, answer.SessionExpiryTime = "", ""
	}
	return writeJSON(w, http.StatusOK, answer)
}

// aipriseRefusal is what a fault makes AiPrise say. The status codes page lists
// the statuses; the texts are our choice.
func aipriseRefusal(status int) error {
	switch status {
	case http.StatusAlreadyReported:
		return refuse(status, "This verification session was already used")
	case http.StatusUnauthorized:
		return refuse(status, "Invalid API key")
	case http.StatusForbidden:
		return refuse(status, "This key may not use this template")
	case http.StatusRequestEntityTooLarge:
		return refuse(status, "The request is too large")
	case http.StatusTooManyRequests:
		return refuse(status, "Too many requests")
	default:
		return refuse(status, "The sandbox was told to answer %d", status)
	}
}

// readAiPriseRequest reads the fields of AiPrise's OpenAPI document and ignores
// others, as it is usual; only redirect_uri and template_id are required.
func readAiPriseRequest(body []byte) (aipriseRequest, error) {
	var r aipriseRequest
	var ignored map[string]json.RawMessage
	var data, user map[string]json.RawMessage
	var info []json.RawMessage
	const text, object = "a string", "an object"
	err := decodeKnown(body, "", map[string]field{
		"redirect_uri":          into(&r.redirectURI, text),
		"template_id":           into(&r.template, text),
		"callback_url":          into(&r.callbackURL, text),
		"events_callback_url":   into(&r.eventsURL, text),
		"client_reference_id":   into(&r.reference, text),
		"client_reference_data": both(into(&data, object), into(&r.referenceData, object)),
		"user_data":             both(into(&user, object), into(&r.userData, object)),
		"additional_info":       both(into(&info, "a list"), into(&r.additionalInfo, "a list")),
		"theme_options":         into(&ignored, object),
		"ui_options":            into(&ignored, object),
		"verification_options":  into(&ignored, object),
	})
	if err != nil {
		return aipriseRequest{}, err
	}
	if r.additionalInfo == nil {
		r.additionalInfo = json.RawMessage("[]")
	}
	problems := r.problems()
	if r.userData != nil {
		if err := decodeKnown(r.userData, "user_data.", userDataFields(&r.person)); err != nil {
			problems = append(problems, err)
		}
	}
	return r, joinProblems(problems)
}

// both decodes a value twice: to check its kind and to keep its text.
func both(check, keep field) field {
	return field{want: check.want, set: func(raw json.RawMessage) error {
		if err := check.set(raw); err != nil {
			return err
		}
		return keep.set(raw)
	}}
}

func (r aipriseRequest) problems() []error {
	var problems []error
	checkURL := func(name, target string, check func(string) error) {
		if err := check(target); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	if r.redirectURI == "" {
		problems = append(problems, errors.New("redirect_uri: is required"))
	} else {
		checkURL("redirect_uri", r.redirectURI, checkRedirect)
	}
	const uuidLength = 36
	switch _, err := uuid.Parse(r.template); {
	case r.template == "":
		problems = append(problems, errors.New("template_id: is required"))
	case err != nil || len(r.template) != uuidLength:
		problems = append(problems, errors.New("template_id: must be a UUID"))
	}
	if r.callbackURL != "" {
		checkURL("callback_url", r.callbackURL, checkWebhook)
	}
	if r.eventsURL != "" {
		checkURL("events_callback_url", r.eventsURL, checkWebhook)
	}
	return problems
}
