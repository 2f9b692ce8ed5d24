package aiprise_test

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/verification"
)

func TestFetchAsksForTheResult(t *testing.T) {
	t.Parallel()
	for id, path := range map[string]string{
		sessionID:                sessionID,
		"vs_abc123":              "vs_abc123",
		"../a b?b#c%2F":          "..%2Fa%20b%3Fb%23c%252F",
		"...":                    "...",
		strings.Repeat("v", 200): strings.Repeat("v", 200),
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			p := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.EscapedPath() != "/verify/get_user_verification_result/"+path || r.URL.RawQuery != "" {
					t.Errorf("got %s %s", r.Method, r.RequestURI)
				}
				if r.Header.Get("X-API-KEY") != demoKey || r.Header.Get("Accept") != "application/json" {
					t.Error("the headers are not those of a call")
				}
				_, _ = io.WriteString(w, strings.Replace(result(`"RUNNING"`, `"UNKNOWN"`), sessionID, id, 1))
			}))
			got, err := providertest.AsFetcher(t, p).Fetch(t.Context(), templateID, "session:"+id)
			want := verification.Event{Kind: verification.PersonSubmitted, Keys: []string{"session:" + id}}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Fetch: got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestNotFetchable(t *testing.T) {
	t.Parallel()
	for name, ref := range map[string]string{
		"nothing":                 "",
		"a bare id":               sessionID,
		"a ref of another kind":   "verification:" + sessionID,
		"a ref in another case":   "Session:" + sessionID,
		"an empty id":             "session:",
		"an id that is a dot":     "session:.",
		"an id that is two dots":  "session:..",
		"an id with a line break": "session:a\nb",
		"an id that is too long":  "session:" + strings.Repeat("x", 201),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") }))
			if _, err := providertest.AsFetcher(t, p).Fetch(t.Context(), templateID, ref); !errors.Is(err, provider.ErrNotFetchable) {
				t.Errorf("Fetch: got %v, want ErrNotFetchable", err)
			}
		})
	}
}

// The same decision by callback, by event and by poll is one event.
func TestFetchReadsAResultAsACallback(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		demoBody,
		result(`"NOT_STARTED"`, `"UNKNOWN"`),
		result(`"RUNNING"`, `"UNKNOWN"`, `"template_id":"`+strings.ToUpper(templateID)+`"`),
		result(`"COMPLETED"`, `"DECLINED"`, `"status_reasons":[{"code":"FAKE_ID"}]`, `"environment":"SANDBOX"`),
		result(`"COMPLETED"`, `"REVIEW"`, `"client_reference_id":"`+ourID+`"`),
		result(`"FAILED"`, `"UNKNOWN"`, `"client_reference_id":null`),
		result(`"UPDATE_REQUIRED"`, `"UNKNOWN"`),
		result(`"RUNNING"`, `"APPROVED"`),
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			p := open(t, answering(t, http.StatusOK, body))
			want := decodeBody(t, p, body).Event
			for _, product := range []string{templateID, ""} {
				got, err := providertest.AsFetcher(t, p).Fetch(t.Context(), product, sessionRef)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("Fetch:\n got %+v, %v\nwant %+v", got, err, want)
				}
			}
		})
	}
}

func TestFetchRefusesAnswers(t *testing.T) {
	t.Parallel()
	approved := func(more ...string) string { return result(`"COMPLETED"`, `"APPROVED"`, more...) }
	for name, answer := range map[string]string{
		"about another session":         strings.Replace(approved(), sessionID, "vs_other", 1),
		"about a session in other case": strings.Replace(approved(), sessionID, strings.ToUpper(sessionID), 1),
		"about no session":              `{"status":"COMPLETED","aiprise_summary":{"verification_result":"APPROVED"}}`,
		"about another template":        approved(`"template_id":"4f1d2c3b-0000-4000-8000-0000000000bb"`),
		"of production":                 approved(`"environment":null`),
		"of an odd environment":         approved(`"environment":"LIVE"`),
		"without a result":              result("", ""),
		"with an odd status":            result(`1`, `"APPROVED"`),
		"with two results":              approved(`"aiprise_summary":{"verification_result":"DECLINED"}`),
		"with an odd reference":         approved(`"client_reference_id":7`),
		"with the session under data":   `{"status":"COMPLETED","aiprise_summary":{"verification_result":"APPROVED"},"data":{"verification_session_id":"` + sessionID + `"}}`,
		"that are a list of answers":    "[" + approved() + "]",
		"that are not JSON":             "<html>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := providertest.AsFetcher(t, open(t, answering(t, http.StatusOK, answer))).Fetch(t.Context(), templateID, sessionRef)
			checkError(t, err, verification.KindUnavailable, "PROVIDER_UNAVAILABLE")
			if !reflect.DeepEqual(got, verification.Event{}) {
				t.Errorf("Fetch returns an event with its error: %+v", got)
			}
		})
	}
	t.Run("of the sandbox on a live connection", func(t *testing.T) {
		t.Parallel()
		_, err := providertest.AsFetcher(t, open(t, live, answering(t, http.StatusOK, approved(`"environment":"SANDBOX"`)))).Fetch(t.Context(), templateID, sessionRef)
		checkError(t, err, verification.KindUnavailable, "PROVIDER_UNAVAILABLE")
	})
}
