package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Listeners are the addresses to serve on. Public and Webhooks may have the
// same address, and then the same TLS: one port serves both. Operator has one of
// its own, except in development.
type Listeners struct {
	// Public is for callers and people: the API and the way back from a
	// provider.
	Public Listener
	// Webhooks is for providers.
	Webhooks Listener
	// Operator is for the operator's calls, metrics and reflection.
	Operator Listener
}

// Listener is one address to serve on.
type Listener struct {
	// Address is host:port in normal form, so that equal addresses are equal
	// strings.
	Address string
	// TLS is zero for a plain listener.
	TLS TLS
}

// TLS names the files of a certificate. They exist and fit when the
// configuration is read.
type TLS struct {
	// Certificate is the path of the certificate chain in PEM form, the
	// listener's own certificate first.
	Certificate string
	// Key is the path of its private key in PEM form.
	Key string
}

// Enabled reports whether the listener speaks TLS.
func (t TLS) Enabled() bool { return t.Certificate != "" }

// door is a listener with where it stands in the file.
type door struct {
	path  string
	at    endpoint
	tls   TLS
	sound bool
}

func (c *checker) listeners() Listeners {
	l := c.file.Listeners
	public := c.door("listeners.public", l.Public, defaultPublic)
	webhooks := c.door("listeners.webhooks", l.Webhooks, defaultWebhooks)
	operator := c.door("listeners.operator", l.Operator, defaultOperator)
	c.apart(public, webhooks, true)
	c.apart(public, operator, c.development)
	if webhooks.at != public.at {
		c.apart(webhooks, operator, c.development)
	}
	return Listeners{Public: public.listener(), Webhooks: webhooks.listener(), Operator: operator.listener()}
}

func (d door) listener() Listener { return Listener{Address: d.at.String(), TLS: d.tls} }

func (c *checker) door(path string, entry listenerEntry, example string) door {
	at, ok := parseEndpoint(entry.Address)
	if !ok {
		c.report.checkf(path+".address", "%s is not an address; write host:port, such as %s, or :%d for all interfaces",
			quote(entry.Address), example, portOf(example))
	}
	return door{path: path, at: at, tls: c.tls(path+".tls", entry.TLS), sound: ok && !c.report.unread(path+".address")}
}

// apart checks two listeners for being on one port. share says whether they may
// be the same; the second one is reported.
func (c *checker) apart(first, second door, share bool) {
	at := second.path + ".address"
	switch {
	case !first.sound || !second.sound || !first.at.overlaps(second.at):
	case !share:
		c.report.checkf(at, "is %s, but %s: whoever reaches that port must not reach the operator's calls; give them a port of their own, such as %s",
			c.address(second), c.place(first), freeAddress(first.at))
	case first.at != second.at:
		c.report.checkf(at, "is %s, but %s, on the same port; write exactly the same address to serve both, or another port",
			c.address(second), c.place(first))
	case first.tls != second.tls && !c.report.unread(first.path+".tls"):
		c.report.checkf(second.path+".tls", "must be the same as %s.tls, whose port it shares; write the same certificate and key for both, or another port",
			first.path)
	}
}

// address says which address a listener has, and whether nobody wrote it.
func (c *checker) address(d door) string {
	if c.report.written(d.path + ".address") {
		return d.at.String()
	}
	return d.at.String() + " by default"
}

// place says the same with the listener's name and line.
func (c *checker) place(d door) string {
	at := d.path + ".address"
	if c.report.written(at) {
		at += " on line " + strconv.Itoa(c.report.lineOf(at))
	}
	return at + " is " + c.address(d)
}

// freeAddress is an address for the operator's calls that is not on the port of
// another listener.
func freeAddress(other endpoint) string {
	if other.port == portOf(defaultOperator) {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(other.port+1))
	}
	return defaultOperator
}

// endpoint is an address to listen on.
type endpoint struct {
	// host is in lower case; empty for all interfaces.
	host string
	// port is 0 when the system is to choose one.
	port int
}

// String returns host:port.
func (e endpoint) String() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

// parseEndpoint brings host:port into its normal form.
func parseEndpoint(raw string) (endpoint, bool) {
	host, digits, err := net.SplitHostPort(raw)
	port, portErr := strconv.Atoi(digits)
	host = strings.ToLower(host)
	if err != nil || portErr != nil || port < 0 || port > maxPort || (host != "" && !isHost(host)) {
		return endpoint{}, false
	}
	if address, err := netip.ParseAddr(host); err == nil {
		host = address.Unmap().String()
	}
	return endpoint{host: host, port: port}, true
}

func portOf(address string) int {
	at, _ := parseEndpoint(address)
	return at.port
}

// overlaps reports whether two listeners cannot both have their addresses, or
// are the same. Ports that the system chooses differ, but one address written
// twice is meant to be one.
func (e endpoint) overlaps(other endpoint) bool {
	if e == other {
		return true
	}
	return e.port == other.port && e.port != 0 &&
		(e.covers(other) || other.covers(e) || isLoopback(e.host) && isLoopback(other.host) && (e.named() || other.named()))
}

// covers reports whether listening on e takes other's address too: all
// interfaces in both families, or all interfaces in IPv4.
func (e endpoint) covers(other endpoint) bool {
	address, err := netip.ParseAddr(other.host)
	otherIPv6 := err == nil && address.Is6()
	return e.host == "" || e.host == "::" || e.host == "0.0.0.0" && !otherIPv6
}

// named reports whether the host is a name, which may stand for any address.
func (e endpoint) named() bool {
	_, err := netip.ParseAddr(e.host)
	return e.host != "" && err != nil
}
