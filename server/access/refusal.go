package access

import (
	"errors"

	"github.com/verigate/verigate/server/verification"
)

// ErrUnauthenticated is what every failed check returns, with a RefusalError as
// its cause. The text fits every reason, so that it tells none.
var ErrUnauthenticated = verification.NewError(verification.KindUnauthenticated, "UNAUTHENTICATED",
	"no credential that is good for this call; send the header Authorization: Bearer with an API key, a client token or an end user's access token")

// RefusalError says to the operator why a credential was refused.
type RefusalError struct {
	// Reason is one of a few words, for metrics.
	Reason string
	detail string
}

// Error tells the details, without a secret and without a claim's value.
func (r *RefusalError) Error() string { return r.detail }

func refuse(reason, detail string) error {
	return ErrUnauthenticated.WithCause(&RefusalError{Reason: reason, detail: detail})
}

// RefusalOf returns why a credential was refused; nil if err is another error,
// even one that a refusal caused.
func RefusalOf(err error) *RefusalError {
	if verification.KindOf(err) != verification.KindUnauthenticated {
		return nil
	}
	r, _ := errors.AsType[*RefusalError](err)
	return r
}

// RefuseCall refuses a good credential that is not meant for a call.
func RefuseCall(p Principal) error {
	switch {
	case p.IsKey():
		return refuse("scope", "key "+p.KeyID+" lacks the scope that the call needs")
	case p.IsEndUser():
		return refuse("not_for_end_users", "an end user's token on a call that is not for it")
	default:
		return refuse("not_for_client_tokens", "a client token on a call that is not for it")
	}
}
