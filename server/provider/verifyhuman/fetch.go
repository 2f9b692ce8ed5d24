package verifyhuman

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// statusQuery is one question to a status endpoint of the mobile API.
type statusQuery struct {
	// product is lower-case; it is a part of the path.
	product string
	// key is the answer's field that must repeat id.
	key string
	id  string
}

// Fetch asks the mobile API for the status behind a "verification:" or
// "session:" ref. ErrNotFetchable for a hosted token (the seed document says
// that there is no such endpoint), for a ref of the kind that the product's
// endpoint does not take, and for an unknown product.
// All other errors are *verification.Error, as Start's.
func (a fetching) Fetch(ctx context.Context, product, ref string) (verification.Event, error) {
	query, err := statusQueryFor(product, ref)
	if err != nil {
		return verification.Event{}, err
	}
	answer, err := a.call(ctx, endpointStatus, func(ctx context.Context) (*http.Request, error) {
		return a.status(ctx, query)
	})
	if err != nil {
		return verification.Event{}, err
	}
	event, err := a.eventIn(answer, query)
	if err != nil {
		return verification.Event{}, endpointStatus.Unreadable(err)
	}
	return event, nil
}

func notFetchable(reason string) error {
	return fmt.Errorf("%w: %s", provider.ErrNotFetchable, reason)
}

// statusQueryFor holds the seed document's table of status endpoints.
func statusQueryFor(product, ref string) (statusQuery, error) {
	query := statusQuery{product: strings.ToLower(product)}
	var prefix string
	switch query.product {
	case "verifyhuman":
		prefix, query.key = verificationRefPrefix, keyVerificationID
	case "verifyage", "verifyidentity", "verifycompliance":
		prefix, query.key = sessionRefPrefix, keySessionID
	default:
		return statusQuery{}, notFetchable("no status endpoint is known for this product")
	}
	id, ok := strings.CutPrefix(ref, prefix)
	if !ok {
		return statusQuery{}, notFetchable("the product's status endpoint takes a ref that begins with " + prefix)
	}
	if !edge.IsPathLabel(id) {
		return statusQuery{}, notFetchable("the ref holds no usable id")
	}
	query.id = id
	return query, nil
}

func (a *adapter) status(ctx context.Context, q statusQuery) (*http.Request, error) {
	target := a.base + "/api/mobile/v1/" + q.product + "/status/" + url.PathEscape(q.id)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Client-Key", a.settings.ClientKey.Reveal())
	return request, nil
}

// eventIn reads the mobile API's envelope. An answer about another id, product
// or environment is refused: it would decide somebody else's verification.
func (a *adapter) eventIn(answer edge.Object, q statusQuery) (verification.Event, error) {
	if !answer.Is(q.key, q.id) {
		return verification.Event{}, fmt.Errorf("%s is not the id that was asked for", q.key)
	}
	if string(answer.Raw("success")) == "false" {
		return verification.Event{}, errors.New("success is false")
	}
	if said, ok, _ := answer.Text(keyProduct); ok && strings.ToLower(said) != q.product {
		return verification.Event{}, errors.New("product is not the one that was asked for")
	}
	meta, err := answer.Child("meta")
	if err != nil {
		return verification.Event{}, err
	}
	if meta.Has(keyEnvironment) && !meta.Is(keyEnvironment, string(a.settings.Environment)) {
		return verification.Event{}, errors.New("meta.environment is not the connection's environment")
	}
	return statusEvent(answer, q.product)
}

// statusEvent maps an outcome. VerifyHuman's mobile page documents two nulls:
// no verification_id until the person has submitted, no outcome until there is
// a decision.
func statusEvent(answer edge.Object, product string) (verification.Event, error) {
	event := verification.Event{Kind: verification.SessionOpened, Product: product}
	session, err := answer.Label(keySessionID)
	if err != nil {
		return verification.Event{}, err
	}
	if session != "" {
		event.Refs = append(event.Refs, sessionRefPrefix+session)
	}
	id, err := answer.Label(keyVerificationID)
	if err != nil {
		return verification.Event{}, err
	}
	if id != "" {
		event.Kind = verification.PersonSubmitted
		event.Refs = append(event.Refs, verificationRefPrefix+id)
	}
	outcome, said, err := answer.Text("outcome")
	if err != nil {
		return verification.Event{}, err
	}
	if said {
		d := decide(outcome)
		event.Kind, event.ReasonCodes = d.kind, d.reasonCodes
	}
	return event, nil
}
