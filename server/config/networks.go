package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// The widest networks that may be listed, in bits of their prefix. What is wider
// is no network of anybody's but a catch-all, which 0.0.0.0/1 is as much as
// 0.0.0.0/0; the unique local addresses of IPv6 are a /7 (RFC 4193).
const (
	widestIPv4 = 8
	widestIPv6 = 7
)

// Outgoing says what the gateway's own requests may reach.
type Outgoing struct {
	// AllowedNetworks are the private networks that the names of providers and
	// issuers may resolve to; all other private ones are refused. Each is masked
	// to its network.
	AllowedNetworks []netip.Prefix
}

func (c *checker) trustedProxies() []netip.Prefix {
	return c.networks("trusted_proxies", c.file.TrustedProxies,
		"would let anybody name any address as theirs", func(netip.Prefix) error { return nil })
}

func (c *checker) outgoing() Outgoing {
	return Outgoing{AllowedNetworks: c.networks("outgoing.allowed_networks", c.file.Outgoing.AllowedNetworks,
		"would open every private network at once", c.reachable)}
}

// networks reads networks and single addresses, refusing what is too wide and
// what check refuses.
func (c *checker) networks(list string, entries []string, tooWide string, check func(netip.Prefix) error) []netip.Prefix {
	built := make([]netip.Prefix, 0, len(entries))
	seen := map[string]string{}
	for i, raw := range entries {
		path := element(list, i)
		network, err := parseNetwork(raw)
		if err != nil {
			c.report.checkf(path, "%s %v", quote(raw), err)
			continue
		}
		if bits := network.Bits(); network.Addr().Is4() && bits < widestIPv4 || bits < widestIPv6 {
			c.report.checkf(path, "%s %s; write the networks that are meant, /%d or narrower in IPv4, /%d in IPv6",
				network, tooWide, widestIPv4, widestIPv6)
			continue
		}
		if err := check(network); err != nil {
			c.report.checkf(path, "%s %v", network, err)
			continue
		}
		c.unique(seen, network.String(), network.String(), path, "", "remove one")
		built = append(built, network)
	}
	return built
}

// parseNetwork reads 10.0.0.0/8 or 10.0.0.1, masked to its network.
func parseNetwork(raw string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(raw)
	if address, single := netip.ParseAddr(raw); single == nil {
		if address.Zone() != "" {
			return netip.Prefix{}, errors.New("has a zone; remove the % and what follows")
		}
		network, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	if err != nil {
		return netip.Prefix{}, errors.New("is not a network; write it like 10.0.0.0/8 or fd00::/8, or a single address")
	}
	if network.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("is IPv4 in the form of IPv6; write it like 10.0.0.0/8")
	}
	return network.Masked(), nil
}

// closedNetwork is one that outgoing requests do not reach, and why.
type closedNetwork struct {
	prefix netip.Prefix
	why    string
	// development opens it.
	development bool
}

// closedNetworks are those that the configuration does not open: link-local
// addresses (RFC 3927, RFC 4291), the unspecified address, which is this machine
// by another name (RFC 1122), and loopback.
func closedNetworks() []closedNetwork {
	const (
		metadata = "where clouds keep their metadata; it stays closed, so write the networks that are meant"
		anyHost  = "which stands for this machine; it stays closed, so write the networks that are meant"
		loopback = "this machine itself; loopback is for development only"
	)
	return []closedNetwork{
		{prefix: netip.MustParsePrefix("169.254.0.0/16"), why: metadata},
		{prefix: netip.MustParsePrefix("fe80::/10"), why: metadata},
		{prefix: netip.MustParsePrefix("0.0.0.0/8"), why: anyHost},
		{prefix: netip.MustParsePrefix("::/128"), why: anyHost},
		{prefix: netip.MustParsePrefix("127.0.0.0/8"), why: loopback, development: true},
		{prefix: netip.MustParsePrefix("::1/128"), why: loopback, development: true},
	}
}

// reachable refuses networks that the gateway's requests must never reach.
func (c *checker) reachable(network netip.Prefix) error {
	for _, closed := range closedNetworks() {
		if network.Overlaps(closed.prefix) && (!closed.development || !c.development) {
			return fmt.Errorf("holds addresses of %s, %s", closed.prefix, closed.why)
		}
	}
	return nil
}
