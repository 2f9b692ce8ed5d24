package outgoing_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/verigate/verigate/server/outgoing"
)

// isRefused also takes the word of a machine that has no IPv6 at all.
func isRefused(err error) bool {
	return errors.Is(err, outgoing.ErrForbiddenAddress) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func TestEveryWayToWriteLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	server := tlsTarget(t, ok)
	client := newClient(t, outgoing.Options{RootCAs: server.roots()})
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.255.255.254", "0.0.0.0", "[::1]", "[::]",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	} {
		if _, err := get(t, client, "https://"+host+server.port()); !isRefused(err) {
			t.Errorf("%s: got %v", host, err)
		}
	}
	// Some resolvers read these as addresses, others know no such name.
	for _, host := range []string{"127.1", "2130706433", "0177.0.0.1", "0"} {
		_, err := get(t, client, "https://"+host+server.port())
		if _, unknown := errors.AsType[*net.DNSError](err); !unknown && !isRefused(err) {
			t.Errorf("%s: got %v", host, err)
		}
	}
	obliging := newClient(t, outgoing.Options{RootCAs: server.roots(), Resolver: nameServer(t, always("127.0.0.1"))})
	for _, host := range []string{"0x7f000001", "example.com", "127.0.0.1.example.com"} {
		if _, err := get(t, obliging, "https://"+host+server.port()); !isRefused(err) {
			t.Errorf("%s: got %v", host, err)
		}
	}
	if n := server.connections.Load(); n != 0 {
		t.Errorf("the server saw %d connections", n)
	}
}

func TestPrivateAndMetadataAddressesAreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	client := newClient(t, outgoing.Options{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")}})
	for _, host := range []string{"10.0.0.1", "192.168.0.1", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16"} {
		if _, err := get(t, client, "https://"+host+"/"); !isRefused(err) {
			t.Errorf("%s: got %v", host, err)
		}
	}
}

func TestANameThatTurnsIntoLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	server := tlsTarget(t, ok)
	first := true
	resolver := nameServer(t, func() []netip.Addr {
		if first {
			first = false
			return always("93.184.216.34")()
		}
		return always("127.0.0.1")()
	})
	checked, err := resolver.LookupNetIP(t.Context(), "ip4", "example.com")
	if err != nil || len(checked) != 1 || checked[0].Unmap().String() != "93.184.216.34" {
		t.Fatalf("a check beforehand saw %v, %v; want the public address", checked, err)
	}
	client := newClient(t, outgoing.Options{RootCAs: server.roots(), Resolver: resolver})
	if _, err := get(t, client, "https://example.com"+server.port()); !errors.Is(err, outgoing.ErrForbiddenAddress) {
		t.Errorf("got %v", err)
	}
	if n := server.connections.Load(); n != 0 {
		t.Errorf("the server saw %d connections", n)
	}
}

func TestEachAddressOfANameIsJudgedOnItsOwn(t *testing.T) {
	t.Parallel()
	server := tlsTarget(t, ok)
	client := newClient(t, outgoing.Options{
		RootCAs: server.roots(), Resolver: nameServer(t, always("169.254.169.254", "127.0.0.1")),
		AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if got := readAll(t, mustGet(t, client, "https://example.com"+server.port())); got != "ok" {
		t.Errorf("got %q", got)
	}
}

func TestARefusalSaysNothingAboutTheNetwork(t *testing.T) {
	t.Parallel()
	client := newClient(t, outgoing.Options{Resolver: nameServer(t, always("10.20.30.40"))})
	_, err := get(t, client, "https://example.com/path?token=query-marker")
	if !errors.Is(err, outgoing.ErrForbiddenAddress) {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "10.20.30.40") {
		t.Errorf("the error names the address: %v", err)
	}
	if wrapper, ok := errors.AsType[*url.Error](err); !ok || strings.Contains(wrapper.Err.Error(), "query-marker") {
		t.Errorf("the cause holds the query: %v", err)
	}
}

func TestWhatOptionsOpen(t *testing.T) {
	t.Parallel()
	secure, plain := tlsTarget(t, ok), plainTarget(t, ok)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	t.Run("an allowed network can be reached over https", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, outgoing.Options{RootCAs: secure.roots(), AllowedNetworks: loopback})
		if got := readAll(t, mustGet(t, client, secure.URL)); got != "ok" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("an allowed network cannot be reached over http", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, outgoing.Options{AllowedNetworks: loopback})
		if _, err := get(t, client, plain.URL); !errors.Is(err, outgoing.ErrForbiddenURL) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("loopback can be reached over http and https", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, outgoing.Options{RootCAs: secure.roots(), Loopback: true})
		for _, address := range []string{secure.URL, plain.URL, "http://localhost" + plain.port(), "http://LOCALHOST" + plain.port()} {
			if got := readAll(t, mustGet(t, client, address)); got != "ok" {
				t.Errorf("%s: got %q", address, got)
			}
		}
	})
	t.Run("a server with an unknown certificate is not trusted", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, outgoing.Options{Loopback: true})
		_, err := get(t, client, secure.URL)
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); !untrusted {
			t.Errorf("got %v", err)
		}
	})
}

// bodyWatch tells when a request body is closed.
type bodyWatch struct {
	io.Reader
	closed bool
}

func (b *bodyWatch) Close() error { b.closed = true; return nil }

func TestRefusedURLs(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		url      string
		loopback bool
		remedy   string
	}{
		"http to a name":                            {url: "http://example.com/", remedy: "use https"},
		"http to loopback without the option":       {url: "http://127.0.0.1/", remedy: "use https"},
		"http to a name with the option":            {url: "http://example.com/", loopback: true, remedy: "use https"},
		"http to a private address with the option": {url: "http://10.0.0.1/", loopback: true, remedy: "use https"},
		"http to a short form of loopback":          {url: "http://127.1/", loopback: true, remedy: "use https"},
		"http to a look-alike of localhost":         {url: "http://localhost.example.com/", loopback: true, remedy: "use https"},
		"ftp":                                       {url: "ftp://example.com/", remedy: "use https"},
		"a file":                                    {url: "file:///etc/passwd", remedy: "https://host/path"},
		"no scheme":                                 {url: "//example.com/", remedy: "use https"},
		"no host":                                   {url: "https:///path", remedy: "https://host/path"},
		"an opaque URL":                             {url: "https:example.com", remedy: "https://host/path"},
		"a user name":                               {url: "https://user-marker@example.com/", remedy: "remove them"},
		"a password":                                {url: "https://u:user-marker@example.com/", remedy: "remove them"},
		"a user name over loopback":                 {url: "http://user-marker@127.0.0.1/", loopback: true, remedy: "remove them"},
	}
	for name, c := range cases {
		t.Run(name+" is refused before anything is resolved", func(t *testing.T) {
			t.Parallel()
			resolver := nameServer(t, func() []netip.Addr { t.Error("the name was looked up"); return nil })
			client := newClient(t, outgoing.Options{Loopback: c.loopback, Resolver: resolver})
			body := &bodyWatch{Reader: strings.NewReader("{}")}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"?token=query-marker", body)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Transport.RoundTrip(req)
			if !errors.Is(err, outgoing.ErrForbiddenURL) || !strings.Contains(err.Error(), c.remedy) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "marker") {
				t.Errorf("the error holds part of the URL: %v", err)
			}
			if !body.closed {
				t.Error("the request body was left open")
			}
		})
	}
}

// Not parallel: it sets the environment. The host is a name, because the
// standard library's own choice of a proxy leaves loopback addresses out.
func TestProxiesInTheEnvironmentAreIgnored(t *testing.T) {
	proxy := plainTarget(t, ok)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	server := tlsTarget(t, ok)
	client := newClient(t, outgoing.Options{RootCAs: server.roots(), Loopback: true, Resolver: nameServer(t, always("127.0.0.1"))})
	if got := readAll(t, mustGet(t, client, "https://example.com"+server.port())); got != "ok" {
		t.Errorf("got %q", got)
	}
	if n := proxy.connections.Load(); n != 0 {
		t.Errorf("the proxy saw %d connections", n)
	}
}
