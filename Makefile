# libsamsa: every check and every build step is defined here, once. `make help` lists the targets.

PREFIX      ?= /usr/local
DESTDIR     ?=
INCLUDEDIR  ?= $(PREFIX)/include
LIBDIR      ?= $(PREFIX)/lib
DOCDIR      ?= $(PREFIX)/share/doc/libsamsa
CARGO       ?= cargo
CC          ?= cc
CXX         ?= c++
CFLAGS      ?= -O2 -g
WARNINGS     = -Wall -Wextra -Wpedantic -Werror

VERSION     := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SOVERSION   := $(firstword $(subst ., ,$(VERSION)))
RELEASE      = target/release
LIBRARY      = $(RELEASE)/libsamsa.so
PROGRAMS     = $(patsubst examples-c/%.c,target/examples-c/%,$(filter-out $(wildcard examples-c/*_text.c),$(wildcard examples-c/*.c)))
SOURCES      = Cargo.toml Cargo.lock build.rs $(shell find src -name '*.rs')

.DEFAULT_GOAL = all
.DELETE_ON_ERROR:

## all: the shared and the static library, and the programs of examples-c/
.PHONY: all
all: $(LIBRARY) target/static/libsamsa.a examples

# Without the Rust library beside them the two C libraries get link-time optimisation.
$(LIBRARY): $(SOURCES)
	$(CARGO) rustc --release --locked --lib --crate-type cdylib,staticlib
	ln -sf libsamsa.so $(RELEASE)/libsamsa.so.$(SOVERSION)
	touch -c $@

target/static/libsamsa.a: $(LIBRARY) scripts/static-library.sh
	scripts/static-library.sh $(RELEASE)/libsamsa.a include/samsa.h include/samsa_testing.h $@

## examples: the C programs of examples-c/, into target/examples-c/
.PHONY: examples
examples: $(PROGRAMS)

target/examples-c/%: examples-c/%.c $(wildcard examples-c/*.h) include/samsa.h $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) -Iinclude $< -o $@ -L$(RELEASE) -lsamsa -Wl,-rpath,'$$ORIGIN/../release'

## demo: installs what is missing, starts the embedded broker, runs the example programs against it
.PHONY: demo
demo:
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory examples
	@scripts/demo.sh

## setup: installs everything that `make check` needs (Debian's packages; asks nothing)
.PHONY: setup
setup:
	@scripts/setup.sh check

## check: sets up and runs every test: Rust, C, C++, Ruby, Go, Python, real brokers
.PHONY: check
check: setup
	@$(MAKE) --no-print-directory check-rust check-c check-bindings check-install check-memory check-brokers

## check-rust: the library's tests, those on the embedded broker, forced panics
.PHONY: check-rust
check-rust:
	$(CARGO) test --locked --features panic-injection

## check-c: headers, exported symbols, abuse, fork, panics; also under AddressSanitizer
.PHONY: check-c
check-c: $(LIBRARY) check-header
	tests/c/run.sh
	tests/c/run.sh --asan

## check-header: the committed headers are what cbindgen makes of src/ffi today
.PHONY: check-header
check-header:
	scripts/header.sh --check

## check-bindings: Ruby, Go and Python publish and consume on the embedded broker
.PHONY: check-bindings
check-bindings: $(LIBRARY)
	tests/bindings/run.sh

## check-install: installed into an empty folder and used as a stranger would
.PHONY: check-install
check-install: all
	tests/install/run.sh

## check-memory: what 1,000 idle partitions and a held backlog of 1 GB take, by a program in C
.PHONY: check-memory
check-memory: examples
	tests/memory/run.sh

## check-brokers: real Kafka 0.8.2 to 4.3 and the peers (SAMSA_RELEASES=4.3.1 limits them)
.PHONY: check-brokers
check-brokers: examples
	$(CARGO) test --locked --test brokers

## check-all: check, and what is too long for each run: many random cases, optimised, long workloads
.PHONY: check-all
check-all: check
	PROPTEST_CASES=5000 $(CARGO) test --locked --release --features panic-injection
	SAMSA_LONG=1 $(CARGO) test --locked --release --test brokers

## bench: libsamsa beside librdkafka, franz-go and Java, all rows (docs/performance.md)
.PHONY: bench
bench: bench-programs
	python3 bench/run.py
	python3 bench/groups.py
	target/bench/legacy >target/bench/legacy.txt
	cat target/bench/legacy.txt
	python3 bench/plot.py

## bench-quick: the most telling rows of the bench, in a few minutes
.PHONY: bench-quick
bench-quick: bench-programs
	python3 bench/run.py --quick

## bench-legacy: what Kafka 0.7 costs the client beside today's, in a minute
.PHONY: bench-legacy
bench-legacy: bench-programs
	target/bench/legacy

## bench-publish: the last bench into docs/performance.md and docs/performance.svg
.PHONY: bench-publish
bench-publish:
	python3 bench/publish.py

.PHONY: bench-programs
bench-programs:
	@scripts/setup.sh bench
	@$(MAKE) --no-print-directory $(LIBRARY) examples
	bench/build.sh

## microbench: what encoding, decoding, checksums, partitioners and the accumulator cost
.PHONY: microbench
microbench:
	$(CARGO) bench --locked --bench records --bench producer

## lint: formatting of Rust and C, clippy, rustdoc, shell, the bench programs
.PHONY: lint
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --features panic-injection -- -D warnings
	$(CARGO) clippy --locked --test brokers -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --document-private-items --quiet
	scripts/lint-text.sh
	bench/build.sh --lint

## fmt: formats Rust and C
.PHONY: fmt
fmt:
	$(CARGO) fmt
	clang-format -i examples-c/*.[ch] tests/*/*.[ch] bench/*.[ch]

## header: writes include/*.h anew from src/ffi
.PHONY: header
header:
	scripts/header.sh

## notices: writes packaging/NOTICES.txt anew: the licences of what the library links
.PHONY: notices
notices:
	scripts/notices.py

## install: into $(DESTDIR)$(PREFIX): library, headers, samsa.pc, documentation, licences
.PHONY: install
install: $(LIBRARY) target/static/libsamsa.a
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(DOCDIR)
	install -m 755 $(LIBRARY) $(DESTDIR)$(LIBDIR)/libsamsa.so.$(VERSION)
	strip --strip-unneeded $(DESTDIR)$(LIBDIR)/libsamsa.so.$(VERSION)
	ln -sf libsamsa.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libsamsa.so.$(SOVERSION)
	ln -sf libsamsa.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libsamsa.so
	install -m 644 target/static/libsamsa.a $(DESTDIR)$(LIBDIR)/libsamsa.a
	install -m 644 include/samsa.h include/samsa_testing.h include/samsa.hpp $(DESTDIR)$(INCLUDEDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' packaging/samsa.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/samsa.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/samsa.pc
	install -m 644 LICENSE packaging/NOTICES.txt README.md CHANGELOG.md $(wildcard docs/*.md) $(DESTDIR)$(DOCDIR)

## uninstall: removes what install put there
.PHONY: uninstall
uninstall:
	rm -f $(DESTDIR)$(LIBDIR)/libsamsa.so $(DESTDIR)$(LIBDIR)/libsamsa.so.$(SOVERSION) \
	    $(DESTDIR)$(LIBDIR)/libsamsa.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libsamsa.a \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/samsa.pc \
	    $(addprefix $(DESTDIR)$(INCLUDEDIR)/,samsa.h samsa_testing.h samsa.hpp)
	rm -rf $(DESTDIR)$(DOCDIR)

## clean: removes everything that was built, fetched jars included
.PHONY: clean
clean:
	rm -rf target

## help: this list
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | awk -F': ' '{ printf "  %-15s %s\n", $$1, $$2 }'
