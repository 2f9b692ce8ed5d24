package aiprise

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// Fetch asks for the result behind a "session:" ref and reads it as a final
// callback. ErrNotFetchable for every other ref. All other errors are
// *verification.Error, as Start's; its RetryAfter is the provider's, at most an
// hour. An answer about another session, product or environment is refused: it
// would decide somebody else's verification.
func (a *adapter) Fetch(ctx context.Context, product, ref string) (verification.Event, error) {
	id, ok := strings.CutPrefix(ref, sessionRefPrefix)
	if !ok {
		return verification.Event{}, fmt.Errorf("%w: only one that begins with %s has", provider.ErrNotFetchable, sessionRefPrefix)
	}
	if !edge.IsPathLabel(id) {
		return verification.Event{}, fmt.Errorf("%w: it holds no usable id", provider.ErrNotFetchable)
	}
	answer, err := a.call(ctx, exchange{
		endpoint: endpointResult,
		request: func(ctx context.Context) (*http.Request, error) {
			target := a.base + "/verify/get_user_verification_result/" + url.PathEscape(id)
			return http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
		},
	})
	if err != nil {
		return verification.Event{}, err
	}
	event, err := a.eventIn(answer)
	if err == nil {
		err = isAbout(event, product, sessionRefPrefix+id)
	}
	if err != nil {
		return verification.Event{}, endpointResult.Unreadable(err)
	}
	return event, nil
}

// eventIn reads a result that was asked for.
func (a *adapter) eventIn(answer edge.Object) (verification.Event, error) {
	p := payload{form: formResult, top: answer}
	if err := p.checkEnvironment(a.settings.Environment); err != nil {
		return verification.Event{}, err
	}
	d, err := p.result()
	if err != nil {
		return verification.Event{}, err
	}
	event, err := p.about(d.kind)
	if err != nil {
		return verification.Event{}, err
	}
	event.ReasonCodes = d.reasonCodes
	return event, nil
}

func isAbout(event verification.Event, product, ref string) error {
	if !slices.Equal(event.Keys, []string{ref}) {
		return errors.New(keySessionID + " is not the one that was asked for")
	}
	if product != "" && event.Product != "" && !strings.EqualFold(event.Product, product) {
		return errors.New(keyTemplateID + " is not the one that was asked for")
	}
	return nil
}
