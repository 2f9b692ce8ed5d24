package rpc_test

import (
	"slices"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

func TestAnEndUsersStartIsForTheSubjectOfItsToken(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	started, err := g.as(t, "user:bob").StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: "identity"})
	if err != nil {
		t.Fatal(err)
	}
	if v := g.row.now(); v.Subject != "bob" || v.ID.String() != started.GetVerification().GetId() {
		t.Errorf("stored for %q", v.Subject)
	}
	if started.GetVerification().GetSubject() != "bob" || started.GetHostedUrl() == "" || started.GetClientToken() == "" {
		t.Errorf("answered %v", started)
	}
	got, err := g.as(t, started.GetClientToken()).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: g.row.now().ID.String()})
	if err != nil || got.GetVerification().GetSubject() != "bob" {
		t.Errorf("its client token sees %v, %v", got, err)
	}
}

func TestAnEndUserNamesNoSubjectNotEvenItsOwn(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	before := g.row.now().ID
	for _, subject := range []string{"bob", "alice", " "} {
		_, err := g.as(t, "user:bob").StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: "identity", Subject: subject})
		wantField(t, "the subject "+subject, err, "subject")
	}
	if g.row.now().ID != before {
		t.Error("something was started")
	}
}

func TestAnEndUserSaysNothingThatIsTheBackends(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	for field, r := range map[string]*verigatev1.StartVerificationRequest{
		"reference":           {Flow: "identity", Reference: "order-1"},
		"metadata":            {Flow: "identity", Metadata: map[string]string{"a": "b"}},
		"callback_url":        {Flow: "identity", CallbackUrl: "https://elsewhere.example.com/"},
		"events_callback_url": {Flow: "identity", EventsCallbackUrl: "https://elsewhere.example.com/"},
		"expires_in":          {Flow: "identity", ExpiresIn: &durationpb.Duration{Seconds: 7200}},
	} {
		_, err := g.as(t, "user:bob").StartVerification(t.Context(), r)
		wantField(t, field, err, field)
	}
}

func TestEachCallerSeesOfAVerificationWhatIsForIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		credential     func(t *testing.T, g *gateway) string
		page, metadata bool
	}{
		"an API key": {func(t *testing.T, g *gateway) string {
			t.Helper()
			_, text := g.key(t, access.VerificationsRead)
			return text
		}, true, true},
		"its end user":     {func(*testing.T, *gateway) string { return "user:alice" }, true, false},
		"its client token": {func(t *testing.T, g *gateway) string { t.Helper(); return g.token(t) }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, slowTiming())
			client := g.as(t, c.credential(t, g))
			for _, terminal := range []bool{false, true} {
				if terminal {
					g.move(verification.Approved)
				}
				got, err := client.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: g.id()})
				if err != nil {
					t.Fatal(err)
				}
				v := got.GetVerification()
				if page := v.GetHostedUrl() != ""; page != (c.page && !terminal) {
					t.Errorf("terminal %t: it is shown the page %q", terminal, v.GetHostedUrl())
				}
				if metadata := len(v.GetMetadata()) > 0; metadata != c.metadata {
					t.Errorf("terminal %t: it is shown the metadata %v", terminal, v.GetMetadata())
				}
				if v.GetSubject() != "alice" || v.GetReference() != "order-1" || v.GetEnvironment() != "test" {
					t.Errorf("it is shown %v", v)
				}
			}
		})
	}
}

func TestWhatIsSomebodyElsesIsNotFoundByIDOrReference(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	stranger := g.row.now()
	stranger.ID[15] ^= 1
	strangersToken, err := testTokens().Issue(&stranger)
	if err != nil {
		t.Fatal(err)
	}
	requests := map[string]*verigatev1.GetVerificationRequest{
		"by id": {Id: g.id()}, "by reference": {Reference: "order-1"},
		"waiting": {Id: g.id(), AfterVersion: 1, Wait: durationpb.New(patience)},
	}
	for name, credential := range map[string]string{"another end user": "user:bob", "the token of another verification": strangersToken} {
		client := g.as(t, credential)
		for how, r := range requests {
			_, err := client.GetVerification(t.Context(), r)
			wantCode(t, name+" "+how, err, connect.CodeNotFound, verification.ErrNotFound.Error())
		}
		stream, err := client.WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: g.id()})
		if err == nil {
			_, err = stream.Receive()
			_ = stream.Close()
		}
		wantCode(t, name+" watching", err, connect.CodeNotFound, verification.ErrNotFound.Error())
	}
	for name, credential := range map[string]string{"its end user": "user:alice", "its token": g.token(t)} {
		for _, how := range []string{"by id", "by reference"} {
			if got, err := g.as(t, credential).GetVerification(t.Context(), requests[how]); err != nil || got.GetVerification().GetId() != g.id() {
				t.Errorf("%s %s: %v, %v", name, how, got, err)
			}
		}
	}
	eventually(t, "no watcher is left", func() bool { return g.hub.Count() == 0 })
}

// References are not unique: the newest of somebody else must not hide one's own.
func TestAReferenceIsLookedUpAmongAnEndUsersOwn(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	_, key := g.key(t, access.VerificationsRead)
	for _, credential := range []string{"user:alice", "user:bob", key} {
		_, err := g.as(t, credential).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Reference: "order-1"})
		if (err != nil) != (credential == "user:bob") {
			t.Errorf("%s: %v", credential[:8], err)
		}
	}
	if want := []string{"alice", "bob", ""}; !slices.Equal(g.row.referred, want) {
		t.Errorf("looked among the verifications of %q, want %q", g.row.referred, want)
	}
}

// wantFull fails unless err says that there are too many watchers.
func wantFull(t *testing.T, what string, err error) {
	t.Helper()
	wantCode(t, what, err, connect.CodeResourceExhausted, "this node, this verification or this credential has as many watchers as it may; retry")
}

func TestATokenAndAnEndUserHaveAFewWatchersAndAKeyHasMore(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	const most = 2
	g.service.MaxPerToken = most
	_, key := g.key(t, access.VerificationsRead)
	for name, credential := range map[string]string{"a client token": g.token(t), "an end user": "user:alice"} {
		first := g.watching(t, credential)
		g.watching(t, credential)
		refused, err := g.as(t, credential).WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: g.id()})
		if err == nil {
			_, err = refused.Receive()
			_ = refused.Close()
		}
		wantFull(t, name+" with one more stream", err)
		_, err = g.as(t, credential).GetVerification(t.Context(),
			&verigatev1.GetVerificationRequest{Id: g.id(), AfterVersion: 1, Wait: durationpb.New(patience)})
		wantFull(t, name+" with a long poll", err)
		if _, err := g.as(t, credential).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: g.id()}); err != nil {
			t.Errorf("%s without waiting: %v", name, err)
		}
		before := g.hub.Count()
		if err := first.Close(); err != nil {
			t.Errorf("%s hangs up: %v", name, err)
		}
		eventually(t, "its place is free", func() bool { return g.hub.Count() < before })
		g.watching(t, credential)
	}
	for range most + 1 {
		g.watching(t, key)
	}
}

func TestOnlyWhoMaySeeAVerificationIsToldThatItIsWatchedTooMuch(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	for {
		w, err := g.hub.Watch(g.row.now().ID, watch.Holder{})
		if err != nil {
			break
		}
		t.Cleanup(w.Close)
	}
	_, key := g.key(t, access.VerificationsRead)
	wants := map[string]func(t *testing.T, what string, err error){
		"user:alice": wantFull, g.token(t): wantFull, key: wantFull,
		"user:bob": func(t *testing.T, what string, err error) {
			t.Helper()
			wantCode(t, what, err, connect.CodeNotFound, verification.ErrNotFound.Error())
		},
	}
	for credential, want := range wants {
		client := g.as(t, credential)
		stream, err := client.WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: g.id()})
		if err == nil {
			_, err = stream.Receive()
			_ = stream.Close()
		}
		want(t, credential[:7]+" watching", err)
		_, err = client.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: g.id(), AfterVersion: 1, Wait: durationpb.New(patience)})
		want(t, credential[:7]+" waiting", err)
	}
}
