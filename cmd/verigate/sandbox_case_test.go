package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
)

// deliveryServer is an operator listener that knows deliveries only.
type deliveryServer struct {
	verigatev1connect.UnimplementedOperatorServiceHandler

	deliveries []*verigatev1.Delivery
	refusal    error
	asked      []*verigatev1.ListDeliveriesRequest
}

func (s *deliveryServer) ListDeliveries(_ context.Context, r *verigatev1.ListDeliveriesRequest) (*verigatev1.ListDeliveriesResponse, error) {
	s.asked = append(s.asked, r)
	return &verigatev1.ListDeliveriesResponse{Deliveries: s.deliveries}, s.refusal
}

// reviewed is a bench with AiPrise's real sandbox, an operator listener and one
// session.
type reviewed struct {
	*bench

	operator *deliveryServer
	session  string
	page     string
	// hooks get what the sandbox sends on the channel of events.
	hooks chan map[string]any
}

func withAiPrise(t *testing.T) *reviewed {
	t.Helper()
	r := &reviewed{bench: newBench(t), operator: &deliveryServer{}, hooks: make(chan map[string]any, 16)}
	emulator, err := sandbox.NewAiPrise(sandbox.AiPriseOptions{
		BaseURL: r.url + aipriseSandboxPath, APIKey: secret.New(aipriseSandboxKey), Now: testTime, WebhookDelay: -1,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := emulator.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	r.mux.Handle(aipriseSandboxPath+"/", http.StripPrefix(aipriseSandboxPath, emulator))
	r.mux.HandleFunc("POST /events", func(_ http.ResponseWriter, request *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(request.Body).Decode(&body); err != nil {
			t.Errorf("webhook: %v", err)
		}
		r.hooks <- body
	})
	r.mux.HandleFunc("GET /back", func(http.ResponseWriter, *http.Request) {})
	api := connect.NewServer()
	verigatev1connect.RegisterOperatorServiceHandler(api, r.operator)
	connecthttp.Mount(r.mux, api)
	r.open(t)
	return r
}

// open makes a session and lets get show its page.
func (r *reviewed) open(t *testing.T) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		r.url+aipriseSandboxPath+"/api/v1/verify/get_user_verification_url",
		strings.NewReader(`{"template_id":"`+aipriseTemplate+`","redirect_uri":"`+r.url+`/back","events_callback_url":"`+r.url+`/events"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Api-Key", aipriseSandboxKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var made struct {
		Session string `json:"verification_session_id"`
		Page    string `json:"verification_url"`
	}
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil || made.Session == "" || made.Page == "" {
		t.Fatalf("the sandbox answered %d: %v", response.StatusCode, err)
	}
	r.session, r.page = made.Session, made.Page
	r.shows(r.page)
}

// submit sees the person through the page.
func (r *reviewed) submit(t *testing.T) {
	t.Helper()
	r.want(exitPass, r.run("sandbox", "complete", testID, "--outcome", "review"), "answered REVIEW", "")
	r.out.Reset()
}

// isOver lets get show a verification that was decided.
func (r *reviewed) isOver() {
	r.service.get = func(*verigatev1.GetVerificationRequest) (*verigatev1.Verification, error) {
		v := pendingVerification()
		v.State, v.Result = stateApproved, verigatev1.VerificationResult_VERIFICATION_RESULT_PASS
		return v, nil
	}
}

// decision waits for the webhook of a case.
func (r *reviewed) decision(t *testing.T) map[string]any {
	t.Helper()
	for {
		select {
		case hook := <-r.hooks:
			if hook["event_type"] == "CASE_STATUS_UPDATE" {
				return hook
			}
		case <-time.After(patience):
			t.Fatal("no webhook tells of the case")
		}
	}
}

func TestSandboxCaseDecidesAsAReviewer(t *testing.T) {
	t.Parallel()

	t.Run("of the session in the hosted page while it is open", func(t *testing.T) {
		t.Parallel()
		r := withAiPrise(t)
		r.submit(t)
		r.want(exitPass, r.run("sandbox", "case", testID, "--result", "declined", "--reason", "FAKE_ID"),
			"A reviewer decided declined", "")
		r.want(exitPass, exitPass, "verigate timeline "+testID+"\n", "")
		hook, err := json.Marshal(r.decision(t))
		for _, part := range []string{r.session, "DECLINED", "FAKE_ID"} {
			if err != nil || !strings.Contains(string(hook), part) {
				t.Errorf("the webhook lacks %s: %s (%v)", part, hook, err)
			}
		}
		if len(r.operator.asked) != 0 {
			t.Error("deliveries were looked at, though the page names the session")
		}
	})

	t.Run("of the session that deliveries name when it is over", func(t *testing.T) {
		t.Parallel()
		r := withAiPrise(t)
		r.submit(t)
		r.isOver()
		r.operator.deliveries = []*verigatev1.Delivery{{ProviderRefs: []string{"callback:1"}}, {ProviderRefs: []string{"session:" + r.session}}}
		r.want(exitPass, r.run("sandbox", "case", testID, "--result", "approved", "--json"),
			`{"verificationId":"`+testID+`","session":"`+r.session+`","result":"approved","sent":true}`+"\n", "")
		r.decision(t)
		if len(r.operator.asked) != 1 || r.operator.asked[0].GetVerificationId() != testID || r.operator.asked[0].GetConnection() != aipriseConnection {
			t.Errorf("it looked at %v", r.operator.asked)
		}
	})
}

func TestSandboxCaseSaysWhyNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(r *reviewed)
		args    []string
		code    int
		told    string
	}{
		{"when the person is not done", func(*reviewed) {}, nil, exitRefused, "409: This verification session was not submitted yet"},
		{"when the page is VerifyHuman's", func(r *reviewed) { r.shows(r.url + "/sandbox/verifyhuman/hosted/v/tok") }, nil, exitRefused, "none of AiPrise's"},
		{"when the page is a real provider's", func(r *reviewed) { r.shows("https://verify.aiprise.com/verify?verification_session_id=1") }, nil, exitRefused, "not a sandbox page"},
		{"when nothing names the session", (*reviewed).isOver, nil, exitRefused, "no delivery of it names a session"},
		{"when the sandbox does not know the session", func(r *reviewed) {
			r.isOver()
			r.operator.deliveries = []*verigatev1.Delivery{{ProviderRefs: []string{"session:../of-another-run"}}}
		}, nil, exitNotFound, "404"},
		{"when the key may not operate", func(r *reviewed) {
			r.isOver()
			r.operator.refusal = connect.NewError(connect.CodeUnauthenticated, "this credential is no good")
		}, nil, exitUnauthenticated, "needs a key of the scope operator"},
		{"when the reason has no place", func(*reviewed) {}, []string{"--reason", "FAKE_ID"}, exitUsage, "belongs to DECLINED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := withAiPrise(t)
			c.prepare(r)
			args := append([]string{"sandbox", "case", testID, "--result", "approved"}, c.args...)
			r.want(c.code, r.run(args...), "", c.told)
			if r.out.Len() != 0 {
				t.Errorf("it printed %s", r.out.String())
			}
		})
	}
}
