# Every command a person runs. `make` alone lists them.
#
# PG_CONFIG=/path/to/pg_config chooses the PostgreSQL 15 to build for and to test with.

ifdef PG_CONFIG
export PG_CONFIG
endif

.DEFAULT_GOAL := help
.PHONY: help setup install demo demo-down test check bench clean

help: ## List these targets
	@sed -nE 's/^([a-z-]+):[a-z ]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## Install what building and testing need (Debian; only what is missing)
	@scripts/setup

install: ## Build the extension for release and install it
	@scripts/install

demo: setup ## Three sites with standbys, a warehouse, one question over all (KEEP=1 leaves it running)
	@scripts/demo $(if $(KEEP),keep)

demo-down: ## Stop and remove what `make demo KEEP=1` left running
	@scripts/demo down

test: setup ## Run all tests; the last line says how many passed and failed
	@scripts/test

check: ## Formatting and lints, as strict as they get
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: setup ## Measure speed next to postgres_fdw (OPTIONS='--rows 1000000 --only a,d', or --help)
	@scripts/install
	cargo run --release -p warehouse-tests --bin bench -- $(OPTIONS)

clean: demo-down ## Remove everything that was built
	cargo clean
