# Sourced by the other scripts: where things are, how to report, and a private directory.
# After sourcing it, the working directory is the root of the repository.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-target}

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# The pgrx version of Cargo.toml; cargo-pgrx has to be the same.
pgrx_version() { sed -n 's/^pgrx *= *"=\([0-9.]*\)".*/\1/p' Cargo.toml; }

# The pg_config that `cargo pgrx init` was told for PostgreSQL 15, if any.
pgrx_pg_config() {
  sed -n 's/^pg15 *= *"\(.*\)"/\1/p' "${PGRX_HOME:-$HOME/.pgrx}/config.toml" 2>/dev/null || true
}

# Sets PG_CONFIG if it is not set: pgrx's, Debian's, or the one in the path.
find_pg_config() {
  local candidate
  [ -z "${PG_CONFIG:-}" ] || { export PG_CONFIG; return 0; }
  for candidate in "$(pgrx_pg_config)" /usr/lib/postgresql/15/bin/pg_config "$(command -v pg_config)"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      export PG_CONFIG=$candidate
      return 0
    fi
  done
  return 1
}

# Sets PG_CONFIG and checks that everything a build needs is there.
need_setup() {
  command -v cargo >/dev/null || fail "cargo not found: install Rust from https://rustup.rs"
  find_pg_config || fail "no pg_config found: run \`make setup\` or set PG_CONFIG"
  "$PG_CONFIG" --version >/dev/null 2>&1 || fail "$PG_CONFIG does not run: set PG_CONFIG to a pg_config"
  cargo pgrx --version >/dev/null 2>&1 || fail "cargo-pgrx not found: run \`make setup\`"
}

# Creates a private directory that the servers' user can pass through and prints its path.
# TMPDIR counts; without it, memory is used when there is plenty: clusters are created faster there.
private_dir() {
  local parent=${TMPDIR:-/tmp} free dir
  if [ -z "${TMPDIR:-}" ]; then
    free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || free=0
    [ "${free:-0}" -lt 4194304 ] || parent=/dev/shm
  fi
  dir=$(mktemp -d "$parent/warehouse.XXXXXX")
  chmod 711 "$dir"
  printf '%s\n' "$dir"
}

# Stops every server whose data is below the directory and removes the directory.
remove_private_dir() {
  scripts/stop-clusters "$1"
  rm -rf -- "$1"
}

# Runs a command in a process group of its own, as `job`, and waits for it; its status is returned.
# A signal to the script is answered at once: see `end_job`.
job=
run_job() {
  local status=0
  set -m
  "$@" </dev/null &
  job=$!
  set +m
  wait "$job" || status=$?
  job=
  return $status
}

# Ends the running job, first gently.
end_job() {
  local tries=100
  [ -n "$job" ] || return 0
  kill -TERM -- "-$job" 2>/dev/null || return 0
  while pgrep -g "$job" -r D,R,S,T >/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
  kill -KILL -- "-$job" 2>/dev/null || true
}
