#!/usr/bin/env bash
# What pre-commit and scripts/test.sh ask of the code. `checks.sh` runs all, `checks.sh NAME` one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
staticcheck_version=v0.8.2
go_modules="agent sandbox/node tests/apps" # not sandbox/kube: vetting it is vetting all of Kubernetes
gofmt=gofmt
command -v gofmt >/dev/null || gofmt="go run cmd/gofmt" # the Go from PyPI has it in its sources alone

each_module() { # command…: in each Go module of ours that exists
  for module in $go_modules; do
    [ -f "$module/go.mod" ] || continue
    (cd "$module" && "$@") || { echo "in $module: $*" >&2; return 1; }
  done
}

check() {
  case $1 in
    ruff) ruff check . && ruff format --check . ;;
    mypy) mypy ;;
    imports) lint-imports ;;
    gofmt) files=$(find agent sandbox tests/apps -name '*.go' -print0 2>/dev/null | xargs -0r $gofmt -l); [ -z "$files" ] || { echo "gofmt: $files" >&2; return 1; } ;;
    vet) each_module go vet ./... ;;
    staticcheck) each_module go run "honnef.co/go/tools/cmd/staticcheck@$staticcheck_version" ./... ;;
    *) echo "unknown check: $1" >&2; return 2 ;;
  esac
}

[ $# -gt 0 ] || set -- ruff mypy imports gofmt vet staticcheck
for name in "$@"; do
  printf '\033[1m==>\033[0m %s\n' "$name" >&2
  check "$name"
done
