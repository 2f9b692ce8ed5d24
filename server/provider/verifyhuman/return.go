package verifyhuman

import (
	"net/url"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

var _ verification.ReturnReader = (*adapter)(nil)

// ReturnRef reads the verification id that VerifyHuman may append to a redirect.
// Whether it appends anything is not documented; the name is the one that its
// webhooks use (seed document). A person can write anything here.
func (*adapter) ReturnRef(query url.Values) string {
	id := query.Get("verification_id")
	if !edge.IsLabel(id) {
		return ""
	}
	return verificationRefPrefix + id
}
