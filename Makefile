# What people and CI run. Every target does its own set-up.

.DEFAULT_GOAL := help
.PHONY: help setup build build-release demo demo-agents test matrix aarch64 soak load sim fuzz lint deny bench install package

NEXTEST := $(shell cargo nextest --version 2>/dev/null)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building, running and testing need and this machine lacks
	@deploy/setup.sh --tests

build: ## Build everything
	@deploy/setup.sh
	cargo build --workspace --all-targets

build-release: ## Build the three programs as they are installed
	@deploy/setup.sh
	cargo build --release --locked -p coordinator -p outpost-agent -p sprintctl --bins

demo: ## Run the main job end to end, in a temporary directory
	@deploy/setup.sh
	@deploy/demo/demo.sh

demo-agents: setup ## Let claude, codex and grok land a small feature, with a model that follows a script
	cargo build --quiet -p coordinator -p outpost-agent -p sprintctl --bins
	SPRINT_BINARIES_BUILT=1 cargo run --quiet -p sprint-tests --bin demo-agents

test: setup ## Run every test (SPRINT_TEST_SKIP=postgres,netns skips by name what this machine lacks)
	@.ci/test

matrix: setup ## Run the tables of which `make test` runs a cover: each awkward git setting alone, 1,000 hostile workers
	SPRINT_MATRIX=1 cargo test -p sprint-tests --test own_git -- --nocapture
	SPRINT_SEEDS=1000 cargo test -p sprint-tests --test hostile_worker made_up_by_seeds -- --nocapture

AARCH64 = aarch64-unknown-linux-gnu
aarch64: ## Build the outpost's agent for aarch64, and test its filter of system calls there, emulated
	@deploy/setup.sh --aarch64
	rustup target add $(AARCH64)
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64-static -L /usr/aarch64-linux-gnu' \
	cargo test --target $(AARCH64) -p outpost-agent --bin outpost-agent -- syscalls::

SEEDS ?= 10000
MERGES ?= 2000

sim: setup ## Simulate: the coordinator (SEEDS=n), merges against git (MERGES=n), a replay (ARGS='--changes 100 --seed 7'), the merge queue
	SPRINT_SEEDS=$(SEEDS) cargo test -p coordinator --profile fuzz --test simulation -- --nocapture
	SPRINT_CASES=$(MERGES) cargo test -p coordinator --profile fuzz --test merges differential -- --nocapture
	cargo run -p sprint-tests --bin replay -- $(ARGS)
	cargo run --release -p merge-sim -- --verbose

soak: setup ## Run the daemons under load and faults for 10 minutes (ARGS='--time 1h --seed 7')
	cargo run -p sprint-tests --bin soak -- $(ARGS)

load: ## Measure a coordinator under 1,000 simulated outposts (ARGS='--outposts 100 --kills 10')
	@deploy/setup.sh
	cargo run --release -p sprint-tests --bin load -- $(ARGS)

CASES ?= 1000000

fuzz: ## Run every fuzz target with a million cases (or CASES=n); docs/operate/security.md lists them
	@deploy/setup.sh
ifdef NEXTEST
	PROPTEST_CASES=$(CASES) cargo nextest run --workspace --cargo-profile fuzz --no-fail-fast -E 'test(/fuzz_/)'
else
	PROPTEST_CASES=$(CASES) cargo test --workspace --profile fuzz --no-fail-fast fuzz_
endif

lint: ## Check the form: rustfmt, clippy, rustdoc
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace

deny: ## Check licences, banned crates and sources of the dependencies, after deny.toml
	@cargo deny --version >/dev/null 2>&1 || { echo "deny: cargo-deny is not installed; get it with: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny check licenses bans sources

bench: ## Measure, each figure beside its floor
	@deploy/setup.sh
	cargo run --release -p sprint-tests --bin bench
	cargo run --release -p merge-sim -- --plan

install: build-release ## Install programs, completions, man pages and user units (PREFIX=/usr/local or ~/.local, DESTDIR=)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' deploy/install.sh

package: ## Build a static tarball for this architecture, with checksums, in target/package/
	@deploy/setup.sh
	@deploy/package.sh
