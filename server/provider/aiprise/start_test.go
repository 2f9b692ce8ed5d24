package aiprise_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/verification"
)

// serve runs an AiPrise that gives every request the same answer.
func serve(t *testing.T, handler http.HandlerFunc) func(*aiprise.Settings) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return func(s *aiprise.Settings) { s.BaseURL = server.URL }
}

func answering(t *testing.T, status int, text string, headers ...string) func(*aiprise.Settings) {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

// person is somebody whose data must not show up anywhere.
func person() *verification.UserData {
	return &verification.UserData{
		FirstName: "Ada-Personal", MiddleName: "M", LastName: "L", DateOfBirth: "1990-01-02", PhoneNumber: "+15550100",
		EmailAddress: "ada@example.test", IPAddress: "192.0.2.1",
		Address: &verification.Address{Street1: "s1", Street2: "s2", City: "c", State: "st", ZipCode: "z", Country: "DE"},
	}
}

// sentBy returns the body that Start sends.
func sentBy(t *testing.T, r verification.StartSession) []byte {
	t.Helper()
	bodies := make(chan []byte, 1)
	p := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/proxy/verify/get_user_verification_url" || r.Header.Get("X-API-KEY") != demoKey {
			t.Errorf("got %s with the wrong key or path", r.URL.Path)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		bodies <- body
		_, _ = io.WriteString(w, goodAnswer)
	}), func(s *aiprise.Settings) { s.BaseURL += "/proxy/" })
	if _, err := p.Start(t.Context(), r); err != nil {
		t.Fatalf("Start: %v (%v)", err, errors.Unwrap(err))
	}
	return <-bodies
}

func TestStartSendsWhatIsSet(t *testing.T) {
	t.Parallel()
	least := startSession()
	least.WebhookURL, least.EventsWebhookURL, least.Flow = "", "", ""
	const leastBody = `"template_id":"` + templateID + `","redirect_uri":"https://gateway.example/return/nonce?a=1&b=2","client_reference_id":"` + ourID + `"`
	for name, c := range map[string]struct {
		change func(*verification.StartSession)
		more   string
	}{
		"nothing more": {func(*verification.StartSession) {}, ""},
		"all of the user data": {func(r *verification.StartSession) { r.UserData = person() }, `,"user_data":{
			"first_name":"Ada-Personal","middle_name":"M","last_name":"L","date_of_birth":"1990-01-02","phone_number":"+15550100",
			"email_address":"ada@example.test","ip_address":"192.0.2.1","address":{"address_street_1":"s1","address_street_2":"s2",
			"address_city":"c","address_state":"st","address_zip_code":"z","address_country":"DE"}}`},
		"a part of the user data": {func(r *verification.StartSession) {
			r.UserData = &verification.UserData{LastName: "L", Address: &verification.Address{Country: "DE"}}
		}, `,"user_data":{"last_name":"L","address":{"address_country":"DE"}}`},
		"user data with an empty address": {func(r *verification.StartSession) {
			r.UserData = &verification.UserData{LastName: "L", Address: &verification.Address{}}
		}, `,"user_data":{"last_name":"L"}`},
		"empty user data": {func(r *verification.StartSession) {
			r.UserData = &verification.UserData{Address: &verification.Address{}}
		}, ""},
		"all options": {func(r *verification.StartSession) {
			r.Options = []byte(`{"theme_options": {"a": 1.50, "b": "<&>"}, "ui_options": {}, "verification_options": {"x": [null]}, "additional_info": [{"additional_info_type": "t"}]}`)
		}, `,"theme_options":{"a":1.50,"b":"<&>"},"ui_options":{},"verification_options":{"x":[null]},"additional_info":[{"additional_info_type":"t"}]`},
		"an empty object of options": {func(r *verification.StartSession) { r.Options = []byte(`{}`) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := least
			c.change(&r)
			checkBody(t, sentBy(t, r), "{"+leastBody+c.more+"}")
		})
	}
}

func TestStartRefusesFlowsWithoutACall(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*verification.StartSession){
		"with a stable page":              func(r *verification.StartSession) { r.HostedURL = "https://verify.aiprise.com/" },
		"with a product that is a word":   func(r *verification.StartSession) { r.Product = "kyc" },
		"with a product in upper case":    func(r *verification.StartSession) { r.Product = strings.ToUpper(templateID) },
		"with options that are no object": func(r *verification.StartSession) { r.Options = []byte(`[]`) },
		"with an option that is unknown":  func(r *verification.StartSession) { r.Options = []byte(`{"callback_url":"https://evil.example"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") }))
			r := startSession()
			change(&r)
			_, err := p.Start(t.Context(), r)
			checkError(t, err, verification.KindRefused, "FLOW_NOT_USABLE")
		})
	}
}

// checkError looks at an error and at all its causes: they may be logged.
func checkError(t *testing.T, err error, kind verification.Kind, reason string) *verification.Error {
	t.Helper()
	e, ok := errors.AsType[*verification.Error](err)
	if !ok || e.Kind != kind || e.Reason != reason || e.Message == "" || e.Unwrap() == nil {
		t.Fatalf("got %#v, want kind %s, reason %s, a message and a cause", err, kind, reason)
	}
	if strings.Contains(e.Error(), providerText) {
		t.Errorf("the public error repeats the provider: %v", e)
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		for _, text := range []string{demoKey, previousKey, sessionID, "Ada-Personal"} {
			if strings.Contains(cause.Error(), text) {
				t.Errorf("the chain repeats %q: %v", text, cause)
			}
		}
	}
	return e
}

func TestStartReadsTheAnswer(t *testing.T) {
	t.Parallel()
	const page = "https://onboard.example/p?verification_session_id=vs_1"
	fallback, inAnHour := now().Add(30*time.Minute), now().Add(time.Hour)
	for name, c := range map[string]struct {
		answer string
		page   string
		expire time.Time
	}{
		"the id in both places":         {`{"verification_url":"` + page + `","verification_session_id":"vs_1"}`, page, fallback},
		"the id in the URL alone":       {`{"message":"m","verification_url":"` + page + `"}`, page, fallback},
		"the id in a field that's null": {`{"verification_url":"` + page + `","verification_session_id":null}`, page, fallback},
		"the id in the field alone":     {`{"verification_url":"https://onboard.example/p","verification_session_id":"vs_1"}`, "https://onboard.example/p", fallback},
		"plain http on a loopback":      {`{"verification_url":"http://127.0.0.1:8080/?verification_session_id=vs_1"}`, "http://127.0.0.1:8080/?verification_session_id=vs_1", fallback},
		"an expiry":                     {`{"verification_url":"` + page + `","session_expiry_time":"2026-05-17T11:30:00Z"}`, page, inAnHour},
		"an expiry with microseconds":   {`{"verification_url":"` + page + `","session_expiry_time":"2026-05-17T11:30:00.000000+00:00"}`, page, inAnHour},
		"an expiry in another zone":     {`{"verification_url":"` + page + `","session_expiry_time":"2026-05-17T13:30:00+0200"}`, page, inAnHour},
		"an expiry without a zone":      {`{"verification_url":"` + page + `","session_expiry_time":"2026-05-17T11:30:00.000"}`, page, inAnHour},
		"an expiry that is over":        {`{"verification_url":"` + page + `","session_expiry_time":"2026-05-17T10:30:00Z"}`, page, fallback},
		"an expiry that is a word":      {`{"verification_url":"` + page + `","session_expiry_time":"soon"}`, page, fallback},
		"an expiry that is a number":    {`{"verification_url":"` + page + `","session_expiry_time":1779017400000}`, page, fallback},
		"an expiry that is null":        {`{"verification_url":"` + page + `","session_expiry_time":null}`, page, fallback},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := open(t, answering(t, http.StatusOK, c.answer)).Start(t.Context(), startSession())
			want := verification.Session{HostedURL: c.page, Refs: []string{"session:vs_1"}, ExpireTime: c.expire}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Start:\n got %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestStartRefusesAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"without a page":                   `{"verification_session_id":"vs_1"}`,
		"with a page that is null":         `{"verification_url":null,"verification_session_id":"vs_1"}`,
		"with a page that is a number":     `{"verification_url":1,"verification_session_id":"vs_1"}`,
		"with a relative page":             `{"verification_url":"/verify","verification_session_id":"vs_1"}`,
		"with a page without a host":       `{"verification_url":"https:///verify","verification_session_id":"vs_1"}`,
		"with a script for a page":         `{"verification_url":"javascript:alert(1)","verification_session_id":"vs_1"}`,
		"with a user in the page":          `{"verification_url":"https://a:b@c.example/","verification_session_id":"vs_1"}`,
		"with plain http elsewhere":        `{"verification_url":"http://verify.example/","verification_session_id":"vs_1"}`,
		"without an id":                    `{"verification_url":"https://verify.example/"}`,
		"with an empty id in the URL":      `{"verification_url":"https://verify.example/?verification_session_id="}`,
		"with an empty id in the field":    `{"verification_url":"https://verify.example/?verification_session_id=vs_1","verification_session_id":""}`,
		"with an id that is a number":      `{"verification_url":"https://verify.example/?verification_session_id=1","verification_session_id":1}`,
		"with two ids":                     `{"verification_url":"https://verify.example/?verification_session_id=vs_2","verification_session_id":"vs_1"}`,
		"with two ids in the URL":          `{"verification_url":"https://verify.example/?verification_session_id=vs_1&verification_session_id=vs_2"}`,
		"with ids in other letter case":    `{"verification_url":"https://verify.example/?verification_session_id=VS_1","verification_session_id":"vs_1"}`,
		"with a query that is broken":      `{"verification_url":"https://verify.example/?a=%zz","verification_session_id":"vs_1"}`,
		"with an id of dots":               `{"verification_url":"https://verify.example/","verification_session_id":".."}`,
		"with an id that is unprintable":   `{"verification_url":"https://verify.example/?verification_session_id=a%00"}`,
		"with keys in other letter case":   `{"Verification_Url":"https://verify.example/","Verification_Session_Id":"vs_1"}`,
		"with a key twice":                 `{"verification_url":"https://verify.example/","verification_session_id":"vs_1","verification_session_id":"vs_1"}`,
		"with something behind":            goodAnswer + "{}",
		"beyond 1 MiB":                     goodAnswer + strings.Repeat(" ", 1<<20),
		"that only have a message":         `{"message":"` + providerText + `"}`,
		"that are HTML from some gateway":  "<html>" + providerText + "</html>",
		"that are one byte of an encoding": "\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, answering(t, http.StatusOK, answer)).Start(t.Context(), startSession())
			checkError(t, err, verification.KindUnavailable, "PROVIDER_UNAVAILABLE")
		})
	}
	t.Run("with plain http on a loopback from an account that is https", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"verification_url":"http://127.0.0.1/?verification_session_id=vs_1"}`)
		}))
		t.Cleanup(server.Close)
		s, d := good(), deps()
		s.BaseURL, d.HTTP = server.URL, server.Client()
		p, err := s.Open(d)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Start(t.Context(), startSession())
		checkError(t, err, verification.KindUnavailable, "PROVIDER_UNAVAILABLE")
	})
	t.Run("but takes exactly 1 MiB", func(t *testing.T) {
		t.Parallel()
		text := goodAnswer + strings.Repeat(" ", 1<<20-len(goodAnswer))
		if _, err := open(t, answering(t, http.StatusOK, text)).Start(t.Context(), startSession()); err != nil {
			t.Errorf("Start: %v (%v)", err, errors.Unwrap(err))
		}
	})
}
