package outgoing

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// ask puts an address to a guard as the dialer does. Nothing is connected to.
func ask(check control, address netip.Addr) error {
	network := "tcp6"
	if address.Is4() {
		network = "tcp4"
	}
	return check(network, netip.AddrPortFrom(address, 443).String(), nil)
}

// everything is the most that an operator could allow.
func everything() control { return publicGuard(parsePrefixes("0.0.0.0/0", "::/0"), true) }

// alwaysRefused are addresses that no option opens.
const alwaysRefused = `
	0.0.0.0 0.1.2.3 :: 224.0.0.1 239.255.255.255 255.255.255.255 ff02::1 ff0e::1
	169.254.169.254 169.254.170.2 169.254.0.1 fe80::1 fe80::1%eth0 ::1%lo febf::1 fe80::a9fe:a9fe
	168.63.129.16 100.100.100.200 fd00:100::100:200 192.0.0.192 fd00:c1::a9fe:a9fe
	fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42 fd00:a9fe:a9fe::1
	::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
	64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::7f00:1 2002:7f00:1:: 2002:808:808::1 2001::1`

// refusedByDefault are addresses that only an allowed network opens.
const refusedByDefault = `
	127.0.0.1 127.1.2.3 127.255.255.255 ::1
	10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 fc00::1 fd00::1 fdff::1
	100.64.0.1 100.127.255.255 192.0.0.1 192.0.0.8 198.18.0.1 198.19.255.255
	192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1
	192.88.99.1 192.31.196.1 192.52.193.1 192.175.48.1 240.0.0.1 255.255.255.254
	fec0::1 100::1 5f00::1 4000::1 2001:2::1 2001:20::1 2620:4f:8000::1`

func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	for text := range strings.FieldsSeq(alwaysRefused + refusedByDefault) {
		t.Run(text+" is refused by default", func(t *testing.T) {
			t.Parallel()
			if err := ask(publicGuard(nil, false), netip.MustParseAddr(text)); !errors.Is(err, ErrForbiddenAddress) {
				t.Errorf("got %v", err)
			}
		})
	}
	for text := range strings.FieldsSeq(alwaysRefused) {
		t.Run(text+" is refused even when everything is allowed", func(t *testing.T) {
			t.Parallel()
			if err := ask(everything(), netip.MustParseAddr(text)); !errors.Is(err, ErrForbiddenAddress) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAdmittedAddresses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		allowed  string
		loopback bool
		admitted string
		refused  string
	}{
		"public addresses need no option": {
			admitted: "8.8.8.8 93.184.216.34 172.15.255.255 172.32.0.1 168.63.129.15 2606:2800:21f:cb07::1 2a00:1450::1",
		},
		"an allowed network opens itself only": {
			allowed:  "10.1.0.0/16 fd12:3456::/32",
			admitted: "10.1.0.1 10.1.255.255 fd12:3456::1 8.8.8.8",
			refused:  "10.2.0.1 192.168.0.1 127.0.0.1 ::1 fd12:3457::1",
		},
		"an allowed network may be written with host bits": {
			allowed: "10.1.2.3/16", admitted: "10.1.255.255", refused: "10.2.0.1",
		},
		"an allowed link-local network stays shut": {
			allowed: "169.254.0.0/16 169.254.169.254/32 fe80::/10", refused: "169.254.169.254 169.254.1.1 fe80::1",
		},
		"an allowed private network does not open the metadata service inside it": {
			allowed: "fd00::/8 100.64.0.0/10", admitted: "fd00::1 100.64.0.1", refused: "fd00:ec2::254 fd20:ce::254 100.100.100.200",
		},
		"an allowed IPv4-mapped network opens nothing": {
			allowed: "::ffff:10.0.0.0/104", refused: "10.0.0.1 ::ffff:10.0.0.1",
		},
		"loopback opens loopback only": {
			loopback: true, admitted: "127.0.0.1 127.255.255.255 ::1", refused: "0.0.0.0 :: 10.0.0.1 169.254.169.254 fd00::1",
		},
		"everything allowed opens what is private": {
			allowed: "0.0.0.0/0 ::/0", admitted: strings.ReplaceAll(refusedByDefault, "\n", " "),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := publicGuard(parsePrefixes(strings.Fields(c.allowed)...), c.loopback)
			for text := range strings.FieldsSeq(c.admitted) {
				if err := ask(check, netip.MustParseAddr(text)); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
			for text := range strings.FieldsSeq(c.refused) {
				if err := ask(check, netip.MustParseAddr(text)); !errors.Is(err, ErrForbiddenAddress) {
					t.Errorf("%s: got %v", text, err)
				}
			}
		})
	}
}

func TestTheGuardOfPlainHTTPAdmitsLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"127.0.0.1", "127.9.9.9", "::1"} {
		if err := ask(onlyLoopback, netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text := range strings.FieldsSeq("8.8.8.8 10.0.0.1 0.0.0.0 :: 169.254.169.254 2a00:1450::1 fe80::1 64:ff9b::7f00:1") {
		if err := ask(onlyLoopback, netip.MustParseAddr(text)); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestWhatIsNotATCPAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ network, address string }{
		{"tcp4", ""}, {"tcp4", "8.8.8.8"}, {"tcp4", "example.com:443"}, {"tcp4", "127.1:443"}, {"tcp4", "2130706433:443"},
		{"udp4", "8.8.8.8:443"}, {"unix", "/run/some.sock"},
	} {
		if err := everything()(c.network, c.address, nil); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s %q: got %v", c.network, c.address, err)
		}
	}
	if err := onlyLoopback("tcp4", "localhost:80", nil); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("a name: got %v", err)
	}
}

func FuzzGuard(f *testing.F) {
	for text := range strings.FieldsSeq(alwaysRefused + refusedByDefault + " 8.8.8.8 2a00:1450::1") {
		f.Add(netip.MustParseAddr(text).AsSlice())
	}
	strict, lax := publicGuard(nil, false), everything()
	f.Fuzz(func(t *testing.T, raw []byte) {
		address, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		bare := address.Unmap()
		nowhere := bare.IsLinkLocalUnicast() || bare.IsMulticast() || bare.IsUnspecified() || address.Is4In6()
		if nowhere && ask(lax, address) == nil {
			t.Errorf("%s is admitted when everything is allowed", address)
		}
		private := nowhere || bare.IsPrivate() || bare.IsLoopback() || !bare.IsGlobalUnicast()
		if private && ask(strict, address) == nil {
			t.Errorf("%s is admitted by default", address)
		}
		if bare.IsLoopback() != (ask(onlyLoopback, address) == nil) {
			t.Errorf("the guard of plain http is wrong about %s", address)
		}
	})
}
