# Umpire. `make help` lists the targets; a machine needs Go and nothing else.

GO       ?= go
FUZZTIME ?= 30s
# The race detector needs cgo, and a C compiler. It does not watch SQLite, a C library translated to Go, which would
# take ten times as long: what our code does around it is watched.
RACE     := $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null 2>&1 && \
              echo "-race -gcflags=modernc.org/...=-race=false")
REGO     := policies rego_test cmd/umpire/starter/policies examples/photoz/policies tests/testdata/photoz/policies tests/testdata/uma2/policies

.PHONY: help build install run demo test lint vuln bench fuzz

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## build bin/umpire
	$(GO) build -o bin/umpire ./cmd/umpire

install: ## install umpire where `go install` puts programs, and say where that is
	$(GO) install ./cmd/umpire
	@bin=$$($(GO) list -f '{{.Target}}' ./cmd/umpire); echo "installed $$bin"; \
	  [ "$$(command -v umpire)" = "$$bin" ] || echo "for this shell: export PATH=\"$$(dirname "$$bin"):\$$PATH\""

demo: build ## play the story of the photoz example, and stay up
	bin/umpire demo

run: build ## serve the photoz example on 127.0.0.1:8080, data in ./data
	bin/umpire serve --realm examples/photoz/realm.yaml

test: ## run all tests, with the race detector where cgo works
	$(GO) test $(RACE) -timeout 20m ./...

lint: vuln ## gofmt, vet, staticcheck, opa fmt and check, tidy, known vulnerabilities
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt-clean:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) tool opa fmt --fail --list $(REGO)
	$(GO) tool opa check --strict --schema policies/schemas policies rego_test
	$(GO) mod tidy -diff

# govulncheck ends with 3 for what it found, and with 1 for all else: only that it has no database is let pass, and said.
vuln: ## look for known vulnerabilities in what is called, where the database of them can be reached
	@out=$$($(GO) tool govulncheck ./... 2>&1) && exit 0; code=$$?; \
	if [ $$code = 1 ] && echo "$$out" | grep -q 'fetching vulnerabilities'; then \
	  echo "govulncheck: nothing was checked, its database cannot be reached from here"; \
	else echo "$$out"; exit $$code; fi

bench: build ## measure, in one run beside `opa run --server`
	$(GO) run ./tests/bench

fuzz: ## run every fuzz test for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done
