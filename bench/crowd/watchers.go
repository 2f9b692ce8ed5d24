package crowd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/verigate/verigate/bench/rig"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

// openers is how many watchers are opened at a time.
const openers = 32

// child holds the watchers that are open.
type child struct {
	tokens *access.Tokens
	// ends end the watchers of each order.
	ends  []context.CancelFunc
	group sync.WaitGroup

	mu   sync.Mutex
	seen []Told
	// told is signaled when seen has grown.
	told chan struct{}
	// failed has the first error of a watcher that nobody ended.
	failed chan error
}

// errCut says that a stream ended without a terminal message.
var errCut = errors.New("the stream ended before the verification was over")

// open returns when every new watcher has its first message. Those from before
// stay.
func (c *child) open(ctx context.Context, o order) error {
	ctx, end := context.WithCancel(ctx)
	c.ends = append(c.ends, end)
	set := rig.Set{Names: rig.Names{Project: o.Project}, Number: o.SetNumber, Time: o.SetTime}
	clients := lines(o)
	turns := make(chan struct{}, openers)
	var opened sync.WaitGroup
	for i := range o.Count {
		token, err := c.token(set, o.First+i)
		if err != nil {
			return err
		}
		w := &watcher{row: o.First + i, id: set.ID(o.First + i).String(), token: token, client: clients(i)}
		turns <- struct{}{}
		opened.Add(1)
		var once sync.Once
		first := func() { once.Do(func() { <-turns; opened.Done() }) }
		c.group.Go(func() {
			defer first()
			if err := w.watch(ctx, first, c.note); err != nil && ctx.Err() == nil {
				select {
				case c.failed <- fmt.Errorf("watcher %d: %w", w.row, err):
				default: // the first one is enough
				}
			}
		})
	}
	opened.Wait()
	return c.failure()
}

func (c *child) failure() error {
	select {
	case err := <-c.failed:
		return err
	default:
		return nil
	}
}

// token makes what StartVerification would have given the app.
func (c *child) token(set rig.Set, n int64) (string, error) {
	const life = 24 * time.Hour
	return c.tokens.Issue(&verification.Verification{
		ID: set.ID(n), Scope: verification.Scope{Project: set.Project, Environment: rig.Environment},
		CreateTime: set.Time, GraceUntil: set.Time.Add(life),
	})
}

// lines returns which client the i-th watcher uses. Each client has connections
// of its own: one over HTTP/2, one for each stream over HTTP/1.1.
func lines(o order) func(i int64) verigatev1connect.VerificationServiceClient {
	url := "http://" + o.Address
	if o.PerLine == 0 {
		one := client(url, false)
		return func(int64) verigatev1connect.VerificationServiceClient { return one }
	}
	var current verigatev1connect.VerificationServiceClient
	return func(i int64) verigatev1connect.VerificationServiceClient {
		if i%o.PerLine == 0 {
			current = client(url, true)
		}
		return current
	}
}

func client(url string, http2 bool) verigatev1connect.VerificationServiceClient {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	const small = 4 << 10 // a watcher reads little
	transport := &http.Transport{Protocols: protocols, DisableCompression: true, ReadBufferSize: small, WriteBufferSize: small}
	return verigatev1connect.NewVerificationServiceClient(
		connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, url)))
}

// watcher watches one verification.
type watcher struct {
	row       int64
	id, token string
	client    verigatev1connect.VerificationServiceClient
}

// watch calls first at the first message and note at the terminal one.
func (w *watcher) watch(ctx context.Context, first func(), note func(Told)) (err error) {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+w.token)
	stream, err := w.client.WatchStatus(ctx, &verigatev1.WatchStatusRequest{Id: w.id})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for {
		message, err := stream.Receive()
		if err != nil {
			return fmt.Errorf("%w: %w", errCut, err)
		}
		if message.GetTerminal() {
			note(Told{Row: w.row, At: time.Now().UnixNano()})
			first()
			return nil
		}
		first()
	}
}

// note remembers a terminal message.
func (c *child) note(t Told) {
	c.mu.Lock()
	c.seen = append(c.seen, t)
	c.mu.Unlock()
	select {
	case c.told <- struct{}{}:
	default:
	}
}

// await returns the terminal messages since it was last called, as soon as there
// are as many as wanted.
func (c *child) await(ctx context.Context, o order) ([]Told, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	for {
		c.mu.Lock()
		got := int64(len(c.seen))
		if got >= o.Want {
			told := slices.Clone(c.seen)
			c.seen = c.seen[:0]
			c.mu.Unlock()
			return told, nil
		}
		c.mu.Unlock()
		select {
		case <-c.told:
		case err := <-c.failed:
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d watchers were told within %s", got, o.Want, o.Patience)
		}
	}
}

// close ends all watchers and waits for them.
func (c *child) close() {
	for _, end := range c.ends {
		end()
	}
	c.ends = nil
	c.group.Wait()
}
