package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/config"
)

func TestNetworksAreReadInNormalForm(t *testing.T) {
	t.Parallel()
	const list = "[10.1.2.3/8, 192.0.2.7, 'fd00:20::7', 'FC00::1/7', 100.64.0.0/10]"
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00:20::7/128"),
		netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("100.64.0.0/10"),
	}
	got := parse(t, minimalWith(t, "trusted_proxies: "+list+"\noutgoing: {allowed_networks: "+list+"}"))
	if !slices.Equal(got.TrustedProxies, want) || !slices.Equal(got.Outgoing.AllowedNetworks, want) {
		t.Errorf("got %v and %v, want %v", got.TrustedProxies, got.Outgoing.AllowedNetworks, want)
	}
}

func TestAProxyMayBeOnLoopback(t *testing.T) {
	t.Parallel()
	got := parse(t, minimalWith(t, "trusted_proxies: [127.0.0.1, '::1']")).TrustedProxies
	if want := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLinkLocalStaysClosedInDevelopment(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"169.254.169.254", "169.254.0.0/16", "169.0.0.0/8", "fe80::1", "fe80::/10", "0.0.0.0/8", "0.0.0.0/0", "::/0"} {
		t.Run(network+" is refused", func(t *testing.T) {
			t.Parallel()
			source := minimalWith(t, "outgoing: {allowed_networks: ['"+network+"']}")
			_, err := config.Parse([]byte(source), "f.yaml", registry(), true)
			if err == nil || !strings.Contains(err.Error(), "outgoing.allowed_networks[0]: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}
