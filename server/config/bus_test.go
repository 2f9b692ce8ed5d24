package config_test

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/secret"
)

func revealed(name string) secret.Value { return secret.New(environment()[name]) }

func TestBuses(t *testing.T) {
	t.Parallel()
	made := newPair(t)
	certificate, key := write(t, "client.pem", made.certificate), write(t, "client.key", made.key)
	for name, test := range map[string]struct {
		bus  string
		want config.Bus
	}{
		"none":     {"none", config.Bus{Kind: config.BusNone}},
		"postgres": {"postgres", config.Bus{Kind: config.BusPostgres}},
		"a listener of its own": {
			`{postgres: {database_url: "${VERIGATE_LISTENER_DATABASE_URL}"}}`,
			config.Bus{Kind: config.BusPostgres, DatabaseURL: revealed("VERIGATE_LISTENER_DATABASE_URL")},
		},
		"NATS": {
			"nats://NATS.internal:4222",
			config.Bus{Kind: config.BusNATS, NATS: config.NATS{Servers: []string{"nats://nats.internal:4222"}}},
		},
		"NATS over TLS": {
			"tls://[::1]/",
			config.Bus{Kind: config.BusNATS, NATS: config.NATS{Servers: []string{"tls://[::1]"}}},
		},
		"servers with a user": {
			`{nats: {servers: ["nats://a", "nats://b:1"], user: u, password: "${VERIGATE_NATS_PASSWORD}", subject: a-1.b_2}}`,
			config.Bus{Kind: config.BusNATS, NATS: config.NATS{
				Servers: []string{"nats://a", "nats://b:1"}, Subject: "a-1.b_2", User: "u", Password: revealed("VERIGATE_NATS_PASSWORD"),
			}},
		},
		"a token": {
			`{nats: {servers: ["nats://a"], token: "${VERIGATE_NATS_TOKEN}"}}`,
			config.Bus{Kind: config.BusNATS, NATS: config.NATS{Servers: []string{"nats://a"}, Token: revealed("VERIGATE_NATS_TOKEN")}},
		},
		"credentials and files": {
			`{nats: {servers: ["tls://a"], credentials: "${VERIGATE_NATS_CREDENTIALS}", tls: {ca: ` + certificate + `, certificate: ` + certificate + `, key: ` + key + `}}}`,
			config.Bus{Kind: config.BusNATS, NATS: config.NATS{
				Servers: []string{"tls://a"}, Credentials: revealed("VERIGATE_NATS_CREDENTIALS"), CA: certificate, Certificate: certificate, Key: key,
			}},
		},
	} {
		t.Run(name+" is a bus", func(t *testing.T) {
			t.Parallel()
			if got := parse(t, minimalWith(t, "bus: "+test.bus)).Bus; !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestBusesThatAreNone(t *testing.T) {
	t.Parallel()
	made := newPair(t)
	certificate := write(t, "client.pem", made.certificate)
	for name, test := range map[string]struct{ bus, want string }{
		"a word":              {"redis", "bus: names no bus; write postgres, none, or where NATS is, such as nats://nats.internal:4222"},
		"an address":          {"http://user:LEAK@host", "bus: names no bus; write"},
		"no text":             {"''", "bus: names no bus; write"},
		"no key":              {"{}", "bus: names no bus; write"},
		"nothing":             {"", "bus: has no value; write one or remove the key"},
		"a list":              {"[postgres]", "bus: must be keys and values"},
		"a reference":         {"${VERIGATE_NATS_TOKEN}", "bus: references such as ${NAME} are for secrets only; write the value itself"},
		"both":                {"{postgres: {}, nats: {}}", "bus: has both postgres and nats; keep one of them"},
		"a typing error":      {"{postgre: {}}", "bus.postgre: is not a key here; did you mean postgres?"},
		"a password":          {"nats://u:LEAK@host", "bus: must not contain a user name, password or token; remove everything up to the @, and write references under bus.nats: user and password, token, or credentials"},
		"no host":             {"nats://", "bus: must name a host in plain ASCII, such as nats.internal"},
		"two in one":          {"nats://a,nats://b", "bus: must name a host in plain ASCII"},
		"a missing address":   {"{postgres: {}}", "bus.postgres.database_url: is missing; write a reference to the Postgres URL of the connection that listens, or bus: postgres if it is that of database_url"},
		"a written address":   {"{postgres: {database_url: 'postgres://u:LEAK@h/d'}}", "bus.postgres.database_url: write a reference, ${ENV_NAME} or file:/path, never the secret itself"},
		"another address":     {`{postgres: {database_url: "${VERIGATE_NATS_TOKEN}"}}`, "bus.postgres.database_url: refers to something that is not a Postgres address"},
		"no servers":          {"{nats: {user: u, password: \"${VERIGATE_NATS_PASSWORD}\"}}", "bus.nats.servers: is missing; list at least one address, such as nats://nats.internal:4222"},
		"a user alone":        {"{nats: {servers: ['nats://a'], user: u}}", "bus.nats.password: is missing; write a reference to the user's password"},
		"a password alone":    {`{nats: {servers: ["nats://a"], password: "${VERIGATE_NATS_PASSWORD}"}}`, "bus.nats.user: is missing; write the user that password belongs to"},
		"two ways to sign in": {`{nats: {servers: ["nats://a"], token: "${VERIGATE_NATS_TOKEN}", credentials: "${VERIGATE_NATS_CREDENTIALS}"}}`, "bus.nats: has more than one of user with password, token, and credentials; keep the one that NATS asks for"},
		"other credentials":   {`{nats: {servers: ["nats://a"], credentials: "${VERIGATE_NATS_TOKEN}"}}`, "bus.nats.credentials: refers to something that is not a credentials file of NATS"},
		"TLS by half":         {"{nats: {servers: ['nats://a'], tls: {ca: " + certificate + "}}}", "bus.nats.tls: is for servers whose addresses begin with tls://"},
		"TLS with nothing":    {"{nats: {servers: ['tls://a'], tls: {}}}", "bus.nats.tls: names no file; write ca, or certificate and key, or remove it"},
		"a long subject":      {"{nats: {servers: ['nats://a'], subject: " + strings.Repeat("a", 129) + "}}", "is not a subject; write up to 128 letters"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(minimalWith(t, "bus: "+test.bus)), "f.yaml")
			if !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 || strings.Contains(got, "LEAK") {
				t.Errorf("got:\n%s\nwant only:\n%s", got, test.want)
			}
		})
	}
}

func TestBusesThatAreSeldomMeant(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bus, want string
	}{
		"NATS in the clear":          {"nats://nats.internal", "bus reaches NATS on another machine without TLS"},
		"NATS on this machine":       {"nats://127.0.0.1", ""},
		"NATS over TLS":              {"tls://nats.internal", ""},
		"a listener in the clear":    {`{postgres: {database_url: "${VERIGATE_LISTENER_DATABASE_URL}"}}`, "bus.postgres.database_url reaches another machine"},
		"the same as the database's": {"postgres", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			for _, warning := range parse(t, minimalWith(t, "bus: "+test.bus)).Warnings() {
				if strings.HasPrefix(warning, "bus") {
					got += warning
				}
			}
			if !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestTheExampleShowsTheOtherBus takes the comment away from the settings of
// NATS, and puts them in place of those of Postgres.
func TestTheExampleShowsTheOtherBus(t *testing.T) {
	t.Parallel()
	source := exampleSource(t)
	_, block, found := strings.Cut(source, "#     bus:\n#       nats:\n")
	block, _, end := strings.Cut(block, "#\n# Default: postgres\nbus:\n")
	if !found || !end {
		t.Fatal("the example has no settings of NATS, or not before those of Postgres")
	}
	block = "  nats:\n" + strings.ReplaceAll("\n"+block, "\n#     ", "\n")[1:]
	before, after, _ := strings.Cut(source, "\nbus:\n  # The settings of Postgres as")
	_, after, _ = strings.Cut(after, "\n\n")
	other := before + "\nbus:\n" + block + "\n" + after
	got := parse(t, other).Bus
	if got.Kind != config.BusNATS || len(got.NATS.Servers) != 2 || got.NATS.User == "" || got.NATS.CA == "" {
		t.Errorf("got %+v", got)
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(other), &document); err != nil {
		t.Fatal(err)
	}
	comments := commentsOf(document.Content[0], "")
	for _, key := range config.FileKeys() {
		name, isNATS := strings.CutPrefix(key, "bus.nats.")
		if isNATS && comments[key] == "" && !strings.Contains(block, "\n    # "+name+": ") {
			t.Errorf("verigate.example.yaml does not show and explain %s", key)
		}
	}
}
