package server_test

import (
	"bytes"
	"encoding/binary"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// statements writes down which statements a node sends to its database. It
// reads the frontend's half of the Postgres protocol (PostgreSQL manual, chapter
// Frontend/Backend Protocol): a startup message without a type, then messages of
// a type byte and a length. Which statements are prepared first depends on the
// connection and is left out, and so are the pool's pings.
type statements struct {
	mu   sync.Mutex
	seen []string
}

// connection returns a writer that reads one connection's bytes.
func (s *statements) connection() *frontend { return &frontend{to: s} }

// since runs something and returns what was sent meanwhile.
func (s *statements) since(do func()) []string {
	s.mu.Lock()
	s.seen = nil
	s.mu.Unlock()
	do()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *statements) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, text)
}

type frontend struct {
	to      *statements
	started bool
	pending []byte
}

// Write implements io.Writer.
func (f *frontend) Write(p []byte) (int, error) {
	f.pending = append(f.pending, p...)
	for {
		head := 1
		if !f.started {
			head = 0
		}
		const lengthBytes = 4
		if len(f.pending) < head+lengthBytes {
			return len(p), nil
		}
		size := head + int(binary.BigEndian.Uint32(f.pending[head:]))
		if len(f.pending) < size {
			return len(p), nil
		}
		if f.started {
			f.read(f.pending[0], f.pending[head+lengthBytes:size])
		}
		f.started = true
		f.pending = f.pending[size:]
	}
}

func (f *frontend) read(kind byte, body []byte) {
	switch kind {
	case 'Q':
		if text := string(bytes.TrimRight(body, "\x00")); text != "-- ping" {
			f.to.note(text)
		}
	case 'B':
		// A portal's name, then the statement's.
		_, rest, _ := bytes.Cut(body, []byte{0})
		name, _, _ := bytes.Cut(rest, []byte{0})
		f.to.note(string(name))
	}
}

// quiet is a scene whose node does nothing by itself and is listened to on its
// way to the database.
type quiet struct {
	*scene

	asked *statements
}

func newQuiet(t *testing.T) *quiet {
	t.Helper()
	dsn := pgtest.New(t)
	s := newScene(t, dsn, nil)
	line := newCable(t, dsn)
	q := &quiet{scene: s, asked: &statements{}}
	line.listen(q.asked)
	node := *s.gateway
	node.server = s.again(line.dsn)
	host := httptest.NewServer(node.server.Handler())
	t.Cleanup(func() {
		host.Close()
		node.server.Close()
	})
	node.url, node.operator = host.URL, host.URL
	s.gateway = &node
	return q
}

// Two answers that take the same statements take the same time as far as
// anybody far away can tell.
func TestWhatBelongsToOthersCostsTheSameStatementsAsWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	q := newQuiet(t)
	d := q.door(protocols()[0])
	for name, f := range q.foreigners(t) {
		for _, a := range attacks() {
			if !a.aimed || !f.may(a) {
				continue
			}
			method, authorization := a.descriptor(t), "Bearer "+f.credential
			// The first call may have to fetch keys or open a connection.
			d.knock(method, authorization, a.aim(nothing()))
			absent := q.asked.since(func() { d.knock(method, authorization, a.aim(nothing())) })
			foreign := q.asked.since(func() { d.knock(method, authorization, a.aim(q.victim)) })
			if len(absent) == 0 {
				t.Errorf("%s by %s asks the database nothing, so it proves nothing", a.name, name)
			}
			if !slices.Equal(absent, foreign) {
				t.Errorf("%s by %s sends, for what is not there:\n%s\nfor what is somebody else's:\n%s",
					a.name, name, strings.Join(absent, "\n"), strings.Join(foreign, "\n"))
			}
		}
	}
}

func TestEveryKeyOfTheRightShapeCostsTheSameStatementsToRefuse(t *testing.T) {
	t.Parallel()
	q := newQuiet(t)
	d := q.door(protocols()[0])
	list := attacks()[slices.IndexFunc(attacks(), func(a attack) bool { return a.name == "list" })]
	strangers := q.strangers(t)
	cost := func(name string) []string {
		authorization, known := strangers[name]
		if !known {
			t.Fatalf("no stranger is called %q", name)
		}
		d.knock(list.descriptor(t), authorization, list.aim(q.victim))
		return q.asked.since(func() { d.knock(list.descriptor(t), authorization, list.aim(q.victim)) })
	}
	unknown := cost("a key that was never made")
	if len(unknown) == 0 {
		t.Error("an unknown key asks the database nothing, so it proves nothing")
	}
	for _, name := range []string{"a key with another secret", "a key with the other prefix", "a revoked key", "an expired key"} {
		if asked := cost(name); !slices.Equal(asked, unknown) {
			t.Errorf("%s costs %q, an unknown key %q", name, asked, unknown)
		}
	}
}

func TestHowManyWatchAVerificationIsNothingForOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	owner := s.apiOver(wire{http2: true}, s.key)
	request := &verigatev1.WatchStatusRequest{Id: s.victim.id}
	const most = 64 // of one verification, see package watch
	for range most {
		watch(t, owner, request).next()
	}
	wantLimited(t, send(t.Context(), owner, request), "TOO_MANY_WATCHERS")
	for name, f := range s.foreigners(t) {
		if err := send(t.Context(), s.api(f.credential), request); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s is told %v, want not_found", name, err)
		}
	}
}
