package transport_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/transport"
)

// seen returns the address that a handler is told.
func seen(a transport.Addresses, remote string, lines ...string) (client netip.Addr) {
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { client = transport.Address(r.Context()) })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	for _, line := range lines {
		r.Header.Add("X-Forwarded-For", line)
	}
	transport.WithAddress(inner, func() transport.Addresses { return a }).ServeHTTP(httptest.NewRecorder(), r)
	return client
}

func trusting(networks ...string) transport.Addresses {
	var trusted []netip.Prefix
	for _, network := range networks {
		trusted = append(trusted, netip.MustParsePrefix(network))
	}
	return transport.NewAddresses(trusted)
}

func TestTheClientIsWhomTrustedProxiesVouchFor(t *testing.T) {
	t.Parallel()
	const proxy = "10.0.0.1:4711"
	proxies := []string{"10.0.0.0/8", "fd00::/8"}
	many := strings.Repeat("10.0.0.9, ", 31)
	for _, c := range []struct {
		name    string
		trusted []string
		remote  string
		lines   []string
		want    string
	}{
		{"without proxies it is the peer", nil, "198.51.100.7:80", nil, "198.51.100.7"},
		{"without proxies the header says nothing", nil, "198.51.100.7:80", []string{"203.0.113.5"}, "198.51.100.7"},
		{"a peer that is no proxy is not believed", proxies, "198.51.100.7:80", []string{"203.0.113.5"}, "198.51.100.7"},
		{"a proxy that says nothing is the client", proxies, proxy, nil, "10.0.0.1"},
		{"a proxy names the client", proxies, proxy, []string{"203.0.113.5"}, "203.0.113.5"},
		{"what the client wrote itself is left of it", proxies, proxy, []string{"1.1.1.1, 203.0.113.5"}, "203.0.113.5"},
		{"proxies behind proxies are skipped", proxies, proxy, []string{"1.1.1.1, 203.0.113.5, 10.2.0.1,10.3.0.1"}, "203.0.113.5"},
		{"several headers are one list", proxies, proxy, []string{"1.1.1.1, 203.0.113.5", "10.2.0.1", "10.3.0.1, 10.4.0.1"}, "203.0.113.5"},
		{"the last header comes last", proxies, proxy, []string{"203.0.113.5", "198.51.100.7"}, "198.51.100.7"},
		{"if all are proxies it is the leftmost", proxies, proxy, []string{"10.5.0.1, 10.6.0.1"}, "10.5.0.1"},
		{"a malformed entry hides what is left of it", proxies, proxy, []string{"203.0.113.5, unknown, 10.6.0.1"}, "10.6.0.1"},
		{"a malformed first entry leaves the peer", proxies, proxy, []string{"203.0.113.5, unknown"}, "10.0.0.1"},
		{"an empty entry is malformed", proxies, proxy, []string{"203.0.113.5, "}, "10.0.0.1"},
		{"an empty header is malformed", proxies, proxy, []string{"203.0.113.5", ""}, "10.0.0.1"},
		{"a malformed entry left of the client is never read", proxies, proxy, []string{"\"<script>\", 203.0.113.5"}, "203.0.113.5"},
		{"a port is dropped", proxies, proxy, []string{"203.0.113.5:1234"}, "203.0.113.5"},
		{"an impossible port is malformed", proxies, proxy, []string{"203.0.113.5:99999"}, "10.0.0.1"},
		{"IPv6 needs no brackets", proxies, proxy, []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 may have brackets", proxies, proxy, []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 may have a port", proxies, proxy, []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"half a bracket is malformed", proxies, proxy, []string{"[2001:db8::1"}, "10.0.0.1"},
		{"brackets are for IPv6", proxies, proxy, []string{"[203.0.113.5]"}, "10.0.0.1"},
		{"a zone is dropped", proxies, proxy, []string{"fe80::1%eth0"}, "fe80::1"},
		{"a zone does not unmake a proxy", proxies, "[fd00::1%eth0]:80", []string{"203.0.113.5"}, "203.0.113.5"},
		{"IPv4 in IPv6 is IPv4", proxies, "[::ffff:10.0.0.1]:80", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"a network of IPv4 in IPv6 is one of IPv4", []string{"::ffff:10.0.0.0/104"}, proxy, []string{"203.0.113.5"}, "203.0.113.5"},
		{"a network is meant even if a host is named", []string{"10.1.2.3/8"}, proxy, []string{"203.0.113.5"}, "203.0.113.5"},
		{"the thirty-second entry is looked at", proxies, proxy, []string{"203.0.113.5, " + many[:len(many)-2]}, "203.0.113.5"},
		{"the thirty-third is not", proxies, proxy, []string{"203.0.113.5, " + many + "10.0.0.9"}, "10.0.0.9"},
		{"thirty-three headers are no way around", proxies, proxy, append([]string{"203.0.113.5"}, strings.Split(many+"10.0.0.9", ", ")...), "10.0.0.9"},
		{"a Unix socket has no address", proxies, "@", []string{"203.0.113.5"}, "invalid IP"},
		{"garbage is no address", proxies, "gateway:http", []string{"203.0.113.5"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := seen(trusting(c.trusted...), c.remote, c.lines...).String(); got != c.want {
				t.Errorf("the client is %s, not %s", got, c.want)
			}
		})
	}
}

func TestTheForwardedHeaderIsIgnored(t *testing.T) {
	t.Parallel()
	var client netip.Addr
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { client = transport.Address(r.Context()) })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:80"
	r.Header.Set("Forwarded", "for=203.0.113.5")
	a := trusting("10.0.0.0/8")
	transport.WithAddress(inner, func() transport.Addresses { return a }).ServeHTTP(httptest.NewRecorder(), r)
	if client.String() != "10.0.0.1" {
		t.Errorf("the client is %s", client)
	}
}

func TestAReloadChangesWhomToTrust(t *testing.T) {
	t.Parallel()
	var client netip.Addr
	current := trusting()
	handler := transport.WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		client = transport.Address(r.Context())
	}), func() transport.Addresses { return current })
	for network, want := range map[string]string{"10.0.0.0/8": "203.0.113.5", "172.16.0.0/12": "10.0.0.1"} {
		current = trusting(network)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:80"
		r.Header.Set("X-Forwarded-For", "203.0.113.5")
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if client.String() != want {
			t.Errorf("trusting %s, the client is %s", network, client)
		}
	}
}

func TestOutsideOfARequestThereIsNoAddress(t *testing.T) {
	t.Parallel()
	if got := transport.Address(t.Context()); got.IsValid() {
		t.Errorf("there is %s", got)
	}
}

func TestABucketHoldsOneCustomer(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"203.0.113.5":              "203.0.113.5",
		"::ffff:203.0.113.5":       "203.0.113.5",
		"2001:db8:1:2:3:4:5:6":     "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":     "2001:db8:1:2::/64",
		"2001:db8:1:3::":           "2001:db8:1:3::/64",
		"fe80::1%a-zone-of-no-use": "fe80::/64",
	} {
		if got := transport.Bucket(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is in %s, not %s", address, got, want)
		}
	}
	if got := transport.Bucket(netip.Addr{}); got != "unknown" {
		t.Errorf("no address is in %q", got)
	}
}

func FuzzForwardedFor(f *testing.F) {
	for _, header := range []string{"", "203.0.113.5", "10.0.0.1, 10.0.0.2", "[::1]:80, ::ffff:10.0.0.1", ",,,", "10.0.0.1%0", "fd00::1%eth0,"} {
		f.Add(header, header)
	}
	nobody, proxies := trusting(), trusting("10.0.0.0/8", "fd00::/8")
	f.Fuzz(func(t *testing.T, first, second string) {
		const proxy, person = "10.0.0.1", "198.51.100.7"
		for _, peer := range []string{proxy, person} {
			if got := seen(nobody, peer+":80", first, second).String(); got != peer {
				t.Fatalf("with no proxies %q and %q made %s of %s", first, second, got, peer)
			}
		}
		if got := seen(proxies, person+":80", first, second).String(); got != person {
			t.Fatalf("%q and %q from no proxy made %s of %s", first, second, got, person)
		}
		// The proxy appends whom it sees to what the client sent.
		if got := seen(proxies, proxy+":80", first, second+", "+person).String(); got != person {
			t.Fatalf("%q and %q through a proxy made %s of %s", first, second, got, person)
		}
		if got := seen(proxies, proxy+":80", first, second, person+", 10.9.9.9"); got.String() != person {
			t.Fatalf("%q and %q through two proxies made %s of %s", first, second, got, person)
		}
		alone := seen(proxies, proxy+":80", first, second)
		if !alone.IsValid() || alone.Is4In6() || alone.Zone() != "" {
			t.Fatalf("%q and %q made %s", first, second, fmt.Sprintf("%#v", alone))
		}
	})
}
