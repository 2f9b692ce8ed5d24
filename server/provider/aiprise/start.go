package aiprise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/verigate/verigate/server/verification"
)

// createRequest is the body of POST /verify/get_user_verification_url, with the
// keys of AiPrise's OpenAPI description.
type createRequest struct {
	TemplateID          string         `json:"template_id"`
	RedirectURI         string         `json:"redirect_uri"`
	ClientReferenceID   string         `json:"client_reference_id"`
	ClientReferenceData *referenceData `json:"client_reference_data,omitempty"`
	CallbackURL         string         `json:"callback_url,omitempty"`
	EventsCallbackURL   string         `json:"events_callback_url,omitempty"`
	UserData            *userData      `json:"user_data,omitempty"`

	ThemeOptions        json.RawMessage `json:"theme_options,omitempty"`
	UIOptions           json.RawMessage `json:"ui_options,omitempty"`
	VerificationOptions json.RawMessage `json:"verification_options,omitempty"`
	AdditionalInfo      json.RawMessage `json:"additional_info,omitempty"`
}

// referenceData comes back with every callback.
type referenceData struct {
	Flow string `json:"flow"`
}

// Start opens a session. It sends both callback URLs, because a session that
// AiPrise attaches to a user profile reports on the events URL alone (AiPrise
// docs, user callbacks page). AiPrise takes no lifetime; it says its own. A flow
// with a stable page is refused: AiPrise's pages are for one session each.
func (a *adapter) Start(ctx context.Context, r verification.StartSession) (verification.Session, error) {
	body, err := a.createBody(r)
	if err != nil {
		return verification.Session{}, errFlow().WithCause(fmt.Errorf("%s: %w", endpointCreate, err))
	}
	answer, err := a.call(ctx, exchange{
		endpoint: endpointCreate,
		quotable: r.UserData == nil,
		request: func(ctx context.Context) (*http.Request, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/verify/get_user_verification_url", bytes.NewReader(body))
			if err != nil {
				return nil, err
			}
			request.Header.Set("Content-Type", "application/json")
			return request, nil
		},
	})
	if err != nil {
		return verification.Session{}, err
	}
	session, err := a.sessionIn(answer, r.Now)
	if err != nil {
		return verification.Session{}, endpointCreate.Unreadable(err)
	}
	return session, nil
}

// createBody writes the request. The configuration has checked the flow before;
// it is checked again because what is sent decides who is verified for what.
func (a *adapter) createBody(r verification.StartSession) ([]byte, error) {
	if r.HostedURL != "" {
		return nil, errors.New("AiPrise has no stable pages; remove hosted_url from the flow")
	}
	if !isTemplateID(r.Product) {
		return nil, errors.New("the flow's product is not a template's id, a lower-case UUID")
	}
	options, problems := readOptions(r.Options)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the flow's %s %s", problems[0].Field, problems[0].Message)
	}
	request := createRequest{
		TemplateID:          r.Product,
		RedirectURI:         r.AnyReturnURL,
		ClientReferenceID:   r.VerificationID.String(),
		CallbackURL:         r.WebhookURL,
		EventsCallbackURL:   r.EventsWebhookURL,
		UserData:            userDataOf(r.UserData),
		ThemeOptions:        options.Raw(optionTheme),
		UIOptions:           options.Raw(optionUI),
		VerificationOptions: options.Raw(optionVerification),
		AdditionalInfo:      options.Raw(optionAdditionalInfo),
	}
	if r.Flow != "" {
		request.ClientReferenceData = &referenceData{Flow: r.Flow}
	}
	return json.Marshal(request)
}
