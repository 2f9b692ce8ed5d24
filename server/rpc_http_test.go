package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const service = "/verigate.v1.VerificationService/"

func TestReadingWorksByHTTPGet(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	v := g.start(g.api(g.key)).GetVerification()
	for _, w := range []wire{
		{options: []connecthttp.Option{connecthttp.WithHTTPGet()}},
		{options: []connecthttp.Option{connecthttp.WithHTTPGet(), connecthttp.WithProtoJSON()}, http2: true},
	} {
		api := g.apiOver(w, g.key)
		if got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: v.GetId()}); err != nil || got.GetVerification().GetId() != v.GetId() {
			t.Errorf("GetVerification: %v, %v", got, err)
		}
		if list, err := api.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{}); err != nil || len(list.GetVerifications()) != 1 {
			t.Errorf("ListVerifications: %v, %v", list, err)
		}
	}
	message := url.QueryEscape(fmt.Sprintf(`{"id":%q}`, v.GetId()))
	a := g.call(http.MethodGet, service+"GetVerification?connect=v1&encoding=json&message="+message, "", "Authorization: Bearer "+g.key)
	if a.status != http.StatusOK || !strings.Contains(a.body, v.GetId()) {
		t.Errorf("a plain GET: %d %s", a.status, a.body)
	}
	if cache := a.header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
		t.Errorf("Cache-Control is %q", cache)
	}
}

func TestChangingDoesNotWorkByHTTPGet(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	message := url.QueryEscape(fmt.Sprintf(`{"id":%q}`, id))
	for _, method := range []string{"CancelVerification", "StartVerification", "WatchStatus"} {
		a := g.call(http.MethodGet, service+method+"?connect=v1&encoding=json&message="+message, "", "Authorization: Bearer "+g.key)
		if a.status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d %s", method, a.status, a.body)
		}
	}
	got, err := g.api(g.key).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil || got.GetVerification().GetState() != pending {
		t.Errorf("got %v, %v; want it pending", got, err)
	}
}

func TestPlainJSONWithCurlWorks(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	a := g.call(http.MethodPost, service+"StartVerification", `{"flow":"identity","subject":"u1"}`,
		"Content-Type: application/json", "Authorization: Bearer "+g.key)
	if a.status != http.StatusOK || !strings.Contains(a.body, `"hostedUrl"`) || !strings.Contains(a.body, "VERIFICATION_STATE_PENDING") {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no"} {
		if a.header.Get(header) != want {
			t.Errorf("%s is %q", header, a.header.Get(header))
		}
	}
}

func TestWhatIsNotACallIsRefusedAsWhatItIs(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	authorized := "Authorization: Bearer " + g.key
	for name, c := range map[string]struct {
		path, body, contentType string
		status                  int
		contains                string
	}{
		"a form":            {"StartVerification", "flow=identity", "application/x-www-form-urlencoded", http.StatusUnsupportedMediaType, ""},
		"no type":           {"StartVerification", "{}", "", http.StatusUnsupportedMediaType, ""},
		"an unknown method": {"DeleteVerification", "{}", "application/json", http.StatusNotImplemented, "unimplemented"},
		"broken JSON":       {"StartVerification", `{"flow":`, "application/json", http.StatusBadRequest, "invalid_argument"},
		"an unknown field":  {"StartVerification", `{"flow":"identity","subject":"s","x":1}`, "application/json", http.StatusOK, "hostedUrl"},
		"broken protobuf":   {"StartVerification", "\xff\xff\xff", "application/proto", http.StatusBadRequest, "invalid_argument"},
		"too large a message": {
			"StartVerification", `{"flow":"` + long(64<<10) + `"}`, "application/json", http.StatusTooManyRequests, "resource_exhausted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := []string{authorized}
			if c.contentType != "" {
				lines = append(lines, "Content-Type: "+c.contentType)
			}
			a := g.in(t).call(http.MethodPost, service+c.path, c.body, lines...)
			if a.status != c.status || !strings.Contains(a.body, c.contains) {
				t.Errorf("answered %d %s, want %d with %q", a.status, a.body, c.status, c.contains)
			}
		})
	}
}

func TestAnOversizedMessageIsRefusedOverEveryWire(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	for _, w := range wires() {
		for _, r := range []*verigatev1.WatchStatusRequest{{Id: long(65 << 10)}} {
			wantCode(t, send(t.Context(), g.apiOver(w, g.key), r), connect.CodeResourceExhausted)
		}
	}
}

func TestABombIsRefused(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	w := wire{options: []connecthttp.Option{connecthttp.WithSendGzip()}}
	err := send(t.Context(), g.apiOver(w, g.key), begin(func(r *verigatev1.StartVerificationRequest) { r.PageTitle = long(8 << 20) }))
	wantCode(t, err, connect.CodeResourceExhausted)
}

func TestNothingIsDecodedForACallerWithoutACredential(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	a := g.call(http.MethodPost, service+"StartVerification", `{"flow":`, "Content-Type: application/json")
	if a.status != http.StatusUnauthorized || !strings.Contains(a.body, "unauthenticated") {
		t.Errorf("answered %d %s, want it unauthenticated before anything is read", a.status, a.body)
	}
}
