package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/secret"
)

// serveNATS runs a NATS server on a loopback port.
func serveNATS(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}
	if change != nil {
		change(options)
	}
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

// identity stands for a database.
func identity(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return name, nil }
}

func onNATS(s *server.Server) bus.NATSOptions {
	return bus.NATSOptions{Servers: []string{s.ClientURL()}, Identity: identity("one")}
}

func TestNodesOnNATSHearEachOther(t *testing.T) {
	t.Parallel()
	s := serveNATS(t, nil)
	one, two := join(t, bus.NATS(onNATS(s))), join(t, bus.NATS(onNATS(s)))
	talk(t, one, two)
	many(t, one, two)
}

func TestGatewaysOnOneNATSDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	s := serveNATS(t, nil)
	other, named := onNATS(s), onNATS(s)
	other.Identity, named.Subject = identity("other"), "hints.of.mine"
	one, two := join(t, bus.NATS(onNATS(s))), join(t, bus.NATS(onNATS(s)))
	for _, stranger := range []*node{join(t, bus.NATS(other)), join(t, bus.NATS(named))} {
		talk(t, one, two)
		stranger.mu.Lock()
		if len(stranger.heard) != 0 {
			t.Errorf("a stranger heard %v", stranger.heard)
		}
		stranger.mu.Unlock()
	}
}

func TestANATSThatStartsAnewIsAGap(t *testing.T) {
	t.Parallel()
	s, line := serveNATS(t, nil), lay(t)
	line.lead(s.Addr().String())
	options := onNATS(s)
	options.Servers = []string{"nats://" + line.listener.Addr().String()}
	one, two := join(t, bus.NATS(options)), join(t, bus.NATS(options))
	talk(t, one, two)
	onesGaps, twosGaps := one.gaps(), two.gaps()
	s.Shutdown()
	s.WaitForShutdown()
	one.until("notices", func() bool { return !one.connected })
	one.publish(uuid.New(), 1)
	one.until("drops what it cannot send", func() bool { return one.dropped[bus.DroppedUnsent] > 0 })
	line.lead(serveNATS(t, nil).Addr().String())
	one.wantsGapAfter(onesGaps)
	two.wantsGapAfter(twosGaps)
	talk(t, one, two)
}

// TestAReceiverThatIsTooSlow makes the client drop messages: a gap, and what
// comes later is heard.
func TestAReceiverThatIsTooSlow(t *testing.T) {
	t.Parallel()
	s := serveNATS(t, nil)
	slow := join(t, bus.NATS(onNATS(s)))
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	gaps := slow.gaps()
	slow.mu.Lock() // the next hint waits for this
	const far, hint = 5000, "0123456789abcdef 01890a5dac96774bbcceb302099a8057:1"
	for range far {
		if err := conn.Publish(bus.SubjectPrefix+"one", []byte(hint)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	// The server has all of it; it drops none, but the client will.
	for delivered := false; !delivered; {
		statistics, err := s.Connz(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range statistics.Conns {
			delivered = delivered || c.OutMsgs >= far
		}
	}
	slow.mu.Unlock()
	slow.wantsGapAfter(gaps)
	talk(t, slow, join(t, bus.NATS(onNATS(s))))
}

func TestSigningIn(t *testing.T) {
	t.Parallel()
	byUser := serveNATS(t, func(o *server.Options) { o.Username, o.Password = "verigate", "pass word" })
	byToken := serveNATS(t, func(o *server.Options) { o.Authorization = "a-token" })
	for name, test := range map[string]struct {
		at            *server.Server
		right, wrong  func(*bus.NATSOptions)
		secretOfWrong string
	}{
		"user": {
			byUser,
			func(o *bus.NATSOptions) { o.User, o.Password = "verigate", secret.New("pass word") },
			func(o *bus.NATSOptions) { o.User, o.Password = "verigate", secret.New("hunter2") }, "hunter2",
		},
		"token": {
			byToken,
			func(o *bus.NATSOptions) { o.Token = secret.New("a-token") },
			func(o *bus.NATSOptions) { o.Token = secret.New("hunter3") }, "hunter3",
		},
	} {
		t.Run("by "+name, func(t *testing.T) {
			t.Parallel()
			good, bad := onNATS(test.at), onNATS(test.at)
			test.right(&good)
			test.wrong(&bad)
			talk(t, join(t, bus.NATS(good)), join(t, bus.NATS(good)))
			refused := run(t, bus.NATS(bad))
			text := refused.warning()
			if !strings.Contains(text, "Authorization Violation") || strings.Contains(text, test.secretOfWrong) {
				t.Errorf("the log: %s", text)
			}
		})
	}
}

// TestAUserThatMayNotSubscribe is told what to allow.
func TestAUserThatMayNotSubscribe(t *testing.T) {
	t.Parallel()
	s := serveNATS(t, func(o *server.Options) {
		none := &server.SubjectPermission{Deny: []string{">"}}
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{Subscribe: none}}}
	})
	options := onNATS(s)
	options.User, options.Password = "u", secret.New("p")
	text := run(t, bus.NATS(options)).warning()
	if !strings.Contains(text, bus.SubjectPrefix+">") || !strings.Contains(text, "bus.nats.subject") {
		t.Errorf("the log: %s", text)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	authority, key := certificate(t, nil, nil)
	serverChain, serverKey := certificate(t, authority, key)
	clientChain, clientKey := certificate(t, authority, key)
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	s := serveNATS(t, func(o *server.Options) {
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, patience.Seconds()
		o.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
			Certificates: []tls.Certificate{{Certificate: [][]byte{serverChain.Raw}, PrivateKey: serverKey}},
		}
	})
	options := onNATS(s)
	options.CA = written(t, "CERTIFICATE", authority.Raw)
	options.Certificate = written(t, "CERTIFICATE", clientChain.Raw)
	der, err := x509.MarshalPKCS8PrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	options.Key = written(t, "PRIVATE KEY", der)
	talk(t, join(t, bus.NATS(options)), join(t, bus.NATS(options)))
	stranger, _ := certificate(t, nil, nil)
	options.CA = written(t, "CERTIFICATE", stranger.Raw)
	if text := run(t, bus.NATS(options)).warning(); !strings.Contains(text, "certificate signed by unknown authority") {
		t.Errorf("the log: %s", text)
	}
}

// certificate makes one for 127.0.0.1, signed by an authority or by itself.
func certificate(t *testing.T, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if authority == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		authority, authorityKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

func written(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
