package park

import (
	"net"
	"runtime"
)

// Gather returns a listener on whose connections leaves together what is written
// at the same time: before a connection writes, whoever is about to write goes
// first. The streams of a line beat together (rhythm), and net/http writes the
// first frame that it is handed to the socket at once; the others then wait in its
// buffer, and leave with the next write instead of one by one. Such a write costs
// more than everything else in a heartbeat. Where nobody else is about to do
// anything nothing is delayed.
func Gather(l net.Listener) net.Listener { return gathering{l} }

type gathering struct{ net.Listener }

// Accept implements net.Listener.
func (g gathering) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return polite{tcp}, err
	}
	return conn, err
}

// polite is a connection that lets others go first.
type polite struct{ *net.TCPConn }

// Write implements net.Conn.
func (p polite) Write(b []byte) (int, error) {
	runtime.Gosched()
	return p.TCPConn.Write(b)
}
