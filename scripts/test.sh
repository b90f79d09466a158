#!/usr/bin/env bash
# Sets up and tests. Without a word: everything but the long ones. The last line is pytest's.
#   test.sh              checks, Go tests, unit, edge and scenarios (a real Kubernetes, a real Docker engine)
#   test.sh unit [ARGS]  seconds: no Docker, no Kubernetes
#   test.sh slow [ARGS]  the long ones: death at every step, every variant, idle connections, a wheel from nothing
#   test.sh zoo [ARGS]   every manifest of tests/scenarios/zoo, in the shapes that well-known charts render
#   test.sh faults [--write] [NAME…]  every fault, one row each; --write: into docs/reliability.md
#   test.sh soak [--minutes N] [--seed N]  faults at random, ten minutes of them, after three of changes in a live volume
#   test.sh only ARGS    pytest with these arguments, set up as for everything
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
usage() { sed -n '2,9s/^# \{0,1\}//p' scripts/test.sh; }
what=${1:-all}
[ $# -eq 0 ] || shift

# One cluster for all tests, since they wait more than they work: four of them run side by side.
with_cluster() { # command…
  if [ -n "${DEVCLUSTER_TEST_KUBECONFIG:-}" ]; then
    :
  elif [ -n "${DEVCLUSTER_TEST_KEEP:-}" ]; then
    state=${XDG_CACHE_HOME:-$HOME/.cache}/devcluster/test-state
    start_sandbox test
  else
    throwaway_sandbox test
  fi
  "$@"
}

start_sandbox() { # name
  XDG_STATE_HOME=$state devcluster sandbox up --name "$1"
  DEVCLUSTER_TEST_KUBECONFIG=$(XDG_STATE_HOME=$state devcluster sandbox kubeconfig --name "$1")
  export DEVCLUSTER_TEST_KUBECONFIG
}

throwaway_sandbox() { # name: gone at the end, also where its start is broken off
  state=$(mktemp -d)
  trap 'XDG_STATE_HOME=$state devcluster sandbox down --name '"$1"' >/dev/null 2>&1; rm -rf "$state"' EXIT
  start_sandbox "$1"
}

# A sandbox of their own: a kubelet that restarts disturbs everybody.
faults_cluster() { # matrix or soak, arguments…
  case $1 in faults) set -- matrix "${@:2}" ;; esac
  throwaway_sandbox faults
  python -m "tests.faults.$1" "${@:2}"
}

case $what in
  unit) export DEVCLUSTER_SETUP_MACHINE=no; . scripts/setup.sh; exec pytest -q -n 2 tests/unit "$@" ;;
  slow) . scripts/setup.sh; with_cluster pytest -m slow -n 4 --no-loadscope-reorder "$@"; exit ;;
  zoo) . scripts/setup.sh; with_cluster pytest tests/scenarios/zoo -n 4 --no-loadscope-reorder "$@"; exit ;;
  only) . scripts/setup.sh; with_cluster pytest "$@"; exit ;;
  faults) . scripts/setup.sh; faults_cluster "$what" "$@"; exit ;;
  soak)
    . scripts/setup.sh
    DEVCLUSTER_LIVE_MINUTES=3 pytest -q tests/edge/test_live_property.py # random changes of both sides of a volume
    faults_cluster "$what" "$@"; exit ;;
  all) ;;
  -h | --help) usage; exit ;;
  *) usage >&2; exit 2 ;;
esac

. scripts/setup.sh
bash scripts/checks.sh
say "Go tests"
for module in agent sandbox/node tests/apps; do
  (cd "$module" && CGO_ENABLED=0 go test -trimpath ./...)
done
say "Python tests"
with_cluster pytest -m "not slow" -n 4 --no-loadscope-reorder --durations=15 "$@"
