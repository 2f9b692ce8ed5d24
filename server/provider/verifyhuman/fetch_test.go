package verifyhuman_test

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/verification"
)

func TestFetchAsksTheProductsEndpoint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ product, ref, path, answer string }{
		"verifyhuman by verification id": {
			"verifyhuman", "verification:ver_1", "/api/mobile/v1/verifyhuman/status/ver_1", `{"verification_id":"ver_1"}`,
		},
		"verifyage by session id": {
			"verifyage", "session:msess_1", "/api/mobile/v1/verifyage/status/msess_1", `{"session_id":"msess_1"}`,
		},
		"verifyidentity by session id": {
			"verifyidentity", "session:msess_1", "/api/mobile/v1/verifyidentity/status/msess_1", `{"session_id":"msess_1"}`,
		},
		"verifycompliance by session id": {
			"VerifyCompliance", "session:msess_1", "/api/mobile/v1/verifycompliance/status/msess_1", `{"session_id":"msess_1"}`,
		},
		"an id that needs escaping": {
			"verifyage", "session:../a b?b#c%2F", "/api/mobile/v1/verifyage/status/..%2Fa%20b%3Fb%23c%252F", `{"session_id":"../a b?b#c%2F"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.EscapedPath() != c.path || r.URL.RawQuery != "" {
					t.Errorf("got %s %s, want GET %s", r.Method, r.RequestURI, c.path)
				}
				if r.Header.Get("X-Client-Key") != clientKey || r.Header.Get("Authorization") != "" || r.Header.Get("X-Api-Key") != "" {
					t.Error("the status endpoint must get the client key and no private key")
				}
				_, _ = io.WriteString(w, c.answer)
			}))
			if _, err := providertest.AsFetcher(t, p).Fetch(t.Context(), c.product, c.ref); err != nil {
				t.Errorf("Fetch: %v (%v)", err, errors.Unwrap(err))
			}
		})
	}
}

func TestNotFetchable(t *testing.T) {
	t.Parallel()
	noCall := func(t *testing.T) func(*verifyhuman.Settings) {
		t.Helper()
		return serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") })
	}
	for name, c := range map[string]struct{ product, ref string }{
		"a hosted token":                        {"verifyidentity", tokenRef},
		"a hosted token of verifyhuman":         {"verifyhuman", tokenRef},
		"a session of verifyhuman":              {"verifyhuman", "session:msess_1"},
		"a verification of verifyage":           {"verifyage", "verification:ver_1"},
		"a verification of verifyidentity":      {"verifyidentity", "verification:ver_1"},
		"a verification of verifycompliance":    {"verifycompliance", "verification:ver_1"},
		"an unknown product":                    {"verifytrust", "session:msess_1"},
		"no product":                            {"", "session:msess_1"},
		"a product that is a path":              {"verifyage/../verifyhuman", "session:msess_1"},
		"an empty id":                           {"verifyage", "session:"},
		"an id that is a dot":                   {"verifyage", "session:."},
		"an id that is two dots":                {"verifyage", "session:.."},
		"an id with a line break":               {"verifyage", "session:a\nb"},
		"a bare id":                             {"verifyage", "msess_1"},
		"a ref in other letter case":            {"verifyage", "Session:msess_1"},
		"an id beyond anything the body allows": {"verifyage", "session:" + strings.Repeat("x", 201)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := providertest.AsFetcher(t, open(t, noCall(t))).Fetch(t.Context(), c.product, c.ref)
			if !errors.Is(err, provider.ErrNotFetchable) {
				t.Errorf("Fetch: got %v, want ErrNotFetchable", err)
			}
		})
	}
}

func TestFetchMapsTheEnvelope(t *testing.T) {
	t.Parallel()
	session, decided := []string{"session:msess_1"}, []string{"session:msess_1", "verification:ver_1"}
	for name, c := range map[string]struct {
		answer string
		want   verification.Event
	}{
		"not submitted": {
			`{"success":true,"session_id":"msess_1","verification_id":null,"product":"verifyage","outcome":null,"next_step":"upload_selfie","data":{},"meta":{"environment":"test","step":1}}`,
			verification.Event{Kind: verification.SessionOpened, Refs: session},
		},
		"nothing but the id": {`{"session_id":"msess_1"}`, verification.Event{Kind: verification.SessionOpened, Refs: session}},
		"submitted": {
			`{"success":true,"session_id":"msess_1","verification_id":"ver_1","product":"VerifyAge","outcome":null}`,
			verification.Event{Kind: verification.PersonSubmitted, Refs: decided},
		},
		"passed": {
			`{"success":true,"session_id":"msess_1","verification_id":"ver_1","outcome":"pass"}`,
			verification.Event{Kind: verification.Passed, Refs: decided},
		},
		"failed": {
			`{"session_id":"msess_1","verification_id":"ver_1","outcome":"FAIL"}`,
			verification.Event{Kind: verification.Rejected, Refs: decided, ReasonCodes: []string{"provider_declined"}},
		},
		"something that nobody knows": {
			`{"session_id":"msess_1","verification_id":"ver_1","outcome":"review"}`,
			verification.Event{Kind: verification.ReviewStarted, Refs: decided, ReasonCodes: []string{"unknown_provider_status"}},
		},
		"an empty outcome": {
			`{"session_id":"msess_1","outcome":""}`,
			verification.Event{Kind: verification.ReviewStarted, Refs: session, ReasonCodes: []string{"unknown_provider_status"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := providertest.AsFetcher(t, open(t, answering(t, http.StatusOK, c.answer))).Fetch(t.Context(), "verifyage", "session:msess_1")
			c.want.Product = "verifyage"
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("Fetch:\n got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestFetchRefusesAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"about another session":      `{"session_id":"msess_2","outcome":"PASS"}`,
		"about no session":           `{"outcome":"PASS"}`,
		"about a session in case":    `{"session_id":"MSESS_1","outcome":"PASS"}`,
		"without success":            `{"success":false,"session_id":"msess_1","outcome":"PASS"}`,
		"about another product":      `{"session_id":"msess_1","product":"verifyidentity","outcome":"PASS"}`,
		"of the other environment":   `{"session_id":"msess_1","outcome":"PASS","meta":{"environment":"live"}}`,
		"of an odd environment":      `{"session_id":"msess_1","outcome":"PASS","meta":{"environment":1}}`,
		"with odd meta":              `{"session_id":"msess_1","outcome":"PASS","meta":[]}`,
		"with an odd outcome":        `{"session_id":"msess_1","outcome":{"result":"PASS"}}`,
		"with an odd verification":   `{"session_id":"msess_1","verification_id":7,"outcome":"PASS"}`,
		"with two outcomes":          `{"session_id":"msess_1","outcome":"FAIL","outcome":"PASS"}`,
		"that are not JSON":          `<html>`,
		"that are a list of answers": `[{"session_id":"msess_1","outcome":"PASS"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := providertest.AsFetcher(t, open(t, answering(t, http.StatusOK, answer))).Fetch(t.Context(), "verifyage", "session:msess_1")
			checkError(t, err, verification.KindUnavailable, "PROVIDER_UNAVAILABLE")
			if !reflect.DeepEqual(got, verification.Event{}) {
				t.Errorf("Fetch returns an event with its error: %+v", got)
			}
		})
	}
	t.Run("with status 404 as a refusal", func(t *testing.T) {
		t.Parallel()
		_, err := providertest.AsFetcher(t, open(t, answering(t, http.StatusNotFound, providerText))).Fetch(t.Context(), "verifyage", "session:msess_1")
		checkError(t, err, verification.KindRefused, "PROVIDER_REFUSED_REQUEST")
	})
}
