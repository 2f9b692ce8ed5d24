package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/transport"
)

// role is one group of routes that a listener can serve.
type role int

// The roles, by who is meant to reach them.
const (
	// publicRole is for callers and people on their way back.
	publicRole role = iota
	// webhookRole is for providers.
	webhookRole
	// operatorRole is for operators and what watches the process.
	operatorRole
)

// certificateInterval is how late a renewed certificate may be in force.
const certificateInterval = 10 * time.Second

// port is one address and what is served there. Roles that the configuration
// puts on the same address share a port.
type port struct {
	address     string
	roles       map[role]bool
	certificate *transport.Certificate
	server      *http.Server
}

// portsOf groups the listeners by their address.
func portsOf(l config.Listeners) []*port {
	var ports []*port
	add := func(at config.Listener, r role) {
		for _, p := range ports {
			if p.address == at.Address {
				p.roles[r] = true
				return
			}
		}
		ports = append(ports, &port{address: at.Address, roles: map[role]bool{r: true}})
	}
	add(l.Public, publicRole)
	add(l.Webhooks, webhookRole)
	add(l.Operator, operatorRole)
	return ports
}

// openPorts makes the servers of all ports.
func (s *Server) openPorts() error {
	l := s.options.Config.Listeners
	files := map[string]config.TLS{
		l.Public.Address: l.Public.TLS, l.Webhooks.Address: l.Webhooks.TLS, l.Operator.Address: l.Operator.TLS,
	}
	s.ports = portsOf(l)
	for _, p := range s.ports {
		handler, err := s.routes(p.roles)
		if err != nil {
			return err
		}
		p.server = transport.NewHTTPServer(handler, s.log)
		if tls := files[p.address]; tls.Enabled() {
			if p.certificate, err = transport.OpenCertificate(tls.Certificate, tls.Key, s.log); err != nil {
				return err
			}
			p.server.TLSConfig = p.certificate.TLSConfig()
		}
	}
	return nil
}

// Addresses returns where to listen: one address per port, in the order in
// which Serve takes the listeners.
func (s *Server) Addresses() []string {
	addresses := make([]string, 0, len(s.ports))
	for _, p := range s.ports {
		addresses = append(addresses, p.address)
	}
	return addresses
}

// Listening says where each role is served: public, webhooks, operator.
// Listeners are in the order of Addresses.
func (s *Server) Listening(listeners []net.Listener) map[string]string {
	names := map[role]string{publicRole: "public", webhookRole: "webhooks", operatorRole: "operator"}
	where := make(map[string]string, len(names))
	for i, p := range s.ports {
		for r := range p.roles {
			where[names[r]] = listeners[i].Addr().String()
		}
	}
	return where
}

func (p *port) serve(l net.Listener) error {
	if p.roles[publicRole] {
		// Streams are there, and nowhere else.
		l = park.Gather(l)
	}
	if p.certificate != nil {
		return p.server.ServeTLS(l, "", "")
	}
	return p.server.Serve(l)
}

// serveAll serves on every port and returns the first end, with a function that
// waits for the others.
func (s *Server) serveAll(listeners []net.Listener) (first <-chan error, rest func() error) {
	served := make(chan error, len(s.ports))
	for i, p := range s.ports {
		go func() { served <- p.serve(listeners[i]) }()
	}
	waiting := len(s.ports)
	ended := make(chan error, 1)
	go func() { ended <- <-served }()
	return ended, func() error {
		var all []error
		for range waiting - 1 {
			all = append(all, unexpected(<-served))
		}
		return errors.Join(all...)
	}
}

// shutdownAll gives the requests of all ports the same little time; whoever is
// still there then does not read.
func (s *Server) shutdownAll(ctx context.Context) error {
	var stopping sync.WaitGroup
	failed := make([]error, len(s.ports))
	for i, p := range s.ports {
		stopping.Go(func() {
			if err := p.server.Shutdown(ctx); err != nil {
				s.log.WarnContext(ctx, "connections were cut at the end of the drain", "address", p.address, "error", err)
				failed[i] = p.server.Close()
			}
		})
	}
	stopping.Wait()
	return errors.Join(failed...)
}
