package fault

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestControlRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := newBench(t, kindsOfLine()[0])
	for name, c := range map[string]struct{ method, path, body, want string }{
		"an unknown fault":             {"PUT", "/faults", `[{"fault":"explode"}]`, `explode`},
		"an unknown field":             {"PUT", "/faults", `[{"fault":"cut","when":1}]`, `when`},
		"no list":                      {"PUT", "/faults", `{"fault":"cut"}`, `body`},
		"two values":                   {"PUT", "/faults", `[] []`, `body`},
		"the second rule":              {"PUT", "/faults", `[{"fault":"cut"},{"fault":""}]`, `rule 1: fault`},
		"after below 0":                {"PUT", "/faults", `[{"fault":"cut","after":-1}]`, `after`},
		"after of a refusal":           {"PUT", "/faults", `[{"fault":"refuse","after":1}]`, `after`},
		"times below 0":                {"PUT", "/faults", `[{"fault":"cut","times":-1}]`, `times`},
		"a status without one":         {"PUT", "/faults", `[{"fault":"status"}]`, `status`},
		"a status of a cut":            {"PUT", "/faults", `[{"fault":"cut","status":503}]`, `status`},
		"an error without a code":      {"PUT", "/faults", `[{"fault":"error"}]`, `code`},
		"an unknown code":              {"PUT", "/faults", `[{"fault":"error","code":"NOT_FOUND"}]`, `NOT_FOUND`},
		"a message of a cut":           {"PUT", "/faults", `[{"fault":"cut","message":"x"}]`, `message`},
		"a pause that is no number":    {"PUT", "/faults", `[{"fault":"status","status":503,"retry_after":"soon"}]`, `retry_after`},
		"a pause of a cut":             {"PUT", "/faults", `[{"fault":"cut","retry_after":"1"}]`, `retry_after`},
		"a fault that cannot come now": {"POST", "/now", `{"fault":"refuse"}`, `refuse`},
		"an unknown field of now":      {"POST", "/now", `{"fault":"cut","after":1}`, `after`},
		"an unknown condition":         {"GET", "/calls?ended=1", ``, `ended`},
		"a condition that is no count": {"GET", "/calls?begun=many", ``, `begun`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, text := b.control(c.method, c.path, c.body)
			if status != http.StatusBadRequest || !strings.Contains(text, c.want) {
				t.Errorf("%d %s, want 400 and %q", status, text, c.want)
			}
		})
	}
}

func TestControlOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t, kindsOfLine()[1])
	if status, text := b.control("PUT", "/faults", `[{"procedure":"Watch","fault":"stall","after":2,"times":1}]`); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, text)
	}
	asked := make(chan Calls, 1)
	go func() { asked <- b.calls("?procedure=Watch&begun=1&open=1&messages=2") }()
	answer := b.later(watchPath, connectStream, "Stub", "wait")
	select {
	case calls := <-asked:
		if calls.Open != 1 || calls.Calls[0].Messages != 2 || calls.Calls[0].EndedMS != nil || calls.Calls[0].HTTP != "HTTP/2.0" {
			t.Errorf("got %+v", calls)
		}
	case <-time.After(patience):
		t.Fatal("no answer")
	}
	if status, text := b.control("POST", "/now", `{"procedure":"Watch","fault":"end"}`); status != http.StatusOK || strings.TrimSpace(text) != `{"hit":1}` {
		t.Errorf("%d %s", status, text)
	}
	b.want(b.await(answer), 2, "{}")
	b.calls("?open=0")
	if status, text := b.control("DELETE", "/calls", ""); status != http.StatusNoContent {
		t.Errorf("%d %s", status, text)
	}
	if calls := b.calls(""); calls.Begun != 0 || calls.Calls == nil {
		t.Errorf("got %+v", calls)
	}
}

// calls asks for the calls and wants an answer.
func (b *bench) calls(query string) Calls {
	b.Helper()
	status, text := b.control("GET", "/calls"+query, "")
	var calls Calls
	if err := json.Unmarshal([]byte(text), &calls); err != nil || status != http.StatusOK {
		b.Errorf("%d %s: %v", status, text, err)
	}
	return calls
}

func TestControlWaitsNoLongerThanItSays(t *testing.T) {
	t.Parallel()
	b := newBench(t, kindsOfLine()[0])
	b.proxy.waitLimit = 50 * time.Millisecond
	b.post(getPath, unaryProto)
	for _, query := range []string{"?begun=2", "?open=1", "?messages=2", "?procedure=Watch&begun=1"} {
		if status, text := b.control("GET", "/calls"+query, ""); status != http.StatusRequestTimeout {
			t.Errorf("%s: %d %s", query, status, text)
		}
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]Config{
		"upstream: must be an address":  {Upstream: "127.0.0.1:80"},
		"upstream: must be on loopback": {Upstream: "http://192.0.2.1:80"},
		"listen: must be a port":        {Upstream: "http://127.0.0.1:80", Listen: "0.0.0.0:0"},
	} {
		if p, err := Start(t.Context(), config); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, %v", config, p, err)
		}
	}
}

// control calls the control API and returns status and body.
func (b *bench) control(method, path, body string) (int, string) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), method, b.proxy.ControlURL()+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	client := b.newClient(kindsOfLine()[0])
	answer, err := client.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		b.Fatal(err)
	}
	return answer.StatusCode, text.String()
}
