# What a person types here. Everything is plain cargo underneath; `make help` lists it.
#
# Needed before: rustup's toolchain, a C compiler, Python 3. The rest is installed by `make setup`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## Tell what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing: rustfmt, clippy, the target wasm32-wasip2
	@command -v cargo >/dev/null || { echo "no cargo on PATH; install Rust from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "no C compiler on PATH; install gcc or clang" >&2; exit 1; }
	@command -v python3 >/dev/null || { echo "no python3 on PATH; install Python 3" >&2; exit 1; }
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	@.ci/guest-target.sh

.PHONY: build
build: setup ## Build target/release/weir, with its plugins inside
	cargo build --release --locked

.PHONY: dist
dist: setup ## Build target/dist/weir as it is shipped: takes twice as long, and is a tenth faster
	cargo build --profile dist --locked

# Only the last step knows that it is static: everything before is as in `dist`, and shared with it.
.PHONY: static
static: setup ## Build target/static, of which the image is made: the same program, static, and certificates
	cargo rustc --profile dist --locked --package weir --bin weir -- -C target-feature=+crt-static -C strip=symbols
	@test -r /etc/ssl/certs/ca-certificates.crt || { echo "no /etc/ssl/certs/ca-certificates.crt; install ca-certificates" >&2; exit 1; }
	rm -rf target/static && mkdir -p target/static/empty
	cp target/dist/weir /etc/ssl/certs/ca-certificates.crt target/static/

.PHONY: image-test
image-test: ## Build the image of target/static with Buildah, as root, and try it; make static comes before
	.ci/image.sh

.PHONY: demo
demo: build ## Serve examples/basic-chat, ask it, rate the answer; ONCE=1 ends then, else Ctrl-C does
	@ONCE=$(ONCE) LISTEN=$(LISTEN) examples/basic-chat/demo.sh target/release/weir

.PHONY: test
test: lint doc ## Check everything: format, lints, documentation, tests
	cargo test --workspace --doc --locked
	@if cargo nextest --version >/dev/null 2>&1; then set -x; cargo nextest run --workspace --locked --no-fail-fast; \
	else set -x; cargo test --workspace --lib --bins --tests --locked --no-fail-fast; fi

.PHONY: test-python
test-python: ## Test the guest runtime of Python nodes; installs what it needs once, by pip, or from WEIR_WHEELS
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -b -s sdk/python/tests -t sdk/python

JCO := @bytecodealliance/jco-transpile@0.15.0

.PHONY: types
types: ## Make the types of Rust and JavaScript nodes of wit/; needs Node.js
	cargo run --locked --package weir-sdk-bindings
	@mkdir -p target/jco && npm install --prefix target/jco --no-save --ignore-scripts --no-audit --no-fund --loglevel=error $(JCO)
	node sdk/javascript/types.mjs target/jco

.PHONY: lint
lint: setup ## Check format and lints alone
	cargo fmt --all --check
	# Guests are workspaces of their own, which cargo does not look into from here.
	git ls-files 'tests/guests/*.rs' 'tests/fuzz/*.rs' 'examples/*.rs' | xargs -r rustfmt --check --edition 2024
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: doc
doc: setup ## Build the documentation of all crates
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

TARGET ?= flow_yaml
SECONDS ?= 60

# What it finds on the way is kept in the target folder, for the next run; a fault is kept in tests/fuzz/artifacts.
.PHONY: fuzz
fuzz: setup ## Search for texts that harm: TARGET=flow_yaml SECONDS=60; see tests/fuzz/fuzz_targets
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	mkdir -p tests/fuzz/target/corpus/$(TARGET)
	cd tests/fuzz && cargo fuzz run --fuzz-dir . --sanitizer none $(TARGET) target/corpus/$(TARGET) corpus/$(TARGET) -- \
		-max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=16384

.PHONY: bench
bench: bench-parts bench-counts bench-whole ## All benchmarks; writes tests/benches/RESULTS.md

.PHONY: bench-whole
bench-whole: dist ## The whole host under load; ONLY="--quick streams" for a glance at some of it
	WEIR_BIN=$(CURDIR)/target/dist/weir cargo bench --workspace --locked --bench whole -- $(ONLY)

.PHONY: bench-parts
bench-parts: setup ## Time the parts of a request, each beside plain Rust; ONLY=redaction for some
	cargo bench --workspace --locked --bench parts -- $(ONLY)

.PHONY: bench-counts
bench-counts: setup ## Hold their instructions against tests/benches/counts.txt; ACCEPT=1 keeps them
	@command -v valgrind >/dev/null || { echo "no valgrind on PATH; install it: apt-get install valgrind" >&2; exit 1; }
	cargo bench --workspace --locked --bench counts -- $(if $(ACCEPT),--accept)
