package server

import (
	"cmp"

	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/config"
)

// newBus makes this node's end of the line between nodes; nil where there is
// none. It connects later, and a node serves without: the tail of the transition
// log tells its watchers everything.
func (s *Server) newBus() (*bus.Bus, error) {
	c := s.options.Config.Bus
	options := bus.Options{Receiver: s.hub, Meter: s.metrics, Log: s.log}
	switch c.Kind {
	case config.BusPostgres:
		carrier, err := bus.Postgres(cmp.Or(c.DatabaseURL, s.options.Config.DatabaseURL), s.store.Notify)
		if err != nil {
			return nil, err
		}
		return bus.New(carrier, options), nil
	case config.BusNATS:
		return bus.New(bus.NATS(bus.NATSOptions{
			Servers: c.NATS.Servers, Subject: c.NATS.Subject, Identity: s.store.Identity,
			User: c.NATS.User, Password: c.NATS.Password, Token: c.NATS.Token, Credentials: c.NATS.Credentials,
			CA: c.NATS.CA, Certificate: c.NATS.Certificate, Key: c.NATS.Key,
		}), options), nil
	case config.BusNone:
	}
	return nil, nil
}
