#!/usr/bin/env bash
# Sets up and tests. Without a word: everything but the long ones. The last line is pytest's.
#   test.sh              checks, Go tests, unit, edge and scenarios (a real Kubernetes, a real Docker engine)
#   test.sh unit [ARGS]  seconds: no Docker, no Kubernetes
#   test.sh slow [ARGS]  the long ones: idle connections, a wheel built from nothing
#   test.sh only ARGS    pytest with these arguments, set up as for everything
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
what=${1:-all}
[ $# -eq 0 ] || shift

# One cluster for all tests, since they wait more than they work: three of them run side by side.
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

case $what in
  unit) export DEVCLUSTER_SETUP_MACHINE=no; . scripts/setup.sh; exec pytest -q tests/unit "$@" ;;
  slow) . scripts/setup.sh; with_cluster pytest -m slow "$@"; exit ;;
  only) . scripts/setup.sh; with_cluster pytest "$@"; exit ;;
  faults | soak) echo "test.sh $what: not built yet" >&2; exit 2 ;;
  all) ;;
  *) sed -n '2,7p' "$0" >&2; exit 2 ;;
esac

. scripts/setup.sh
bash scripts/checks.sh
say "Go tests"
for module in agent sandbox/node tests/apps; do
  (cd "$module" && CGO_ENABLED=0 go test -trimpath ./...)
done
say "Python tests"
with_cluster pytest -m "not slow" -n 3 --dist loadfile --durations=15 "$@"
