#!/usr/bin/env bash
# Names every tool that the tests need and this machine lacks, with the command
# that installs it on Debian or Ubuntu. `--install` runs that command.
set -euo pipefail

packages=()
missing=0

# need <what people call it> <package, or - for none> <command or path>...
need() {
  local name=$1 package=$2
  shift 2
  for candidate in "$@"; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then return; fi
  done
  missing=1
  if [ "$package" = - ]; then
    echo "missing tool: $name" >&2
  else
    echo "missing tool: $name; apt-get install $package" >&2
    packages+=("$package")
  fi
}

need "Go 1.26 or newer" - go
need "Node 20 or newer" - node
need npm - npm
need git git git
need curl curl curl
need openssl openssl openssl
need "JDK 17 or newer" openjdk-17-jdk-headless javac
need Maven maven mvn
need Chromium chromium "${CHROMIUM:-}" chromium chromium-browser google-chrome
need "Python 3" python3 python3
need nginx nginx nginx /usr/sbin/nginx
need HAProxy haproxy haproxy /usr/sbin/haproxy
need Caddy caddy caddy

if command -v python3 >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then
  missing=1
  echo "missing tool: pip; apt-get install python3-pip" >&2
  packages+=(python3-pip)
fi

if [ "${1:-}" = --install ] && [ ${#packages[@]} -gt 0 ]; then
  # The packages' own services stay off: the tests start what they need.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  exit
fi
exit "$missing"
