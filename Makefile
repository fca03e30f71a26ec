# `make help` says what there is.

ARGS ?=
CALLS ?= 200
ROUNDS ?= 3

.PHONY: help run build deb test bench fmt fuzz-dtls

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: tools ## start ringway; without ARGS="--config FILE" it is the demo on http://127.0.0.1:8080
	cargo run --release --locked -p control --bin ringway -- $(ARGS)

build: tools ## build the release binary, target/release/ringway
	cargo build --release --locked -p control --bin ringway

deb: tools ## build the Debian package, target/debian/*.deb
	@tests/install.sh package
	PATH="$$PATH:$(CURDIR)/target/tools/bin" control/debian/build.sh

test: ## run every test; installs what the machine lacks
	tests/run.sh

bench: tools ## compare ringway with rtpengine and a bare reflector, as root: table, bench/results/
	@tests/install.sh bench
	@mkdir -p bench/results
	cargo build --release --locked -p bench --bin ringway-bench
	bench/compare.sh $(CALLS) $(ROUNDS)

fuzz-dtls: tools ## RINGWAY_EXECUTIONS=10000000 random DTLS handshakes on two cores: is there a panic?
	cargo test --locked -p tests --test conformance -- --ignored --nocapture fuzz_dtls

fmt: ## format the Rust sources
	cargo fmt --all

.PHONY: tools
tools:
	@tests/install.sh build
