package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/sandbox"
)

const asClient = "Authorization: ClientKey " + clientKey

func statusPath(product, id string) string {
	return "/api/mobile/v1/" + product + "/status/" + id
}

func TestMobileStatus(t *testing.T) {
	t.Parallel()

	t.Run("of a session product names session and verification", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		for _, product := range []string{"verifyage", "verifyidentity", "verifycompliance"} {
			id, err := l.emulator.AddMobileSession(product, sandbox.Fail)
			if err != nil {
				t.Fatalf("AddMobileSession: %v", err)
			}
			want := fmt.Sprintf(`{"success":true,"session_id":%q,"verification_id":%q,"product":%q,"outcome":"FAIL",`+
				`"next_step":null,"data":{},"meta":{"environment":"test","step":"completed"}}`,
				id, strings.Replace(id, "msess_", "ver_", 1), product)
			if a := l.call(http.MethodGet, statusPath(product, id), "", asClient); a.status != http.StatusOK || a.body != want {
				t.Errorf("got %d %s", a.status, a.body)
			}
		}
	})

	t.Run("of verifyhuman has no session", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		id, err := l.emulator.AddMobileSession("verifyhuman", sandbox.Pass)
		if err != nil {
			t.Fatalf("AddMobileSession: %v", err)
		}
		want := fmt.Sprintf(`{"success":true,"session_id":null,"verification_id":%q,"product":"verifyhuman",`+
			`"outcome":"PASS","next_step":null,"data":{},"meta":{"environment":"test","step":"completed"}}`, id)
		if a := l.call(http.MethodGet, statusPath("verifyhuman", id), "", "X-Client-Key: "+clientKey); a.body != want {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})

	t.Run("has no outcome until it is decided", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		id, err := l.emulator.AddMobileSession("verifyage", sandbox.Undecided)
		if err != nil {
			t.Fatalf("AddMobileSession: %v", err)
		}
		want := fmt.Sprintf(`{"success":true,"session_id":%q,"verification_id":null,"product":"verifyage","outcome":null,`+
			`"next_step":"upload_id_front","data":{},"meta":{"environment":"test","step":"pending"}}`, id)
		if a := l.call(http.MethodGet, statusPath("verifyage", id), "", asClient); a.body != want {
			t.Errorf("pending: %d %s", a.status, a.body)
		}
		decide := l.control(http.MethodPut, "/control/mobile-sessions/verifyage/"+id, `{"outcome":"pass"}`)
		if decide.status != http.StatusOK {
			t.Fatalf("decide: %d %s", decide.status, decide.body)
		}
		if a := l.call(http.MethodGet, statusPath("verifyage", id), "", asClient); !strings.Contains(a.body, `"outcome":"PASS"`) {
			t.Errorf("decided: %d %s", a.status, a.body)
		}
	})

	t.Run("of verifyhuman has an id and no outcome until it is decided", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		if err := l.emulator.SetMobileSession("verifyhuman", "ver_mine", sandbox.Undecided); err != nil {
			t.Fatalf("SetMobileSession: %v", err)
		}
		const want = `{"success":true,"session_id":null,"verification_id":"ver_mine","product":"verifyhuman",` +
			`"outcome":null,"next_step":null,"data":{},"meta":{"environment":"test","step":"pending"}}`
		if a := l.call(http.MethodGet, statusPath("verifyhuman", "ver_mine"), "", asClient); a.body != want {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})

	t.Run("shows finished hosted runs too, but no token", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(`{"product":"verifyage"}`)
		l.complete(token, "deny", "")
		id := take(t, l.receiver.hooks).field(t, "verification_id")
		session := strings.Replace(id, "ver_", "msess_", 1)
		if a := l.call(http.MethodGet, statusPath("verifyage", session), "", asClient); !strings.Contains(a.body, `"outcome":"FAIL"`) {
			t.Errorf("session: %d %s", a.status, a.body)
		}
		for _, path := range []string{
			statusPath("verifyage", id), statusPath("verifyage", token), statusPath("verifyidentity", session),
			statusPath("verifydog", session),
		} {
			if a := l.call(http.MethodGet, path, "", asClient); a.status != http.StatusNotFound {
				t.Errorf("%s: %d", path, a.status)
			}
		}
		l.complete(l.token(`{"product":"verifyhuman"}`), "pass", "")
		id = take(t, l.receiver.hooks).field(t, "verification_id")
		if a := l.call(http.MethodGet, statusPath("verifyhuman", id), "", asClient); !strings.Contains(a.body, `"outcome":"PASS"`) {
			t.Errorf("verifyhuman: %d %s", a.status, a.body)
		}
	})
}

func TestMobileStatusNeedsTheClientKey(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	id, err := l.emulator.AddMobileSession("verifyage", sandbox.Pass)
	if err != nil {
		t.Fatalf("AddMobileSession: %v", err)
	}
	path := statusPath("verifyage", id)
	for header, want := range map[string]int{
		asClient: http.StatusOK, "X-Client-Key: " + clientKey: http.StatusOK,
		"X-Nothing: 1": http.StatusUnauthorized, "X-Client-Key: wrong": http.StatusUnauthorized,
		bearer: http.StatusUnauthorized, "Authorization: Bearer " + clientKey: http.StatusUnauthorized,
	} {
		if a := l.call(http.MethodGet, path, "", header); a.status != want {
			t.Errorf("%s: %d, want %d", header, a.status, want)
		}
	}
	a := l.call(http.MethodGet, path+"?clientKey="+clientKey, "", asClient)
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, "clientKey: not accepted") {
		t.Errorf("query: %d %s", a.status, a.body)
	}
}

func TestMobileSessionsAreChecked(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	if _, err := l.emulator.AddMobileSession("verifydog", sandbox.Deny); err == nil ||
		!strings.Contains(err.Error(), "product: must be") || !strings.Contains(err.Error(), "outcome: must be") {
		t.Errorf("AddMobileSession: %v", err)
	}
	if err := l.emulator.SetMobileSession("verifyage", "ver_1", sandbox.Pass); err == nil ||
		!strings.Contains(err.Error(), "id: must begin") {
		t.Errorf("SetMobileSession: %v", err)
	}
	var made struct{ ID string }
	l.control(http.MethodPost, "/control/mobile-sessions", `{"product":"verifyage","outcome":"pass"}`).decode(t, &made)
	if a := l.call(http.MethodGet, statusPath("verifyage", made.ID), "", asClient); a.status != http.StatusOK {
		t.Errorf("made over HTTP: %d %s", a.status, a.body)
	}
	for body, want := range map[string]string{
		`{"product":"x"}`: "product: must be", `{"product":"verifyage","outcome":"deny"}`: "outcome: must be",
		`{"product":"verifyage","id":"1"}`: "id: unknown field", `[]`: "body: must be",
	} {
		a := l.control(http.MethodPost, "/control/mobile-sessions", body)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	for _, body := range []string{`{"outcome":"deny"}`, `{"x":1}`} {
		a := l.control(http.MethodPut, "/control/mobile-sessions/verifyage/"+made.ID, body)
		if a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}
