# `make help` lists the targets. They need Go; `make test` with the race detector also needs a C compiler.

GO       ?= go
FUZZTIME ?= 30s
KEYCLOAK ?= http://127.0.0.1:8180
# The race detector needs cgo and a C compiler. SQLite, a C library translated to Go, is compiled without it: with it
# the tests would take ten times as long. modernc.org/sqlite itself is compiled with it: it uses sync.Map, whose code, being
# generic, the linker would take from there for the whole program, so that the detector would not see what it orders.
RACE     := $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null 2>&1 && \
              echo "-race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false")
# The commands, the whole server and tests/scale are tested without the race detector, with which they would take a
# quarter of an hour; with it run the tests of the whole server in which much happens at once.
RACES    := Race|Slow|Ended|Ends|LogService|Confirm|Withdrawn|Stop
# With the race detector the tests that compare many random decisions compare few. Without it they compare 20,000, and
# TestEncodeAgrees as many records as rapid is told; `make fuzz` has them all compare 100,000.
RANDOM   := Agrees$$
# The lint vets. With GOGC=400 the garbage collector runs less often: with 100 it takes a fifth of the processor time of the tests.
TEST     := GOGC=400 $(GO) test -vet=off -timeout 20m
# The contract of the stores without rows in memory. With the race detector run the same tests with rows in memory.
CONTRACT := ^TestStore(Spans)?$$
# The tests of the whole server are run a second time on PostgreSQL and without caches, but not those of neither: of documents, and
# of where policies come from. Those that repeat a race repeat it less often.
NOSTORE  := Document|Import|Signed|Bundle|Registry|OPA|Gates|Nested
# On PostgreSQL these are repeated as often as on SQLite.
KILLS    := ^TestKill(OneOfTwo|LeaseHolder)?$$
# Tests on PostgreSQL start one of their own from these programs, or use that of the URL UMPIRE_TEST_POSTGRES.
POSTGRES := $(or $(UMPIRE_TEST_POSTGRES),$(wildcard /usr/lib/postgresql/*/bin/initdb),$(shell command -v initdb))

.PHONY: help build install run demo test test-clients lint vuln bench fuzz

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: ## build bin/umpire
	$(GO) build -o bin/umpire ./cmd/umpire

install: ## install umpire with `go install`, and print its path
	$(GO) install ./cmd/umpire
	@bin=$$($(GO) list -f '{{.Target}}' ./cmd/umpire); echo "installed $$bin"; \
	  [ "$$(command -v umpire)" = "$$bin" ] || echo "not in PATH; run: export PATH=\"$$(dirname "$$bin"):\$$PATH\""

demo: build ## run the photoz example: a server, a resource server and a walk through UMA
	bin/umpire demo

run: build ## serve the photoz example on 127.0.0.1:8080, with its data in ./data
	bin/umpire serve --realm examples/photoz/realm.yaml

test: ## run all tests, those of the whole server also on PostgreSQL; where cgo works, packages and what happens at once with the race detector
	@$(if $(POSTGRES),,echo "tests on PostgreSQL are skipped: install it (on Debian: apt-get install postgresql), or set UMPIRE_TEST_POSTGRES")
	$(TEST) $(RACE) $(if $(RACE),-skip '$(CONTRACT)') $$($(GO) list ./... | grep -v -e '/cmd/umpire$$' -e '/umpire/tests$$' -e '/tests/scale$$')
	@[ -z "$(RACE)" ] || $(TEST) -parallel 4 -run '$(CONTRACT)' ./store/sqlite ./store/postgres
	@[ -z "$(RACE)" ] || $(TEST) $(RACE) -run '$(RACES)' ./tests
	@[ -z "$(RACE)" ] || $(TEST) -run '$(RANDOM)' ./engine -rapid.checks=10000
	$(TEST) ./cmd/umpire ./tests ./tests/scale
	UMPIRE_TEST_STORE=postgres UMPIRE_CACHES=none $(TEST) -count=1 -parallel 4 -short -skip '$(NOSTORE)|$(KILLS)' ./tests
	UMPIRE_TEST_STORE=postgres $(TEST) -count=1 -parallel 4 -run '$(KILLS)' ./tests

# The Keycloak has the administrator admin, whose password is admin: bin/kc.sh start-dev --http-port=8180
test-clients: ## test with a real Keycloak at KEYCLOAK (http://127.0.0.1:8180), if one answers there
	@if curl -sf -o /dev/null $(KEYCLOAK)/realms/master; then UMPIRE_KEYCLOAK=$(KEYCLOAK) $(GO) test -count=1 -run '^TestKeycloakAsIssuer$$' ./tests; \
	else echo "test-clients: skipped, because no Keycloak answers at $(KEYCLOAK)"; fi

# What `opa fmt --fail` and `opa check --strict --schema` check is checked with OPA's packages, by tests: the command takes a minute to compile.
lint: vuln ## check the code: gofmt, vet, staticcheck, errcheck, opa fmt and check, go mod tidy, govulncheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt-clean:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	GOGC=400 $(GO) tool staticcheck ./...
	$(GO) tool errcheck -ignoretests -exclude .ci/errcheck.exclude ./...
	$(GO) test -vet=off -run '^Test(Format|Library|Realms)$$' ./rego_test
	$(GO) mod tidy -diff

# govulncheck exits with 3 if it found vulnerabilities, and with 1 for other errors. Only an unreachable database is
# tolerated, and reported.
vuln: ## run govulncheck, if its database can be reached
	@out=$$($(GO) tool govulncheck ./... 2>&1) && exit 0; code=$$?; \
	if [ $$code = 1 ] && echo "$$out" | grep -q 'fetching vulnerabilities'; then \
	  echo "govulncheck: not checked, because its database cannot be reached"; \
	else echo "$$out"; exit $$code; fi

bench: build ## measure performance, next to `opa run --server`; BENCH='-only cold' has the flags of tests/bench
	$(GO) run ./tests/bench $(BENCH)

fuzz: ## run each fuzz test for FUZZTIME (30s)
	$(TEST) -run '$(RANDOM)' ./engine -rapid.checks=100000
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done
