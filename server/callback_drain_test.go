package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

func TestANodeThatStopsHearsWhatItsReceiversAnswer(t *testing.T) {
	t.Parallel()
	const slow = 3 * time.Second // longer than the node drains
	asked := make(chan struct{}, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(receiver.Close)
	dsn := pgtest.New(t)
	g := openDeveloping(t, dsn, nil)
	_, err := g.api(g.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "s", EventsCallbackUrl: receiver.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	began := time.Now()
	if err := g.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(began); took > stopBound {
		t.Errorf("Serve returned after %v", took)
	}
	node := g.again(dsn)
	defer node.Close()
	delivered, err := node.Store().Callbacks(t.Context(), verification.CallbackQuery{
		Scope: shopTest(), States: []verification.CallbackState{verification.CallbackDelivered}, Limit: 10,
	})
	if err != nil || len(delivered) != 1 || delivered[0].Attempts != 1 {
		t.Errorf("delivered are %v (%v), want the one that was under way", delivered, err)
	}
}
