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
case $what in
  unit) export DEVCLUSTER_SETUP_MACHINE=no; . scripts/setup.sh; exec pytest -q tests/unit "$@" ;;
  slow) . scripts/setup.sh; exec pytest -m slow "$@" ;;
  only) . scripts/setup.sh; exec pytest "$@" ;;
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
exec pytest -m "not slow" --durations=15 "$@"
