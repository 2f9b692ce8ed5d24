package outgoing

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// control is the hook that the dialer calls with each resolved address, before
// it connects. It has the shape of net.Dialer.Control.
type control func(network, address string, conn syscall.RawConn) error

// never lists what no configuration opens. The library behind publicGuard
// refuses most of it too, but only after the allowed networks had their say.
var never = parsePrefixes(
	// Unspecified, multicast, broadcast: no server has such an address, and
	// many systems take the first one for themselves.
	"0.0.0.0/8", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32",
	// Link-local. Most clouds answer for instance metadata, credentials
	// included, somewhere in here.
	"169.254.0.0/16", "fe80::/10",
	// Cloud services for their own instances outside the link-local ranges, as
	// the clouds' documentation names them.
	"168.63.129.16/32",       // Azure, host agent; a public address otherwise
	"100.100.100.200/32",     // Alibaba Cloud
	"fd00:100::100:200/128",  // Alibaba Cloud
	"192.0.0.192/32",         // Oracle Cloud at Customer
	"fd00:c1::a9fe:a9fe/128", // Oracle Cloud
	"fd00:ec2::/32",          // AWS: metadata, pod identity, name and time servers
	"fd20:ce::254/128",       // Google Cloud
	"fd00:42::42/128",        // Scaleway
	"fd00:a9fe:a9fe::1/128",  // Akamai
	// IPv6 addresses that carry an IPv4 address: whatever takes them apart on
	// the way would reach a host that nobody here has judged. A real IPv4
	// target never arrives in such a form: the dialer unwraps it first.
	"::/96",           // IPv4-compatible; the unspecified address is in it too
	"::ffff:0:0/96",   // IPv4-mapped
	"::ffff:0:0:0/96", // IPv4-translated
	"64:ff9b::/96",    // NAT64
	"64:ff9b:1::/48",  // NAT64, local use
	"2002::/16",       // 6to4
	"2001::/32",       // Teredo
)

func parsePrefixes(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}

var loopbackNetworks = parsePrefixes("127.0.0.0/8", "::1/128")

// publicGuard admits public addresses and the allowed networks, the latter
// except for what is on the never list.
func publicGuard(allowed []netip.Prefix, loopback bool) control {
	if loopback {
		allowed = slices.Concat(allowed, loopbackNetworks)
	}
	var allowed4, allowed6 []netip.Prefix
	for _, prefix := range allowed {
		if prefix.Addr().Is4() {
			allowed4 = append(allowed4, prefix)
		} else {
			allowed6 = append(allowed6, prefix)
		}
	}
	guardian := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(allowed4...), ssrf.WithAllowedV6Prefixes(allowed6...))
	return func(network, address string, conn syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil || isNever(target.Addr()) || guardian.Safe(network, address, conn) != nil {
			return ErrForbiddenAddress
		}
		return nil
	}
}

// isNever spares IPv6 loopback, which is not IPv4-compatible although its prefix
// says so. No prefix contains an address with a zone; the library refuses those.
func isNever(address netip.Addr) bool {
	return address != netip.IPv6Loopback() &&
		slices.ContainsFunc(never, func(p netip.Prefix) bool { return p.Contains(address) })
}

// onlyLoopback is the guard for plain http, which must not leave the machine
// whatever a name such as localhost resolves to.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !target.Addr().IsLoopback() {
		return ErrForbiddenAddress
	}
	return nil
}

// dialer connects to addresses that check admits. When a name has several, each
// is judged on its own.
func dialer(check control, resolver *net.Resolver) func(context.Context, string, string) (net.Conn, error) {
	dial := &net.Dialer{Timeout: dialTimeout, Resolver: resolver, Control: check}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial.DialContext(ctx, network, address)
		if errors.Is(err, ErrForbiddenAddress) {
			// The dialer wraps the cause in a text that names the resolved
			// address, which would tell whoever sees it about our network.
			return nil, ErrForbiddenAddress
		}
		return conn, err
	}
}
