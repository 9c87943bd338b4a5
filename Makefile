# What people and CI run. Every target does its own set-up.

.DEFAULT_GOAL := help
.PHONY: help setup build demo test soak load sim fuzz lint bench

NEXTEST := $(shell cargo nextest --version 2>/dev/null)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: git, tmux, a C compiler, and PostgreSQL for tests
	@deploy/setup.sh --tests

build: ## Build everything
	@deploy/setup.sh
	cargo build --workspace --all-targets

demo: ## Run the main job end to end, in a temporary directory
	@deploy/setup.sh
	@deploy/demo/demo.sh

test: setup ## Run every test
ifdef NEXTEST
	cargo nextest run --workspace
	cargo test --workspace --doc
else
	cargo test --workspace
endif

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

fuzz: ## Run every fuzz target with a million cases (or CASES=n); docs/security.md lists them
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

bench: ## Measure, each figure beside its floor
	@deploy/setup.sh
	cargo run --release -p sprint-tests --bin bench
