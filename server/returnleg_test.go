package server_test

import (
	"net/http"
	"strings"
	"testing"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/verification"
)

// legs returns the paths of a verification's two return legs.
func (g *gateway) legs(id string) (done, failure string) {
	g.t.Helper()
	start := g.provider.startOf(id)
	return strings.TrimPrefix(start.ReturnURL, g.url), strings.TrimPrefix(start.FailureReturnURL, g.url)
}

func (g *gateway) state(id string) *verigatev1.Verification {
	g.t.Helper()
	got, err := g.api(g.key).GetVerification(g.t.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil {
		g.t.Fatal(err)
	}
	return got.GetVerification()
}

func TestAReturnShowsConfirmingAtOnceAndOpensTheApp(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	updates := watch(t, g.api(g.key), &verigatev1.WatchStatusRequest{Id: id})
	updates.next()
	done, _ := g.legs(id)
	a := g.call(http.MethodGet, done+"?status=PASS&result=approved", "")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "myapp://done" {
		t.Errorf("answered %d to %q", a.status, a.header.Get("Location"))
	}
	if u := updates.next(); u.GetState() != processing || u.GetResult() != verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING {
		t.Errorf("the stream said %v", u)
	}
}

func TestNoReturnLeadsBeyondProcessing(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	done, failure := g.legs(id)
	for range 3 {
		for _, leg := range []string{done, failure, done + "?status=PASS", failure + "?status=FAIL"} {
			g.call(http.MethodGet, leg, "")
		}
	}
	if v := g.state(id); v.GetState() != processing || v.GetVersion() != 3 || v.GetMatch() != verigatev1.VerificationMatch_VERIFICATION_MATCH_UNSPECIFIED {
		t.Errorf("after twelve returns it is %v", v)
	}
}

func TestTheFailureLegOpensTheAppsFailurePage(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	started, err := g.api(g.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "s", RedirectUrl: "https://app.example.com/done?a=b", FailureRedirectUrl: "https://app.example.com/sorry",
	})
	if err != nil {
		t.Fatal(err)
	}
	id := started.GetVerification().GetId()
	done, failure := g.legs(id)
	for leg, want := range map[string]string{done: "https://app.example.com/done?a=b", failure: "https://app.example.com/sorry"} {
		if a := g.call(http.MethodGet, leg, ""); a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("answered %d to %q, want %s", a.status, a.header.Get("Location"), want)
		}
	}
	if v := g.state(id); v.GetState() != processing {
		t.Errorf("a failure leg made it %v", v.GetState())
	}
}

func TestALinkPreviewIsNoReturn(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	done, _ := g.legs(id)
	if a := g.call(http.MethodHead, done, ""); a.status != http.StatusNoContent {
		t.Errorf("answered %d", a.status)
	}
	if v := g.state(id); v.GetState() != pending || v.GetVersion() != 2 {
		t.Errorf("after a preview it is %v", v)
	}
}

func TestAnUnknownNonceIsAPlainPage(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	done, _ := g.legs(id)
	for _, path := range []string{"/return/unknown", done[:len(done)-1], done + "x", "/return/" + id} {
		if a := g.call(http.MethodGet, path, ""); a.status != http.StatusNotFound || !strings.Contains(a.body, "<html") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if v := g.state(id); v.GetState() != pending {
		t.Errorf("a wrong nonce made it %v", v.GetState())
	}
}

func TestADecidedVerificationStillSendsThePersonHome(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	g.decide(id, verification.Rejected)
	_, failure := g.legs(id)
	if a := g.call(http.MethodGet, failure, ""); a.status != http.StatusSeeOther || a.header.Get("Location") != "myapp://sorry" {
		t.Errorf("answered %d to %q", a.status, a.header.Get("Location"))
	}
	if v := g.state(id); v.GetState() != declined || v.GetVersion() != 3 {
		t.Errorf("the return changed it to %v", v)
	}
}
