package transport

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
)

const (
	// forwardedFor is the header in which proxies list whom they speak for.
	forwardedFor = "X-Forwarded-For"
	// maxHops is how many of its entries are looked at, from the right.
	maxHops = 32
	// bucketBits is the part of an IPv6 address that tells customers apart: a
	// household gets a /64 and may use any address in it (RFC 6177 and RFC 7421).
	bucketBits = 64
	// mappedBits is where the IPv4 address begins in an IPv4-mapped one.
	mappedBits = 96
)

// Addresses finds out which address a request comes from. The zero value trusts
// no proxy: the answer is always the peer.
type Addresses struct{ trusted []netip.Prefix }

// NewAddresses returns an Addresses that believes the proxies in the trusted
// networks, and them only. IPv4 networks in IPv6 notation count as IPv4 ones.
func NewAddresses(trusted []netip.Prefix) Addresses {
	var a Addresses
	for _, network := range trusted {
		if network.Addr().Is4In6() && network.Bits() >= mappedBits {
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mappedBits)
		}
		a.trusted = append(a.trusted, network)
	}
	return a
}

type addressKey struct{}

// WithAddress is middleware that puts the client's address in the request's
// context. It asks for the Addresses with every request, because a reload of
// the configuration changes them.
//
// The client is the peer of the connection, unless the peer is a trusted proxy.
// Then X-Forwarded-For is read from the right, where the nearest proxy wrote,
// past every trusted address; the first other one is the client. If all are
// trusted it is the leftmost. Several headers of this name are one list. An
// entry that is not an address ends the walk at its right neighbour, or the
// peer: what is left of it was not vouched for. At most 32 entries are
// looked at. Ports, brackets and zones are dropped. The Forwarded header (RFC
// 7239) is ignored: a proxy that does not know it would pass on the client's.
// Handlers behind it find the client alone in X-Forwarded-For, if there was one.
func WithAddress(next http.Handler, addresses func() Addresses) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := addresses().client(r.RemoteAddr, r.Header[forwardedFor])
		r = r.WithContext(context.WithValue(r.Context(), addressKey{}, client))
		if len(r.Header[forwardedFor]) > 0 {
			// Whoever reads it further in, as tracing does, believes all of it.
			r.Header = r.Header.Clone()
			r.Header.Del(forwardedFor)
			if client.IsValid() {
				r.Header.Set(forwardedFor, client.String())
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Address returns the client's address that WithAddress found: without a zone,
// and never an IPv4-mapped one. It is the zero Addr outside of a request, and
// where the peer has no IP address, as on a Unix socket.
func Address(ctx context.Context) netip.Addr {
	client, _ := ctx.Value(addressKey{}).(netip.Addr)
	return client
}

// Bucket returns the key under which an address is limited: an IPv4 address
// whole, an IPv6 address by its /64 network. All clients without an address
// share one key.
func Bucket(client netip.Addr) string {
	client = plain(client)
	if client.Is6() {
		// No address has fewer bits than the prefix.
		network, _ := client.Prefix(bucketBits)
		return network.String()
	}
	if !client.IsValid() {
		return "unknown"
	}
	return client.String()
}

func (a Addresses) client(remote string, lines []string) netip.Addr {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	client := plain(peer.Addr())
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			if hops == maxHops || !a.trusts(client) {
				return client
			}
			hops++
			var entry string
			entry, rest, more = lastEntry(rest)
			hop, ok := parseHop(entry)
			if !ok {
				return client
			}
			client = hop
		}
	}
	return client
}

func (a Addresses) trusts(client netip.Addr) bool {
	for _, network := range a.trusted {
		if network.Contains(client) {
			return true
		}
	}
	return false
}

// lastEntry splits a comma-separated list before its last entry.
func lastEntry(list string) (entry, rest string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	if comma < 0 {
		return list, "", false
	}
	return list[comma+1:], list[:comma], true
}

// parseHop reads one entry: an address, or one with a port; IPv6 with or
// without brackets.
func parseHop(entry string) (netip.Addr, bool) {
	entry = strings.Trim(entry, " \t")
	if withPort, err := netip.ParseAddrPort(entry); err == nil {
		return plain(withPort.Addr()), true
	}
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
		hop, err := netip.ParseAddr(inner)
		return plain(hop), err == nil && hop.Is6()
	}
	hop, err := netip.ParseAddr(entry)
	return plain(hop), err == nil
}

// plain drops what two spellings of one address differ in.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
