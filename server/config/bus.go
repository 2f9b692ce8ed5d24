package config

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/verigate/verigate/server/secret"
)

// BusKind is what carries hints between nodes.
type BusKind string

// The kinds of bus. The zero kind is none.
const (
	// BusNone is for a single node, or for several that leave all to the tail of
	// the transition log.
	BusNone BusKind = "none"
	// BusPostgres is NOTIFY and LISTEN in the gateway's database.
	BusPostgres BusKind = "postgres"
	// BusNATS is NATS core.
	BusNATS BusKind = "nats"
)

// Bus says how nodes tell each other what changed.
type Bus struct {
	Kind BusKind
	// DatabaseURL is how to reach Postgres for the connection that listens; empty
	// for Config.DatabaseURL.
	DatabaseURL secret.Value
	// NATS is set for BusNATS only.
	NATS NATS
}

// NATS says where NATS is, and how to sign in there.
type NATS struct {
	// Servers are URLs of one scheme, nats:// or tls://, without credentials; there
	// is at least one.
	Servers []string
	// Subject is the subject of the hints; empty for one that is made from the
	// database.
	Subject string
	// User and Password, Token, or Credentials, which is the text of a .creds file;
	// all of them are empty where NATS asks nobody.
	User                         string
	Password, Token, Credentials secret.Value
	// CA is the path of the authorities to trust in PEM form, Certificate and Key
	// those of the client's own pair; empty for the system's authorities, and for
	// none. They exist and fit when the configuration is read.
	CA, Certificate, Key string
}

// busSection may be a single value too.
type busSection struct {
	short    string
	Postgres busPostgresEntry `yaml:"postgres"`
	NATS     busNATSEntry     `yaml:"nats"`
}

func (b *busSection) setShort(value string) { b.short = value }

type busPostgresEntry struct {
	DatabaseURL secret.Value `yaml:"database_url"`
}

type busNATSEntry struct {
	Servers     []string     `yaml:"servers"`
	Subject     string       `yaml:"subject"`
	User        string       `yaml:"user"`
	Password    secret.Value `yaml:"password"`
	Token       secret.Value `yaml:"token"`
	Credentials secret.Value `yaml:"credentials"`
	TLS         busTLSEntry  `yaml:"tls"`
}

type busTLSEntry struct {
	CA          string `yaml:"ca"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

const (
	schemeNATS = "nats"
	schemeTLS  = "tls"
	// writeBus is what may stand at bus.
	writeBus = "write postgres, none, or where NATS is, such as nats://nats.internal:4222"
	// credentialsMark stands in every .creds file.
	credentialsMark = "BEGIN NATS USER JWT"
	maxSubject      = 128
)

var subjectPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

func (c *checker) bus() Bus {
	const path = "bus"
	short := c.file.Bus.short
	postgres, nats := c.report.written(path+".postgres"), c.report.written(path+".nats")
	switch {
	case !c.report.written(path), short == string(BusPostgres):
		return Bus{Kind: BusPostgres}
	case short == string(BusNone):
		return Bus{Kind: BusNone}
	case strings.HasPrefix(short, schemeNATS+"://"), strings.HasPrefix(short, schemeTLS+"://"):
		return Bus{Kind: BusNATS, NATS: NATS{Servers: c.natsServers(path, []string{short}, func(int) string { return path })}}
	case postgres && nats:
		c.report.checkf(path, "has both postgres and nats; keep one of them")
	case postgres:
		return c.busOnPostgres(path + ".postgres")
	case nats:
		return Bus{Kind: BusNATS, NATS: c.nats(path+".nats", c.file.Bus.NATS)}
	default:
		// What stands there is not repeated: it may be a URL with a password.
		c.report.checkf(path, "names no bus; %s", writeBus)
	}
	return Bus{}
}

func (c *checker) busOnPostgres(path string) Bus {
	at, dsn := path+".database_url", c.file.Bus.Postgres.DatabaseURL
	if dsn.Empty() {
		c.report.checkf(at, "is missing; write a reference to the Postgres URL of the connection that listens, or bus: postgres if it is that of database_url")
	}
	return Bus{Kind: BusPostgres, DatabaseURL: c.postgresAddress(at, dsn)}
}

func (c *checker) nats(path string, entry busNATSEntry) NATS {
	servers := path + ".servers"
	if len(entry.Servers) == 0 {
		c.report.checkf(servers, "is missing; list at least one address, such as nats://nats.internal:4222")
	}
	if subject := entry.Subject; c.report.written(path+".subject") && (!subjectPattern.MatchString(subject) || len(subject) > maxSubject) {
		c.report.checkf(path+".subject", "%s is not a subject; write up to %d letters, digits, - and _ in words with dots between them, such as verigate.production",
			quote(subject), maxSubject)
	}
	c.signIn(path, entry)
	c.natsTLS(path, entry)
	return NATS{
		Servers: c.natsServers(servers, entry.Servers, func(i int) string { return element(servers, i) }),
		Subject: entry.Subject, User: entry.User, Password: entry.Password, Token: entry.Token, Credentials: entry.Credentials,
		CA: entry.TLS.CA, Certificate: entry.TLS.Certificate, Key: entry.TLS.Key,
	}
}

// natsServers checks the addresses; at says where each of them stands.
func (c *checker) natsServers(list string, servers []string, at func(i int) string) []string {
	built := make([]string, 0, len(servers))
	seen := map[string]string{}
	scheme := ""
	for i, raw := range servers {
		u, err := parseNATS(raw)
		if err != nil {
			c.report.checkf(at(i), "%v", err)
			continue
		}
		if scheme != "" && u.Scheme != scheme {
			c.report.checkf(at(i), "begins with %s:// and an earlier one with %s://; TLS is for all servers of %s or for none", u.Scheme, scheme, list)
		}
		scheme = u.Scheme
		c.unique(seen, u.Host, u.Host, at(i), "", "remove one")
		built = append(built, u.String())
	}
	return built
}

// parseNATS reads the address of a NATS server. Its errors do not repeat it.
func parseNATS(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || (u.Scheme != schemeNATS && u.Scheme != schemeTLS) {
		return nil, errors.New("is not the address of a NATS server; write it like nats://nats.internal:4222, or tls://nats.internal:4222 for TLS")
	}
	u.Host = strings.ToLower(u.Host)
	switch {
	case u.User != nil:
		return nil, errors.New("must not contain a user name, password or token; remove everything up to the @, and write references under bus.nats: user and password, token, or credentials")
	case !isHost(u.Hostname()):
		return nil, errors.New("must name a host in plain ASCII, such as nats.internal")
	case strings.HasSuffix(u.Host, ":") || !isPort(u.Port()):
		return nil, errors.New("has a port that does not exist; it must be between 1 and 65535")
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return nil, errors.New("must end with the host and port; remove what follows")
	}
	u.Path = ""
	return u, nil
}

// signIn checks that there is at most one whole way to sign in.
func (c *checker) signIn(path string, entry busNATSEntry) {
	written := func(key string) bool { return c.report.written(path + "." + key) }
	ways := 0
	for _, way := range []bool{written("user") || written("password"), written("token"), written("credentials")} {
		if way {
			ways++
		}
	}
	if ways > 1 {
		c.report.checkf(path, "has more than one of user with password, token, and credentials; keep the one that NATS asks for")
	}
	if written("user") || written("password") {
		c.required(path+".user", entry.User, "write the user that password belongs to")
		if entry.Password.Empty() {
			c.report.checkf(path+".password", "is missing; write a reference to the user's password, ${ENV_NAME} or file:/path")
		}
	}
	if text := entry.Credentials.Reveal(); text != "" && !strings.Contains(text, credentialsMark) {
		c.report.checkf(path+".credentials", "refers to something that is not a credentials file of NATS; write file: and the path of one")
	}
}

// natsTLS checks the files that belong to TLS.
func (c *checker) natsTLS(path string, entry busNATSEntry) {
	at := path + ".tls"
	if !c.report.written(at) || c.report.unread(at) {
		return
	}
	if len(entry.Servers) > 0 && !strings.HasPrefix(entry.Servers[0], schemeTLS+"://") {
		c.report.checkf(at, "is for servers whose addresses begin with tls://; write them so, or remove it")
	}
	own := c.report.written(at+".certificate") || c.report.written(at+".key")
	if entry.TLS.CA == "" && !own {
		c.report.checkf(at, "names no file; write ca, or certificate and key, or remove it")
	}
	if entry.TLS.CA != "" {
		if _, err := readPEM(entry.TLS.CA, "certificate", func(kind string) bool { return kind == certificateBlock }); err != nil {
			c.report.checkf(at+".ca", "%v; write the path of the authorities' certificates", err)
		}
	}
	if own {
		c.tls(at, tlsEntry{Certificate: entry.TLS.Certificate, Key: entry.TLS.Key})
	}
}
