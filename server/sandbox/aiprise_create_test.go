package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestAiPriseCreate(t *testing.T) {
	t.Parallel()

	t.Run("answers exactly the four documented fields", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		a := l.control(http.MethodPost, createPath, l.request(`{
			"client_reference_data":{"flow":"kyc"},"user_data":{"first_name":"Ada","address":{"address_city":"Paris"}},
			"additional_info":[{"additional_info_type":"x","additional_info_data":"y"}],
			"theme_options":{},"ui_options":{"common":{}},"verification_options":{}}`))
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		var fields map[string]string
		a.decode(t, &fields)
		id := fields["verification_session_id"]
		if len(fields) != 4 || len(id) != 36 || fields["message"] == "" {
			t.Errorf("fields = %v", fields)
		}
		if want := l.url + "/verify?verification_session_id=" + id; fields["verification_url"] != want {
			t.Errorf("verification_url = %q", fields["verification_url"])
		}
		if fields["session_expiry_time"] != "2026-05-17T11:00:00Z" {
			t.Errorf("session_expiry_time = %q", fields["session_expiry_time"])
		}
	})

	t.Run("answers the two fields of the older guide where told so", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Faults.NoSessionField = true })
		var fields map[string]string
		l.control(http.MethodPost, createPath, l.request("")).decode(t, &fields)
		if len(fields) != 2 || !strings.Contains(fields["verification_url"], "?verification_session_id=") {
			t.Errorf("fields = %v", fields)
		}
	})

	t.Run("gives sessions the lifetime of the options", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.SessionLifetime = 24 * time.Hour })
		a := l.control(http.MethodPost, createPath, l.request(""))
		if !strings.Contains(a.body, `"session_expiry_time":"2026-05-18T10:30:00Z"`) {
			t.Errorf("got %s", a.body)
		}
	})

	t.Run("needs no more than redirect_uri and template_id, and ignores what it does not know", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		for _, body := range []string{
			`{"redirect_uri":"myapp://done","template_id":"` + template + `"}`,
			`{"redirect_uri":"http://127.0.0.1/done","template_id":"` + strings.ToUpper(template) + `","idempotency_key":[1]}`,
			`{"redirect_uri":"myapp://done","template_id":"` + template + `","callback_url":null,"events_callback_url":null,
				"client_reference_id":null,"client_reference_data":null,"user_data":null,"ui_options":null}`,
		} {
			if a := l.control(http.MethodPost, createPath, body); a.status != http.StatusOK {
				t.Errorf("%s: got %d %s", body, a.status, a.body)
			}
		}
	})

	t.Run("refuses any other key", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		for _, header := range []string{
			"X-Nothing: 1", "X-API-KEY: ", "X-API-KEY: " + aipriseKey + "x", "Authorization: Bearer " + aipriseKey,
		} {
			a := l.call(http.MethodPost, createPath, l.request(""), asJSON, header)
			if a.status != http.StatusUnauthorized || message(t, a) != "Invalid API key" {
				t.Errorf("%s: got %d %s", header, a.status, a.body)
			}
		}
	})
}

func TestAiPriseCreateRefusesBadRequests(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	for _, c := range []struct {
		name, fields string
		wants        []string
	}{
		{"neither of the required fields", `{"redirect_uri":null,"template_id":null}`, []string{
			"redirect_uri: is required", "template_id: is required",
		}},
		{"an empty redirect_uri", `{"redirect_uri":""}`, []string{"redirect_uri: is required"}},
		{"a redirect that runs", `{"redirect_uri":"javascript:x"}`, []string{"redirect_uri: has a scheme"}},
		{"a redirect over plain http", `{"redirect_uri":"http://a.example/"}`, []string{"redirect_uri: is plain http"}},
		{"a template that is no UUID", `{"template_id":"kyc"}`, []string{"template_id: must be a UUID"}},
		{"a template in another form", `{"template_id":"{` + template + `}"}`, []string{"template_id: must be a UUID"}},
		{"a template that is no string", `{"template_id":1}`, []string{"template_id: must be a string"}},
		{"a callback over plain http", `{"callback_url":"http://a.example/"}`, []string{"callback_url: is plain http"}},
		{"a callback to an app", `{"events_callback_url":"myapp://x"}`, []string{"events_callback_url: must be an https URL"}},
		{"a relative callback", `{"callback_url":"/hook"}`, []string{"callback_url: must be an absolute URL"}},
		{"a reference that is no string", `{"client_reference_id":7}`, []string{"client_reference_id: must be a string"}},
		{"reference data that are no object", `{"client_reference_data":"x"}`, []string{"client_reference_data: must be an object"}},
		{"user data that are no object", `{"user_data":[]}`, []string{"user_data: must be an object"}},
		{"a name that is no string", `{"user_data":{"first_name":1}}`, []string{"user_data.first_name: must be a string"}},
		{"additional info that is no list", `{"additional_info":{}}`, []string{"additional_info: must be a list"}},
		{"options that are no object", `{"ui_options":"x","theme_options":1,"verification_options":[]}`, []string{
			"ui_options: must be an object", "theme_options: must be an object", "verification_options: must be an object",
		}},
	} {
		t.Run("such as "+c.name, func(t *testing.T) {
			t.Parallel()
			own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}, callbacks: l.callbacks, events: l.events}
			a := own.control(http.MethodPost, createPath, own.request(c.fields))
			for _, want := range c.wants {
				if a.status != http.StatusBadRequest || !strings.Contains(message(t, a), want) {
					t.Errorf("got %d %s", a.status, a.body)
				}
			}
		})
	}

	t.Run("such as a body that is no object", func(t *testing.T) {
		t.Parallel()
		own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}}
		for _, body := range []string{`[]`, `null`, ``, `{`, `{}{}`} {
			a := own.control(http.MethodPost, createPath, body)
			if a.status != http.StatusBadRequest || message(t, a) != "body: must be one JSON object" {
				t.Errorf("%q: got %d %s", body, a.status, a.body)
			}
		}
		if a := own.call(http.MethodPost, createPath, `{}`, aipriseHeader); a.status != http.StatusBadRequest {
			t.Errorf("without a type: got %d %s", a.status, a.body)
		}
	})

	t.Run("such as a body that is too large, with the documented status", func(t *testing.T) {
		t.Parallel()
		own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}}
		a := own.control(http.MethodPost, createPath, `{"x":"`+strings.Repeat("x", 64<<10)+`"}`)
		if a.status != http.StatusRequestEntityTooLarge || !strings.Contains(message(t, a), "body: must be at most") {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

func TestAiPriseCreateFaults(t *testing.T) {
	t.Parallel()

	t.Run("fail with each documented status, 208 among them", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		for _, status := range []int{208, 400, 401, 403, 413, 429, 500, 503} {
			if err := l.emulator.SetFaults(sandbox.AiPriseFaults{CreateStatus: status}); err != nil {
				t.Fatalf("SetFaults: %v", err)
			}
			if a := l.control(http.MethodPost, createPath, l.request("")); a.status != status || message(t, a) == "" {
				t.Errorf("%d: got %d %s", status, a.status, a.body)
			}
		}
	})

	t.Run("hang until the caller gives up", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Faults.CreateHang = true })
		ctx, cancel := context.WithCancel(t.Context())
		request := httptest.NewRequestWithContext(ctx, http.MethodPost, createPath, strings.NewReader(l.request("")))
		request.Header.Set("X-API-KEY", aipriseKey)
		request.Header.Set("Content-Type", "application/json")
		answered := make(chan int, 1)
		go func() {
			recorder := httptest.NewRecorder()
			l.emulator.ServeHTTP(recorder, request)
			answered <- recorder.Code
		}()
		none(t, answered)
		cancel()
		if status := take(t, answered); status != http.StatusServiceUnavailable {
			t.Errorf("got %d", status)
		}
	})

	t.Run("hang until the emulator is closed", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Faults.CreateHang = true })
		answers := make(chan answer, 1)
		go func() { answers <- l.control(http.MethodPost, createPath, l.request("")) }()
		l.close()
		if a := take(t, answers); a.status != http.StatusServiceUnavailable {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}
