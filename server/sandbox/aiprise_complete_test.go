package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAiPriseTriggersDecide(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	for _, c := range []struct{ name, user, entered, want string }{
		{"nobody in particular", `{}`, ``, "APPROVED"},
		{"no data at all", `null`, ``, "APPROVED"},
		{"John", `{"first_name":"John"}`, ``, "DECLINED"},
		{"Doe", `{"last_name":"Doe"}`, ``, "DECLINED"},
		{"the first day of 1900", `{"date_of_birth":"1900-01-01"}`, ``, "DECLINED"},
		{"a phone of nines", `{"phone_number":"+19999999999"}`, ``, "DECLINED"},
		{"address 0.0.0.0", `{"ip_address":"0.0.0.0"}`, ``, "DECLINED"},
		{"Jane", `{"first_name":"Jane"}`, ``, "REVIEW"},
		{"Johnson", `{"last_name":"Johnson"}`, ``, "REVIEW"},
		{"the first day of 1901", `{"date_of_birth":"1901-01-01"}`, ``, "REVIEW"},
		{"a phone of eights", `{"phone_number":"+18888888888"}`, ``, "REVIEW"},
		{"address 1.1.1.1", `{"ip_address":"1.1.1.1"}`, ``, "REVIEW"},
		{"Jane Doe, where declined comes first", `{"first_name":"Jane","last_name":"Doe"}`, ``, "DECLINED"},
		{"John Johnson, where declined comes first", `{"first_name":"John","last_name":"Johnson"}`, ``, "DECLINED"},
		{"somebody almost called so", `{"first_name":"Johnny","last_name":"Do"}`, ``, "APPROVED"},
		{"John in the last name", `{"last_name":"John"}`, ``, "APPROVED"},
		{"John as entered on the page", `{"first_name":"Ada"}`, `,"first_name":" John "`, "DECLINED"},
		{"Doe as entered on the page", `{}`, `,"last_name":"Doe"`, "DECLINED"},
		{"1901 as entered on the page", `{}`, `,"date_of_birth":"1901-01-01"`, "REVIEW"},
		{"John who entered another name", `{"first_name":"John"}`, `,"first_name":"Ada"`, "APPROVED"},
		{"a phone that the page does not ask for", `{"ip_address":"0.0.0.0"}`, `,"first_name":"Ada"`, "DECLINED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}, callbacks: l.callbacks, events: l.events}
			id := own.session(`{"user_data":` + c.user + `}`)
			a := own.submit(id, c.entered)
			var done struct{ Status string }
			a.decode(t, &done)
			if a.status != http.StatusOK || done.Status != c.want {
				t.Errorf("got %d %s, want %s", a.status, a.body, c.want)
			}
			own.wantPoll(id, "COMPLETED", c.want)
		})
	}
}

func TestAiPriseOutcomesDecide(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	for outcome, want := range map[string]string{"pass": "APPROVED", "fail": "DECLINED", "review": "REVIEW"} {
		id := l.session(`{"user_data":{"first_name":"John","last_name":"Johnson"}}`)
		l.submit(id, `,"outcome":"`+outcome+`","first_name":"Jane"`)
		h := take(t, l.callbacks.hooks)
		if got := h.field(t, "aiprise_summary", "verification_result"); got != want || h.field(t, "status") != "COMPLETED" {
			t.Errorf("%s: %s", outcome, h.body)
		}
		reasons := strings.Contains(h.body, `"status_reasons": [{"code": "SANDBOX_DECLINED", "message": `)
		if reasons != (want == "DECLINED") {
			t.Errorf("%s: reasons in %s", outcome, h.body)
		}
	}
}

func TestAiPriseRedirects(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	for redirect, join := range map[string]string{
		"https://gateway.example/return/n":         "?",
		"https://gateway.example/return?b=2&a=%20": "&",
		"myapp://done": "?",
		"myapp:done":   "?",
	} {
		id := l.session(fmt.Sprintf(`{"redirect_uri":%q}`, redirect))
		want := redirect + join + "verification_session_id=" + id
		var done struct {
			RedirectURL string `json:"redirect_url"`
		}
		l.submit(id, `,"outcome":"fail"`).decode(t, &done)
		if done.RedirectURL != want {
			t.Errorf("script: %q, want %q", done.RedirectURL, want)
		}
	}

	t.Run("with the query before the fragment", func(t *testing.T) {
		t.Parallel()
		own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}, callbacks: l.callbacks, events: l.events}
		id := own.session(`{"redirect_uri":"https://gateway.example/#/done"}`)
		if a := own.submit(id, ""); !strings.Contains(a.body,
			`"redirect_url":"https://gateway.example/?verification_session_id=`+id+`#/done"`) {
			t.Errorf("got %s", a.body)
		}
	})

	t.Run("a browser after its form", func(t *testing.T) {
		t.Parallel()
		own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}, callbacks: l.callbacks, events: l.events}
		id := own.session("")
		a := own.call(http.MethodPost, completePath, "first_name=John&last_name=&verification_session_id="+id, asForm)
		if a.status != http.StatusSeeOther ||
			a.header.Get("Location") != "https://gateway.example/return/nonce?leg=1&verification_session_id="+id {
			t.Errorf("got %d %v", a.status, a.header)
		}
		own.wantPoll(id, "COMPLETED", "DECLINED")
	})
}

func TestAiPriseAbandonSendsNothing(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	id := l.session("")
	if a := l.submit(id, `,"outcome":"abandon"`); a.status != http.StatusOK || a.body != `{"status":"ABANDONED"}` {
		t.Errorf("script: got %d %s", a.status, a.body)
	}
	a := l.call(http.MethodPost, completePath, "outcome=abandon&verification_session_id="+id, asForm)
	if a.status != http.StatusOK || !strings.Contains(a.body, "You can open this page again.") {
		t.Errorf("form: got %d %s", a.status, a.body)
	}
	l.wantPoll(id, "NOT_STARTED", "UNKNOWN")
	if a := l.submit(id, `,"outcome":"pass"`); a.status != http.StatusOK {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
	for range 3 {
		if d := take(t, l.attempts); d.VerificationID != id {
			t.Errorf("delivery = %+v", d)
		}
	}
	l.close()
	none(t, l.attempts)
}

func TestAiPriseSubmitsOnce(t *testing.T) {
	t.Parallel()

	t.Run("so a second submission conflicts", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.pass(`{}`)
		for _, outcome := range []string{"pass", "fail", "abandon"} {
			if a := l.submit(id, `,"outcome":"`+outcome+`"`); a.status != http.StatusConflict || message(t, a) == "" {
				t.Errorf("%s: got %d %s", outcome, a.status, a.body)
			}
		}
		a := l.call(http.MethodPost, completePath, "outcome=fail&verification_session_id="+id, asForm)
		if a.status != http.StatusConflict || !strings.Contains(a.body, "<h1>") {
			t.Errorf("form: got %d %s", a.status, a.body)
		}
		l.wantPoll(id, "COMPLETED", "APPROVED")
	})

	t.Run("however many try at once", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.session("")
		statuses := make(chan int, 16)
		var tries sync.WaitGroup
		for range cap(statuses) {
			tries.Go(func() { statuses <- l.submit(id, `,"outcome":"pass"`).status })
		}
		tries.Wait()
		close(statuses)
		won := 0
		for status := range statuses {
			if status == http.StatusOK {
				won++
			}
		}
		if won != 1 {
			t.Errorf("%d submissions went through", won)
		}
		for range 3 {
			take(t, l.attempts)
		}
		l.close()
		none(t, l.attempts)
	})
}

func TestAiPriseManyAtOnce(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	const people = 24
	var runs sync.WaitGroup
	for i := range people {
		runs.Go(func() {
			id := l.session(fmt.Sprintf(`{"client_reference_id":"ref-%d"}`, i))
			l.call(http.MethodGet, "/verify?verification_session_id="+id, "")
			l.submit(id, `,"outcome":"pass"`)
			l.control(http.MethodPost, "/control/sessions/"+id+"/case", `{"verification_result":"DECLINED"}`)
			l.wantPoll(id, "COMPLETED", "DECLINED")
		})
	}
	runs.Wait()
	seen := map[string]int{}
	for range people {
		seen[take(t, l.callbacks.hooks).field(t, "client_reference_id")]++
	}
	for i := range people {
		if seen[fmt.Sprintf("ref-%d", i)] != 1 {
			t.Errorf("callbacks of %d: %d", i, seen[fmt.Sprintf("ref-%d", i)])
		}
	}
	kinds := map[string]int{}
	for range people * 4 {
		kinds[take(t, l.events.hooks).field(t, "event_type")]++
	}
	for _, kind := range []string{
		"VERIFICATION_SESSION_STARTED", "VERIFICATION_REQUEST_SUBMITTED", "VERIFICATION_SESSION_COMPLETION",
		"CASE_STATUS_UPDATE",
	} {
		if kinds[kind] != people {
			t.Errorf("%s: %d", kind, kinds[kind])
		}
	}
}

func TestAiPriseCompleteRefuses(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	expired := l.session("")
	l.clock.add(30 * time.Minute)
	fresh := l.session("")
	for _, c := range []struct {
		name, id, more, want string
		status               int
	}{
		{"an unknown session", "nonsense", `,"outcome":"pass"`, "Unknown verification session", http.StatusNotFound},
		{"an expired session", expired, `,"outcome":"pass"`, "expired", http.StatusGone},
		{"an unknown outcome", fresh, `,"outcome":"maybe"`, "outcome: must be pass, fail, review or abandon", 400},
		{"VerifyHuman's outcome", fresh, `,"outcome":"deny"`, "outcome: must be", 400},
		{"the outcome of mobile sessions", fresh, `,"outcome":"none"`, "outcome: must be", 400},
		{"an outcome that is no string", fresh, `,"outcome":true`, "outcome: must be a string", 400},
		{"a name that is no string", fresh, `,"first_name":1`, "first_name: must be a string", 400},
		{"an unknown field", fresh, `,"x":1`, "x: unknown field", 400},
		{"faults that are no object", fresh, `,"faults":3`, "faults: must be one JSON object", 400},
		{"an unknown fault", fresh, `,"faults":{"shape":"flat"}`, "faults.shape: unknown field", 400},
		{"a fault of the whole sandbox", fresh, `,"faults":{"create_hang":true}`, "faults.create_hang: belongs to", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}}
			if a := own.submit(c.id, c.more); a.status != c.status || !strings.Contains(message(t, a), c.want) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}

	t.Run("a body of another type", func(t *testing.T) {
		t.Parallel()
		own := &aiLab{lab: &lab{t: t, url: l.url, client: newClient(t)}}
		if a := own.call(http.MethodPost, completePath, `{}`, "Content-Type: text/plain"); a.status != http.StatusBadRequest {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})

	t.Run("and uses nothing up", func(t *testing.T) {
		t.Parallel()
		own := openAiPrise(t, nil)
		id := own.session("")
		own.submit(id, `,"outcome":"maybe"`)
		own.submit(id, `,"outcome":"pass","faults":{"x":1}`)
		if a := own.submit(id, `,"outcome":"pass"`); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}
