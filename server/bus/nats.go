package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/verigate/verigate/server/secret"
)

// SubjectPrefix begins the subject of NATS that hints go through. What follows
// tells gateways apart, which may share a NATS: see NATSOptions.Identity.
const SubjectPrefix = "verigate.hints.v1."

const (
	natsName = "nats"
	// inbox is how many messages wait here before NATS' client drops some, which
	// is a gap.
	inbox = 1024
	// dialPatience bounds one attempt at one server.
	dialPatience = 3 * time.Second
	// natsPings is how many pings may go unanswered, one each pingInterval.
	natsPings = 2
)

// NATSOptions say where NATS is and who we are there.
type NATSOptions struct {
	// Servers are URLs, nats:// or tls://, of one server or of the servers of one
	// cluster.
	Servers []string
	// Subject is the subject of the hints; empty to make it from Identity.
	Subject string
	// Identity returns a short text of letters and digits that all nodes on one
	// database have and nobody else. It is asked with each connection, and not at
	// all when Subject is set.
	Identity func(ctx context.Context) (string, error)
	// User and Password, Token, or Credentials, the text of a .creds file, are how
	// we sign in; all empty where NATS asks nobody.
	User                         string
	Password, Token, Credentials secret.Value
	// CA, Certificate and Key are paths of PEM files: whom to trust instead of the
	// system's authorities, and who we are. They are read with each connection.
	CA, Certificate, Key string
}

// natsCarrier holds one connection at a time. It does not use the client's own
// reconnecting: a new line must be subscribed before the gap is told, and one
// loop for both carriers is one to get right.
type natsCarrier struct {
	options NATSOptions
	// current is the line in use, nil between lines.
	current atomic.Pointer[natsLine]
}

// natsLine is a connection to NATS with the subject in use.
type natsLine struct {
	conn    *nats.Conn
	subject string
}

// NATS returns a carrier over NATS core: no stream, nothing is stored.
func NATS(o NATSOptions) Carrier { return &natsCarrier{options: o} }

// errOff is a message for which there is no line.
var errOff = errors.New("not connected to NATS")

func (*natsCarrier) name() string { return natsName }

func (*natsCarrier) remedy() string {
	return "the user at NATS must be allowed to publish and to subscribe to " + SubjectPrefix + "> or to bus.nats.subject"
}

func (n *natsCarrier) send(_ context.Context, messages []string) error {
	line := n.current.Load()
	if line == nil {
		return errOff
	}
	for _, message := range messages {
		if err := line.conn.Publish(line.subject, []byte(message)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

func (n *natsCarrier) listen(ctx context.Context, subscribed func() error, deliver func(string), missed func()) error {
	subject, err := n.subject(ctx)
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	conn, err := nats.Connect(strings.Join(n.options.Servers, ","), n.natsOptions(ctx, closed)...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		n.current.Store(nil)
		conn.Close()
		<-closed
	}()
	messages := make(chan *nats.Msg, inbox)
	subscription, err := conn.ChanSubscribe(subject, messages)
	if err == nil {
		err = conn.FlushTimeout(dialPatience)
	}
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	n.current.Store(&natsLine{conn: conn, subject: subject})
	if err := subscribed(); err != nil {
		return err
	}
	return follow(ctx, &natsFollower{subscription: subscription, deliver: deliver, missed: missed}, messages, closed)
}

// subject is the configured one, or made from the database's identity.
func (n *natsCarrier) subject(ctx context.Context) (string, error) {
	if n.options.Subject != "" {
		return n.options.Subject, nil
	}
	identity, err := n.options.Identity(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot ask the database who it is, for the subject; if that does not heal, set bus.nats.subject: %w", err)
	}
	return SubjectPrefix + identity, nil
}

func (n *natsCarrier) natsOptions(ctx context.Context, closed chan struct{}) []nats.Option {
	o := n.options
	options := []nats.Option{
		nats.Name("verigate bus"), nats.NoReconnect(), nats.Timeout(dialPatience),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(natsPings),
		nats.SetCustomDialer(dialer(func(network, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialPatience}).DialContext(ctx, network, address)
		})),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }),
		// Whatever it tells shows elsewhere: in Dropped, or in not hearing ourselves.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password.Reveal()))
	}
	if !o.Token.Empty() {
		options = append(options, nats.Token(o.Token.Reveal()))
	}
	if !o.Credentials.Empty() {
		options = append(options, nats.UserCredentialBytes([]byte(o.Credentials.Reveal())))
	}
	if o.CA != "" {
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Certificate != "" {
		options = append(options, nats.ClientCert(o.Certificate, o.Key))
	}
	return options
}

// dialer lets a connection attempt end with its context.
type dialer func(network, address string) (net.Conn, error)

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

// natsFollower passes messages on and notices those that the client dropped.
type natsFollower struct {
	subscription *nats.Subscription
	deliver      func(string)
	missed       func()
	dropped      int
}

// errClosed is a line that NATS, or the network, closed.
var errClosed = errors.New("NATS closed the connection")

// follow delivers until ctx ends or the line closes.
func follow(ctx context.Context, f *natsFollower, messages <-chan *nats.Msg, closed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return errClosed
		case message := <-messages:
			f.deliver(string(message.Data))
			if len(messages) == 0 {
				f.look()
			}
		}
	}
}

// look tells a gap if messages were dropped since the last look. The client drops
// only while the inbox is full, so a message always comes after, and a look when
// the inbox is empty sees all of it.
func (f *natsFollower) look() {
	dropped, err := f.subscription.Dropped()
	if err != nil || dropped == f.dropped {
		return
	}
	f.dropped = dropped
	f.missed()
}
