#!/usr/bin/env bash
# The whole thing, on real parts: a Kubernetes in a container, WordPress and MariaDB in it, WordPress replaced by a
# local container, and the proof. Everything that is missing is installed. Safe to run again.
#   demo.sh                  uses a sandbox named "demo"
#   demo.sh --context NAME   uses a cluster of your own (it must be able to run the example's images)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { # exit code
  sed -n '2,5s/^# \{0,1\}//p' scripts/demo.sh
  exit "$1"
}

own=
while [ $# -gt 0 ]; do
  case $1 in
    --context) own=${2:-}; [ -n "$own" ] || usage 2 >&2; shift 2 ;;
    --context=?*) own=${1#*=}; shift ;;
    -h | --help) usage 0 ;;
    *) usage 2 >&2 ;;
  esac
done

# What somebody types to go on, in a shell of their own: the sandbox's kubeconfig has one context, a cluster of
# one's own may not be the current one.
if [ -z "$own" ]; then context=sandbox-demo with=; else context=$own with=" --context $(printf %q "$own")"; fi
begun= # something of ours may be in the cluster
how_to_stop() {
  [ -z "$begun" ] || echo "  devcluster down$with                everything as it was"
  if [ -n "$own" ]; then
    echo "  devcluster example wordpress down$with"
  else
    echo "  devcluster sandbox down --name demo"
  fi
}
shell_for_it() { echo "  . .venv/bin/activate${KUBECONFIG:+; export KUBECONFIG=$(printf %q "$KUBECONFIG")}"; }
broken_off() {
  code=$?
  [ "$code" -ne 0 ] || return 0
  printf 'It did not come to its end. The same command goes on from here; to stop instead, in this folder:\n' >&2
  { shell_for_it; how_to_stop; } >&2
}

. scripts/setup.sh
trap broken_off EXIT

if [ -z "$own" ]; then
  say "Kubernetes (the first time it is compiled: 8 minutes on 2 cores; then seconds)"
  devcluster sandbox up --name demo
  KUBECONFIG=$(devcluster sandbox kubeconfig --name demo)
  export KUBECONFIG
fi

say "WordPress and MariaDB in the cluster"
devcluster example wordpress up --context "$context"

say "WordPress, replaced by a local container: devcluster up -d"
begun=yes
devcluster up -d --context "$context"

say "The proof: a request from inside the cluster, and the local container's access log"
id="demo-$(date +%s)-$$"
python scripts/ask_from_inside.py "$context" wordpress "$id"
if ! devcluster logs wordpress --context "$context" | grep -F "$id"; then
  echo "the request $id did not reach the local container; see: devcluster status$with" >&2
  exit 1
fi
port=$(devcluster status -o json --context "$context" | python -c 'import json,sys; print([p["host"] for p in json.load(sys.stdin)["workloads"][0]["ports"] if p["container"]==8080][0])')
say "Yes: the local container answered it. The front page in your browser: http://localhost:$port/"
echo "Go on by hand (in this folder):"
shell_for_it
cat <<E2
  devcluster status$with              what is attached
  devcluster logs -f wordpress$with   what it says
  devcluster exec$with wordpress -- getent hosts wordpress-mariadb
  devcluster leave$with               the original serves again; \`devcluster up\` takes it back in seconds
Stop:
E2
how_to_stop
