package verification_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/verification"
)

func TestCallbacksAreStartedOnlyWhereTheyCanBeSigned(t *testing.T) {
	t.Parallel()
	rival := verification.Scope{Project: "rival", Environment: verification.Test}
	live := verification.Scope{Project: "shop", Environment: verification.Live}
	const target = "https://backend.example.com/verigate"
	sentences(t, map[string]func(g *gateway){
		"with secrets they are kept": func(g *gateway) {
			r := request("")
			r.CallbackURL, r.EventsCallbackURL = target, target+"/events"
			v, err := g.Start(g.t.Context(), shop, r)
			if err != nil || v.CallbackURL != r.CallbackURL || v.EventsCallbackURL != r.EventsCallbackURL {
				g.t.Errorf("it is %+v (%v)", v, err)
			}
		},
		"without secrets each is refused by its field": func(g *gateway) {
			for field, change := range map[string]func(r *verification.StartRequest){
				"callback_url":        func(r *verification.StartRequest) { r.CallbackURL = target },
				"events_callback_url": func(r *verification.StartRequest) { r.EventsCallbackURL = target },
			} {
				for _, scope := range []verification.Scope{rival, live} {
					r := request("")
					change(&r)
					_, err := g.Start(g.t.Context(), scope, r)
					wantKind(g.t, err, verification.KindInvalid)
					if e, ok := errors.AsType[*verification.Error](err); !ok || e.Field != field || !strings.Contains(e.Message, "`callbacks`") {
						g.t.Errorf("the error is %+v, want one of %s that names callbacks", err, field)
					}
				}
			}
			if calls := g.company.calls(); len(calls) != 0 {
				g.t.Errorf("the provider was asked %d times", len(calls))
			}
		},
		"without secrets what wants none starts": func(g *gateway) {
			if v, err := g.Start(g.t.Context(), rival, request("")); err != nil || v.State != pending {
				g.t.Errorf("it is %+v (%v)", v, err)
			}
		},
	})
}
