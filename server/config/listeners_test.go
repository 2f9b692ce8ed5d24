package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/config"
)

// listenersOf writes the addresses of three listeners; empty for the operator's
// leaves it out.
func listenersOf(public, webhooks, operator string) string {
	if operator == "" {
		return fmt.Sprintf("listeners: {public: {address: %q}, webhooks: {address: %q}}", public, webhooks)
	}
	return fmt.Sprintf("listeners: {public: {address: %q}, webhooks: {address: %q}, operator: {address: %q}}", public, webhooks, operator)
}

func TestListenersThatMayStandTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ public, webhooks, operator, want string }{
		"three ports":                        {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:1 127.0.0.1:2 127.0.0.1:3"},
		"one port for public and webhooks":   {":8080", ":8080", ":8082", ":8080 :8080 :8082"},
		"one port written in two ways":       {"127.0.0.1:8080", "[::ffff:127.0.0.1]:08080", ":8082", "127.0.0.1:8080 127.0.0.1:8080 :8082"},
		"one name in two cases":              {"Gateway:80", "gateway:80", ":81", "gateway:80 gateway:80 :81"},
		"one port on three addresses":        {"10.0.0.1:80", "10.0.0.2:80", "127.0.0.1:80", "10.0.0.1:80 10.0.0.2:80 127.0.0.1:80"},
		"IPv4 beside an address of IPv6":     {"0.0.0.0:80", "0.0.0.0:81", "[0::1]:80", "0.0.0.0:80 0.0.0.0:81 [::1]:80"},
		"ports that the system chooses":      {"127.0.0.1:0", "127.0.0.1:0", "0.0.0.0:0", "127.0.0.1:0 127.0.0.1:0 0.0.0.0:0"},
		"a name beside an address elsewhere": {"localhost:80", "10.0.0.1:80", ":81", "localhost:80 10.0.0.1:80 :81"},
	} {
		t.Run(name+" are accepted", func(t *testing.T) {
			t.Parallel()
			l := parse(t, minimalWith(t, listenersOf(test.public, test.webhooks, test.operator))).Listeners
			if got := l.Public.Address + " " + l.Webhooks.Address + " " + l.Operator.Address; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestListenersThatGetInEachOthersWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ public, webhooks, operator, want string }{
		"the operator's calls on the public port": {
			":1", "127.0.0.1:2", ":1", "listeners.operator.address: is :1, but listeners.public.address on line 25 is :1: whoever reaches",
		},
		"the operator's calls on the webhooks' port": {
			":1", "127.0.0.1:2", "127.0.0.1:02", "listeners.operator.address: is 127.0.0.1:2, but listeners.webhooks.address on line 25 is 127.0.0.1:2: whoever",
		},
		"the operator's calls behind all interfaces": {
			"0.0.0.0:8080", ":1", "127.0.0.1:8080", "listeners.operator.address: is 127.0.0.1:8080, but listeners.public.address on line 25 is 0.0.0.0:8080",
		},
		"all interfaces for the operator's calls": {
			"10.0.0.1:8080", ":1", "[::]:8080", "listeners.operator.address: is [::]:8080, but listeners.public.address",
		},
		"the operator's calls under a name of the same": {
			"127.0.0.1:80", ":1", "LOCALHOST:80", "listeners.operator.address: is localhost:80, but listeners.public.address",
		},
		"one address that the system completes": {
			"127.0.0.1:0", ":1", "127.0.0.1:0", "listeners.operator.address: is 127.0.0.1:0, but listeners.public.address",
		},
		"a port that is the operator's by default": {
			":8082", ":1", ":8082", "give them a port of their own, such as 127.0.0.1:8083",
		},
		"webhooks on the operator's port by default": {
			":1", "127.0.0.1:8082", "", "listeners.operator.address: is 127.0.0.1:8082 by default, but listeners.webhooks.address on line 25 is 127.0.0.1:8082",
		},
		"webhooks on nearly the public address": {
			":8080", "127.0.0.1:8080", ":1", "listeners.webhooks.address: is 127.0.0.1:8080, but listeners.public.address on line 25 is :8080, on the same port; write exactly",
		},
		"a host that is none": {
			"-:80", ":1", ":2", `listeners.public.address: "-:80" is not an address`,
		},
		"a port that is negative": {
			":80", ":-1", ":2", `listeners.webhooks.address: ":-1" is not an address; write host:port, such as 127.0.0.1:8081, or :8081 for all`,
		},
	} {
		t.Run(name+" are refused", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(minimalWith(t, listenersOf(test.public, test.webhooks, test.operator))), "f.yaml")
			if !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got:\n%s\nwant one problem with:\n%s", got, test.want)
			}
		})
	}
}

func TestADevelopmentGatewayMayServeAllOnOnePort(t *testing.T) {
	t.Parallel()
	source := minimalWith(t, listenersOf("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1"))
	if _, err := config.Parse([]byte(source), "f.yaml", registry(), true); err != nil {
		t.Error(err)
	}
	if got := problemsOf(t, []byte(source), "f.yaml"); strings.Count(got, "\n") != 1 {
		t.Errorf("one mistake is not one problem:\n%s", got)
	}
	source = minimalWith(t, listenersOf("127.0.0.1:1", "127.0.0.1:1", ":1"))
	if _, err := config.Parse([]byte(source), "f.yaml", registry(), true); err == nil || !strings.Contains(err.Error(), "exactly the same address") {
		t.Errorf("got %v", err)
	}
}

func tlsOf(certificate, key string) string {
	return fmt.Sprintf("{certificate: %q, key: %q}", certificate, key)
}

func TestACertificateIsNamed(t *testing.T) {
	t.Parallel()
	made := newPair(t)
	chain := write(t, "chain.pem", "a comment\n"+made.certificate+newPair(t).certificate)
	key := write(t, "key.pem", block("EC PARAMETERS", []byte{1})+made.key)
	got := parse(t, minimalWith(t, "listeners:\n"+
		"  public: {address: ':1', tls: "+tlsOf(chain, key)+"}\n"+
		"  webhooks: {address: ':1', tls: "+tlsOf(chain, key)+"}")).Listeners
	if want := (config.TLS{Certificate: chain, Key: key}); got.Public.TLS != want || got.Webhooks.TLS != want || !got.Public.TLS.Enabled() {
		t.Errorf("got %+v", got)
	}
	if got.Operator.TLS != (config.TLS{}) || got.Operator.TLS.Enabled() {
		t.Errorf("the operator's listener has %+v", got.Operator.TLS)
	}
}

func TestACertificateThatCannotServe(t *testing.T) {
	t.Parallel()
	made, other := newPair(t), newPair(t)
	chain, key := write(t, "chain.pem", made.certificate), write(t, "key.pem", made.key)
	secretText := write(t, "text.pem", "LEAK-content of a file\n"+block("LEAK-KIND", []byte("LEAK-content")))
	damaged := write(t, "damaged.pem", block("CERTIFICATE", []byte("LEAK-content")))
	for name, test := range map[string]struct{ certificate, key, path, want string }{
		"a certificate that does not exist": {chain + "x", key, "certificate", quoted(chain+"x") + " does not exist; write the path of the certificate chain"},
		"a key that does not exist":         {chain, key + "x", "key", quoted(key+"x") + " does not exist; write the path of the certificate's private key"},
		"a path through a file":             {filepath.Join(chain, "x"), key, "certificate", quoted(filepath.Join(chain, "x")) + " cannot be read"},
		"a directory":                       {filepath.Dir(chain), key, "certificate", quoted(filepath.Dir(chain)) + " is not a file"},
		"a device":                          {chain, os.DevNull, "key", quoted(os.DevNull) + " is not a file"},
		"a certificate that is text":        {secretText, key, "certificate", "holds no certificate in PEM form"},
		"a key that is text":                {chain, secretText, "key", "holds no private key in PEM form"},
		"a certificate that is a key":       {key, key, "certificate", "holds no certificate in PEM form"},
		"a key that is a certificate":       {chain, chain, "key", "holds no private key in PEM form"},
		"a certificate that is damaged":     {damaged, key, "certificate", "is damaged; write the file anew"},
		"a key of another certificate":      {chain, write(t, "other.pem", other.key), "key", "is not the private key of the certificate in " + quoted(chain)},
		"a key with a passphrase":           {chain, write(t, "sealed.pem", block("ENCRYPTED PRIVATE KEY", []byte("LEAK-content"))), "key", "or has a passphrase"},
		"a certificate without a path":      {"", key, "certificate", "is missing; write the path of the certificate chain"},
		"a key without a path":              {chain, "", "key", "is missing; write the path of the certificate's private key"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(minimalWith(t, "listeners: {operator: {tls: "+tlsOf(test.certificate, test.key)+"}}")), "f.yaml")
			if !strings.HasPrefix(got, "f.yaml:25: listeners.operator.tls."+test.path+": ") || !strings.Contains(got, test.want) ||
				strings.Count(got, "\n") != 1 {
				t.Errorf("got:\n%s\nwant one problem with %s: %s", got, test.path, test.want)
			}
			if strings.Contains(got, "LEAK") {
				t.Errorf("a problem repeats what is in a file: %s", got)
			}
		})
	}
}

func TestOnePortHasOneCertificate(t *testing.T) {
	t.Parallel()
	made := newPair(t)
	chain, key := write(t, "chain.pem", made.certificate), write(t, "key.pem", made.key)
	for name, webhooks := range map[string]string{
		"a plain listener":    "{address: ':1'}",
		"another certificate": "{address: ':1', tls: " + tlsOf(write(t, "copy.pem", made.certificate), key) + "}",
	} {
		t.Run(name+" on the port of public is refused", func(t *testing.T) {
			t.Parallel()
			source := minimalWith(t, "listeners:\n  public: {address: ':1', tls: "+tlsOf(chain, key)+"}\n  webhooks: "+webhooks)
			want := "f.yaml:27: listeners.webhooks.tls: must be the same as listeners.public.tls, whose port it shares; " +
				"write the same certificate and key for both, or another port\n"
			if got := problemsOf(t, []byte(source), "f.yaml"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func quoted(path string) string { return fmt.Sprintf("%q", path) }
