package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/intake"
	"github.com/verigate/verigate/server/verification"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for a busy machine.
const patience = 30 * time.Second

// domain records what it is given. Its first call waits until the gate opens.
type domain struct {
	gate chan struct{}
	// holds lets it say that it holds what it was given, before it waits.
	holds bool
	// own are gates for those whose first delivery is named, instead of gate.
	own map[string]chan struct{}
	// entered receives before each call of DeliverTogether waits.
	entered chan struct{}

	mu      sync.Mutex
	batches [][]string
	alone   []string
	// reported are the applied ones, after what their request's context says.
	reported []string
	// leave says which deliveries cannot be applied together, fail which fail
	// alone, and panics which end in a panic either way.
	leave, fail, panics map[string]bool
}

func newDomain() *domain {
	return &domain{gate: make(chan struct{}), entered: make(chan struct{}, 100)}
}

var errStore = errors.New("no room on the disk")

func (d *domain) DeliverTogether(_ context.Context, ds []*verification.Delivery, held func()) []verification.Outcome {
	if d.holds {
		held()
	}
	d.entered <- struct{}{}
	if own, ok := d.own[ds[0].DedupeKey]; ok {
		<-own
	} else {
		<-d.gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var batch []string
	outcomes := make([]verification.Outcome, len(ds))
	for i, delivery := range ds {
		batch = append(batch, delivery.DedupeKey)
		outcomes[i] = verification.Outcome{Applied: !d.leave[delivery.DedupeKey], Effect: verification.Applied}
	}
	d.batches = append(d.batches, batch)
	for _, name := range batch {
		if d.panics[name] {
			panic("a secret")
		}
	}
	return outcomes
}

// requestKey is what a request has in its context.
type requestKey struct{}

func (d *domain) Report(ctx context.Context, delivery *verification.Delivery, o verification.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Applied && ctx.Err() == nil {
		request, _ := ctx.Value(requestKey{}).(string)
		d.reported = append(d.reported, request+delivery.DedupeKey)
	}
}

func (d *domain) Deliver(_ context.Context, delivery *verification.Delivery) (verification.Effect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alone = append(d.alone, delivery.DedupeKey)
	if d.panics[delivery.DedupeKey] {
		panic("a secret")
	}
	if d.fail[delivery.DedupeKey] {
		return "", errStore
	}
	return verification.Unmatched, nil
}

// running is an Intake at work.
type running struct {
	*intake.Intake

	t    *testing.T
	log  *bytes.Buffer
	stop func()
	done sync.WaitGroup
	mu   sync.Mutex
	got  map[string]error
}

func run(t *testing.T, d *domain, limit int) *running {
	t.Helper()
	r := &running{t: t, log: &bytes.Buffer{}, got: map[string]error{}}
	r.Intake = intake.New(d, slog.New(slog.NewTextHandler(r.log, nil)), limit)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		r.Run(ctx)
		close(ended)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(r.stop)
	return r
}

func delivery(name string) *verification.Delivery {
	return &verification.Delivery{ID: uuid.Must(uuid.NewV7()), DedupeKey: name}
}

// send puts a delivery into its queue and waits for the answer beside.
func (r *running) send(d *verification.Delivery) {
	r.t.Helper()
	wait, err := r.Put(r.t.Context(), d)
	if err != nil {
		r.t.Fatal(err)
	}
	r.done.Go(func() {
		err := wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got[d.DedupeKey] = err
	})
}

func (d *domain) waitEntered(t *testing.T) {
	t.Helper()
	select {
	case <-d.entered:
	case <-time.After(patience):
		t.Fatal("nothing was applied")
	}
}

// holdOne occupies the worker with one delivery, so that others gather.
func holdOne(t *testing.T, r *running, d *domain) {
	t.Helper()
	r.send(delivery("first"))
	d.waitEntered(t)
}

func TestWhatArrivesWhileTheWorkerIsBusySharesOneCommit(t *testing.T) {
	t.Parallel()
	d := newDomain()
	r := run(t, d, 200)
	holdOne(t, r, d)
	var want []string
	for i := range intake.MaxTogether + 10 {
		name := fmt.Sprintf("d%03d", i)
		want = append(want, name)
		r.send(delivery(name))
	}
	close(d.gate)
	r.done.Wait()
	if len(d.batches) != 3 || len(d.batches[0]) != 1 || len(d.batches[1]) != intake.MaxTogether {
		t.Fatalf("the batches are %v", d.batches)
	}
	if got := slices.Concat(d.batches[1:]...); !slices.Equal(got, want) {
		t.Errorf("they were applied as %v, want the order of arrival", got)
	}
	for name, err := range r.got {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASecondTurnBeginsWhenAsManyWaitAsAreAtWork(t *testing.T) {
	t.Parallel()
	d := newDomain()
	d.holds = true
	r := run(t, d, 200)
	holdOne(t, r, d)
	r.send(delivery("second"))
	d.waitEntered(t)
	// Two are at work in two turns: whoever comes now waits for one of them.
	for i := range 3 {
		r.send(delivery(fmt.Sprintf("d%d", i)))
	}
	close(d.gate)
	r.done.Wait()
	r.stop()
	for _, alone := range []string{"first", "second"} {
		if !slices.ContainsFunc(d.batches, func(batch []string) bool { return slices.Equal(batch, []string{alone}) }) {
			t.Errorf("%s was not in a turn of its own: %v", alone, d.batches)
		}
	}
	if got := slices.Concat(d.batches...); len(got) != 5 || len(r.got) != 5 {
		t.Errorf("%v were applied and %d answered, want five", d.batches, len(r.got))
	}
}

func TestWhoeverNamesTheSameWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	d := newDomain()
	d.holds = true
	r := run(t, d, 200)
	about := func(text, ref string) *verification.Delivery {
		made := delivery(text)
		made.Event.Refs = []string{ref}
		return made
	}
	r.send(about("first", "a"))
	d.waitEntered(t)
	r.send(about("again", "a"))
	r.send(about("after", "a"))
	r.send(about("other", "b"))
	// The other one goes, past those that wait.
	d.waitEntered(t)
	select {
	case <-d.entered:
		t.Error("a turn began for what has to wait")
	default:
	}
	close(d.gate)
	r.done.Wait()
	r.stop()
	got := slices.DeleteFunc(slices.Concat(d.batches...), func(text string) bool { return text == "other" })
	if want := []string{"first", "again", "after"}; !slices.Equal(got, want) {
		t.Errorf("applied in the order %v, want %v", got, want)
	}
	if !slices.ContainsFunc(d.batches, func(batch []string) bool { return slices.Equal(batch, []string{"other"}) }) {
		t.Errorf("the other one waited too: %v", d.batches)
	}
}

func TestNoTurnOvertakesOneThatHoldsNothingYet(t *testing.T) {
	t.Parallel()
	d := newDomain()
	r := run(t, d, 200)
	holdOne(t, r, d)
	r.send(delivery("second"))
	r.send(delivery("third"))
	select {
	case <-d.entered:
		t.Error("a second turn began")
	default:
	}
	close(d.gate)
	r.done.Wait()
	if want := [][]string{{"first"}, {"second", "third"}}; !slices.EqualFunc(d.batches, want, slices.Equal) {
		t.Errorf("the batches are %v, want %v", d.batches, want)
	}
}

func TestWhatIsLeftOutIsAppliedAloneAndFailsAlone(t *testing.T) {
	t.Parallel()
	d := newDomain()
	d.leave = map[string]bool{"odd": true, "bad": true}
	d.fail = map[string]bool{"bad": true}
	r := run(t, d, 100)
	holdOne(t, r, d)
	for _, name := range []string{"plain", "odd", "bad"} {
		r.send(delivery(name))
	}
	close(d.gate)
	r.done.Wait()
	if !errors.Is(r.got["bad"], errStore) || r.got["odd"] != nil || r.got["plain"] != nil {
		t.Errorf("the answers are %v", r.got)
	}
	if slices.Sort(d.alone); !slices.Equal(d.alone, []string{"bad", "odd"}) {
		t.Errorf("alone were %v", d.alone)
	}
}

func TestWhatIsLeftOutIsAppliedAfterTheTurnsBeforeIt(t *testing.T) {
	t.Parallel()
	d := newDomain()
	d.holds, d.leave = true, map[string]bool{"odd": true}
	d.own = map[string]chan struct{}{"first": make(chan struct{})}
	close(d.gate)
	r := run(t, d, 200)
	holdOne(t, r, d)
	r.send(delivery("odd"))
	d.waitEntered(t)
	// A whole further turn later the first one is still at work.
	if _, err := r.Deliver(t.Context(), delivery("third")); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	early := len(d.alone)
	d.mu.Unlock()
	if early != 0 {
		t.Errorf("%v was applied before the turn ahead of it was over", d.alone)
	}
	close(d.own["first"])
	r.done.Wait()
	if !slices.Equal(d.alone, []string{"odd"}) {
		t.Errorf("alone were %v", d.alone)
	}
}

func TestAPanicIsOneDeliverysOwn(t *testing.T) {
	t.Parallel()
	d := newDomain()
	d.panics = map[string]bool{"poison": true}
	r := run(t, d, 100)
	holdOne(t, r, d)
	for _, name := range []string{"before", "poison", "behind"} {
		r.send(delivery(name))
	}
	close(d.gate)
	r.done.Wait()
	r.stop()
	if r.got["before"] != nil || r.got["behind"] != nil || verification.KindOf(r.got["poison"]) != verification.KindInternal {
		t.Errorf("the answers are %v", r.got)
	}
	if text := r.log.String(); !strings.Contains(text, "panic while applying deliveries") || strings.Contains(text, "a secret") {
		t.Errorf("the log is %s", text)
	}
}

func TestBeyondTheLimitIsRefusedUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	d := newDomain()
	r := run(t, d, 3)
	holdOne(t, r, d)
	r.send(delivery("second"))
	if r.Full() {
		t.Error("it is full before it is")
	}
	r.send(delivery("third"))
	if !r.Full() {
		t.Error("it is not full when it is")
	}
	_, err := r.Deliver(t.Context(), delivery("fourth"))
	e, ok := errors.AsType[*verification.Error](err)
	if !errors.Is(err, intake.ErrOverloaded) || !ok || e.Kind != verification.KindLimited || e.RetryAfter <= 0 {
		t.Errorf("beyond the limit: %v", err)
	}
	close(d.gate)
	r.done.Wait()
	if r.Full() {
		t.Error("it stays full")
	}
	if _, err := r.Deliver(t.Context(), delivery("fifth")); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestWhoeverStopsWaitingHoldsUpNobody(t *testing.T) {
	t.Parallel()
	d := newDomain()
	r := run(t, d, 100)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), requestKey{}, "r1/"))
	gone := make(chan error, 1)
	go func() {
		_, err := r.Deliver(ctx, delivery("gone"))
		gone <- err
	}()
	d.waitEntered(t)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who stopped waiting got %v", err)
	}
	close(d.gate)
	if effect, err := r.Deliver(t.Context(), delivery("next")); err != nil || effect != verification.Applied {
		t.Errorf("the next one: %s, %v", effect, err)
	}
	r.stop()
	// Its own request tells of it, though nobody waits there any more.
	if want := []string{"r1/gone", "next"}; !slices.Equal(d.reported, want) {
		t.Errorf("reported were %v, want %v", d.reported, want)
	}
}

func TestTheEndAnswersWhatIsInHand(t *testing.T) {
	t.Parallel()
	d := newDomain()
	d.leave = map[string]bool{"alone": true}
	r := run(t, d, 100)
	holdOne(t, r, d)
	r.send(delivery("alone"))
	r.send(delivery("together"))
	close(d.gate)
	r.stop()
	r.done.Wait()
	if len(r.got) != 3 || r.got["alone"] != nil || r.got["together"] != nil {
		t.Errorf("the answers are %v", r.got)
	}
}
