#!/usr/bin/env bash
# Sets up and tests. Without a word: everything but the long ones. The last line is pytest's.
#   test.sh              checks, Go tests, unit, edge and scenarios (a real Kubernetes, a real Docker engine)
#   test.sh unit [ARGS]  seconds: no Docker, no Kubernetes
#   test.sh slow [ARGS]  the long ones: idle connections, a wheel built from nothing
#   test.sh faults [--write] [NAME…]  every fault, one row each; --write: into docs/reliability.md
#   test.sh soak [--minutes N] [--seed N]  faults at random, ten minutes of them
#   test.sh only ARGS    pytest with these arguments, set up as for everything
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
what=${1:-all}
[ $# -eq 0 ] || shift

# One cluster for all tests, since they wait more than they work: four of them run side by side.
with_cluster() { # command…
  if [ -z "${DEVCLUSTER_TEST_KUBECONFIG:-}" ]; then
    state=$(mktemp -d)
    [ -z "${DEVCLUSTER_TEST_KEEP:-}" ] || state=${XDG_CACHE_HOME:-$HOME/.cache}/devcluster/test-state
    XDG_STATE_HOME=$state devcluster sandbox up --name test
    DEVCLUSTER_TEST_KUBECONFIG=$(XDG_STATE_HOME=$state devcluster sandbox kubeconfig --name test)
    export DEVCLUSTER_TEST_KUBECONFIG
    [ -n "${DEVCLUSTER_TEST_KEEP:-}" ] ||
      trap 'XDG_STATE_HOME=$state devcluster sandbox down --name test >/dev/null 2>&1; rm -rf "$state"' EXIT
  fi
  "$@"
}

# A sandbox of their own: a kubelet that restarts disturbs everybody.
faults_cluster() { # matrix or soak, arguments…
  case $1 in faults) set -- matrix "${@:2}" ;; esac
  state=$(mktemp -d)
  trap 'XDG_STATE_HOME=$state devcluster sandbox down --name faults >/dev/null 2>&1; rm -rf "$state"' EXIT
  XDG_STATE_HOME=$state devcluster sandbox up --name faults
  DEVCLUSTER_TEST_KUBECONFIG=$(XDG_STATE_HOME=$state devcluster sandbox kubeconfig --name faults)
  export DEVCLUSTER_TEST_KUBECONFIG
  python -m "tests.faults.$1" "${@:2}"
}

case $what in
  unit) export DEVCLUSTER_SETUP_MACHINE=no; . scripts/setup.sh; exec pytest -q tests/unit "$@" ;;
  slow) . scripts/setup.sh; with_cluster pytest -m slow "$@"; exit ;;
  only) . scripts/setup.sh; with_cluster pytest "$@"; exit ;;
  faults | soak) . scripts/setup.sh; faults_cluster "$what" "$@"; exit ;;
  all) ;;
  *) sed -n '2,9p' "$0" >&2; exit 2 ;;
esac

. scripts/setup.sh
bash scripts/checks.sh
say "Go tests"
for module in agent sandbox/node tests/apps; do
  (cd "$module" && CGO_ENABLED=0 go test -trimpath ./...)
done
say "Python tests"
with_cluster pytest -m "not slow" -n 4 --no-loadscope-reorder --durations=15 "$@"
