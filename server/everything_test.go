package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

const (
	// people is how many verifications go through everything.
	people = 1000
	// crowd is how many of them are at it at a time.
	crowd = 24
	// longPatience bounds the whole of it.
	longPatience = 6 * time.Minute
	// forgotten is how long somebody has of whom nobody will ever hear.
	forgotten = 20 * time.Second

	aipriseKey      = "marked-aiprise-key"
	aipriseTemplate = "4f1d2c3b-0000-4000-8000-0000000000aa"
)

// TestAThousandVerificationsEndRightWhateverHappensOnTheWay drops, delays,
// duplicates and reorders what two providers send about a thousand people, on
// two nodes, while the backend's receiver fails now and then. All must end as
// the provider said last, and the backend must hear of each transition once and
// in order, by callback as by stream.
func TestAThousandVerificationsEndRightWhateverHappensOnTheWay(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newWorld(t, seed)
	streamed := w.follow()
	ends := w.everybody()
	w.settle(ends)
	recorded := w.recorded()
	w.checkCallbacks(recorded)
	checkStream(t, recorded, streamed)
}

// world is two nodes, two providers, and a backend that listens.
type world struct {
	t        *testing.T
	one, two *gateway
	seed     uint64
	client   *http.Client
	backend  *backend
	// account is where the emulated AiPrise is.
	account string
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{t: t, seed: seed, client: newHTTPClient(t, false, ""), backend: newBackend(t, seed)}
	dsn := pgtest.New(t)
	human, prise := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	w.account = "http://" + prise.Listener.Addr().String()
	configure := func(c *config.Config) { w.configure(c, "http://"+human.Listener.Addr().String()) }
	w.one = openDeveloping(t, dsn, configure)
	w.two = openDeveloping(t, dsn, func(c *config.Config) {
		configure(c)
		// Both nodes are one gateway to the outside.
		c.PublicURL, c.WebhooksURL = w.one.url, w.one.url
	})
	retry := sandbox.Retry{Attempts: 5, Base: 50 * time.Millisecond}
	h, err := sandbox.NewVerifyHuman(sandbox.Options{
		BaseURL: "http://" + human.Listener.Addr().String(), APIKey: secret.New(labKey), Now: time.Now, Retry: retry,
		WebhookURL: w.one.url + "/webhooks/vh", WebhookSecret: secret.New(labSecret), WebhookDelay: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := sandbox.NewAiPrise(sandbox.AiPriseOptions{
		BaseURL: w.account, APIKey: secret.New(aipriseKey), Now: time.Now, Retry: retry, WebhookDelay: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	human.Config.Handler, prise.Config.Handler = h, a
	human.Start()
	prise.Start()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(h.Close(ctx), a.Close(ctx)); err != nil {
			t.Error(err)
		}
		human.Close()
		prise.Close()
	})
	return w
}

func (w *world) configure(c *config.Config, human string) {
	vh, _ := verifyhuman.New().(*verifyhuman.Settings)
	vh.BaseURL, vh.APIKey, vh.WebhookSecrets = human, secret.New(labKey), []secret.Value{secret.New(labSecret)}
	vh.SetEnvironment(verification.Test)
	ap, _ := aiprise.New().(*aiprise.Settings)
	ap.SetEnvironment(verification.Test)
	ap.BaseURL, ap.APIKeys = w.account+"/api/v1", []secret.Value{secret.New("rotated-in"), secret.New(aipriseKey)}
	ap.APIKeys[0], ap.APIKeys[1] = ap.APIKeys[1], ap.APIKeys[0]
	flow := verification.Flow{
		Scope: shopTest(), Lifetime: time.Hour, Grace: time.Hour, ReturnWindow: time.Minute, FetchAfter: 500 * time.Millisecond,
		AllowedRedirects: []string{"myapp://"},
		CallbackURL:      w.backend.url + "/decisions", EventsCallbackURL: w.backend.url + "/events",
	}
	identity, kyc := flow, flow
	identity.Name, identity.Connection, identity.Product = "vh", "vh", "verifyidentity"
	kyc.Name, kyc.Connection, kyc.Product = "kyc", "ap", aipriseTemplate
	c.Connections = append(c.Connections,
		config.Connection{Name: "vh", Scope: shopTest(), Provider: verifyhuman.Name, Settings: vh},
		config.Connection{Name: "ap", Scope: shopTest(), Provider: aiprise.Name, Settings: ap})
	c.Flows = append(c.Flows, identity, kyc)
	c.Callbacks = []config.Callbacks{{Scope: shopTest(), Secrets: []secret.Value{secret.New(w.backend.secret)}}}
}

// end is how one verification has to end.
type end struct {
	id    string
	state verigatev1.VerificationState
}

// everybody lets all people go through it, and returns how each has to end.
func (w *world) everybody() []end {
	w.t.Helper()
	ends := make([]end, people)
	group, ctx := errgroup.WithContext(w.t.Context())
	group.SetLimit(crowd)
	apis := []verigatev1connect.VerificationServiceClient{w.one.api(w.one.key), w.two.api(w.two.key)}
	for i := range ends {
		group.Go(func() error {
			p := &person{world: w, api: apis[i%len(apis)], dice: rand.New(rand.NewPCG(w.seed, uint64(i)))}
			var err error
			if i%2 == 0 {
				ends[i], err = p.verifyHuman(ctx, i)
			} else {
				ends[i], err = p.aiPrise(ctx, i)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		w.t.Fatal(err)
	}
	return ends
}

// settle waits until every verification stands where it has to.
func (w *world) settle(ends []end) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), longPatience)
	defer cancel()
	wrong := make([]string, len(ends))
	group := new(errgroup.Group)
	group.SetLimit(crowd)
	api := w.two.api(w.two.key)
	for i, e := range ends {
		group.Go(func() error {
			wrong[i] = waitFor(ctx, api, e)
			return nil
		})
	}
	_ = group.Wait()
	for i, problem := range wrong {
		if problem != "" {
			w.t.Errorf("person %d: %s", i, problem)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func waitFor(ctx context.Context, api verigatev1connect.VerificationServiceClient, e end) string {
	var version int64
	for {
		got, err := api.GetVerification(ctx, &verigatev1.GetVerificationRequest{
			Id: e.id, AfterVersion: version, Wait: durationpb.New(20 * time.Second),
		})
		if err != nil {
			return fmt.Sprintf("%s is not %v in time: %v", e.id, e.state, err)
		}
		v := got.GetVerification()
		if v.GetState() == e.state {
			return ""
		}
		if v.GetVersion() == version && ctx.Err() != nil {
			return fmt.Sprintf("%s is %v, want %v", e.id, v.GetState(), e.state)
		}
		version = v.GetVersion()
	}
}

// recorded is every event of the tenant, by the list.
func (w *world) recorded() []*verigatev1.Event {
	w.t.Helper()
	var all []*verigatev1.Event
	api, cursor := w.two.eventAPI(w.two.key), ""
	for {
		page, err := api.ListEvents(w.t.Context(), &verigatev1.ListEventsRequest{AfterCursor: cursor, PageSize: 200})
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, page.GetEvents()...)
		cursor = page.GetCursor()
		if !page.GetMore() {
			return all
		}
	}
}

// heard collects what a backend reads, coming back with its cursor whenever the
// stream ends.
type heard struct {
	mu     sync.Mutex
	events []*verigatev1.Event
}

func (s *heard) take(e *verigatev1.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *heard) list() []*verigatev1.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*verigatev1.Event(nil), s.events...)
}

// follow reads the stream until the test ends, never more than a few messages
// at a time, on one node and then on the other.
func (w *world) follow() *heard {
	s := &heard{}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	apis := []verigatev1connect.EventServiceClient{w.one.eventAPI(w.one.key), w.two.eventAPI(w.two.key)}
	go func() {
		defer close(ended)
		cursor := ""
		for turn := 0; ctx.Err() == nil; turn++ {
			cursor = s.read(ctx, apis[turn%len(apis)], cursor)
		}
	}()
	w.t.Cleanup(func() { cancel(); <-ended })
	return s
}

func (s *heard) read(ctx context.Context, api verigatev1connect.EventServiceClient, cursor string) string {
	const few = 300
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	messages, err := api.StreamEvents(ctx, &verigatev1.StreamEventsRequest{AfterCursor: cursor})
	if err != nil {
		return cursor
	}
	for range few {
		message, err := messages.Receive()
		if err != nil {
			return cursor
		}
		if message.GetEvent() != nil {
			s.take(message.GetEvent())
		}
		cursor = message.GetCursor()
	}
	return cursor
}

func checkStream(t *testing.T, recorded []*verigatev1.Event, s *heard) {
	t.Helper()
	within(t, longPatience, "the stream has everything", func() bool { return len(s.list()) >= len(recorded) })
	for i, e := range s.list()[:len(recorded)] {
		if e.GetId() != recorded[i].GetId() {
			t.Fatalf("event %d of the stream is %s, the list says %s", i, e.GetId(), recorded[i].GetId())
		}
	}
}
