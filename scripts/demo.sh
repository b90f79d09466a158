#!/usr/bin/env bash
# The whole thing, on real parts: a Kubernetes in a container, WordPress and MariaDB in it, WordPress replaced by a
# local container, and the proof. Everything that is missing is installed. Safe to run again.
#   demo.sh                  uses a sandbox named "demo"
#   demo.sh --context NAME   uses a cluster of your own (it must be able to run the example's images)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
context=
while [ $# -gt 0 ]; do
  case $1 in
    --context) context=$2; shift 2 ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
  esac
done
. scripts/setup.sh

if [ -z "$context" ]; then
  say "Kubernetes (the first time it is compiled: 8 minutes on 2 cores; then seconds)"
  devcluster sandbox up --name demo
  KUBECONFIG=$(devcluster sandbox kubeconfig --name demo)
  export KUBECONFIG
  context=sandbox-demo
fi

say "WordPress and MariaDB in the cluster"
devcluster example wordpress up --context "$context"

say "WordPress, replaced by a local container: devcluster up -d"
devcluster up -d --context "$context"

say "The proof: a request from inside the cluster, and the local container's access log"
id="demo-$(date +%s)-$$"
python scripts/ask_from_inside.py "$context" wordpress "$id"
if devcluster logs wordpress --context "$context" | grep -F "$id"; then
  port=$(devcluster status -o json --context "$context" | python -c 'import json,sys; print([p["host"] for p in json.load(sys.stdin)["workloads"][0]["ports"] if p["container"]==8080][0])')
  say "Yes: the local container answered it. The front page in your browser: http://localhost:$port/"
  cat <<E2
Go on by hand (in this folder):
  . .venv/bin/activate${KUBECONFIG:+; export KUBECONFIG=$KUBECONFIG}
  devcluster status              what is attached
  devcluster logs -f wordpress   what it says
  devcluster exec wordpress -- getent hosts wordpress-mariadb
  devcluster leave               the original serves again; \`devcluster up\` takes it back in seconds
Stop:
  devcluster down                everything as it was
  devcluster sandbox down --name demo
E2
else
  echo "the request $id did not reach the local container; see: devcluster status --context $context" >&2
  exit 1
fi
