# Verigate. `make` lists what there is to do.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := $(CURDIR)/.tmp/bin
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
export GOBIN := $(BIN)

# Tools, pinned. A stamp per version, so that a new pin installs anew.
GOLANGCI_VERSION      := v2.15.0
SQLC_VERSION          := v1.31.1
PROTOC_GEN_GO_VERSION := v1.36.12
CONNECT_VERSION       := v2.0.2
PROTOVALIDATE_VERSION := v1.2.2

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

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

node_modules/.package-lock.json: package.json package-lock.json clients/ts/package.json
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
generate: third-party node_modules/.package-lock.json $(BIN)/.sqlc-$(SQLC_VERSION) $(BIN)/.protoc-gen-go-$(PROTOC_GEN_GO_VERSION) $(BIN)/.protoc-gen-connect-go-$(CONNECT_VERSION) ## Rebuild gen/ from proto/ and db/
	buf format -w proto
	buf generate
	sqlc generate
