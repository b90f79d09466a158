"""The Debian base of every image that this project builds: ``devcluster/debian:12``.

Rules:
- where a registry answers it is ``debian:12-slim``, else ``mmdebstrap`` makes it from Debian's packages;
- either way it gets this machine's settings of apt (proxy, checks), its Debian mirror and the authorities
  that it trusts: a build behind a company's proxy needs all three, and a Dockerfile can't know them.

Made once; who wants it anew removes the image.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from devcluster.edge.docker.call import Calls, connect
from devcluster.edge.docker.sandbox.image_build import build_image, image_id, import_image, try_pull
from devcluster.errors import FailedError
from devcluster.run.report import Progress, Report, silent

BASE_IMAGE = "devcluster/debian:12"
_UPSTREAM = "debian:12-slim"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_SETTING = re.compile(r'^Acquire::(Check-|https?::|Retries|ForceIPv)[^ ]* ".*";$')
_SOURCES = """\
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
_DOCKERFILE = f"""\
FROM {_UPSTREAM}
COPY apt.conf /etc/apt/apt.conf.d/90host
COPY debian.sources /etc/apt/sources.list.d/debian.sources
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
"""


async def ensure_base_image(calls: Calls | None = None, *, report: Report = silent) -> str:
    """The tag of the base image, which is made where it is absent.  *calls*: an open engine."""
    async with AsyncExitStack() as stack:
        if calls is None:
            calls = await connect()
            stack.push_async_callback(calls.close)
        if await image_id(calls, BASE_IMAGE) is None:
            with tempfile.TemporaryDirectory(prefix="devcluster-") as folder:
                await _make(calls, Path(folder), report)
    return BASE_IMAGE


async def _make(calls: Calls, folder: Path, report: Report) -> None:
    await _write_settings(folder)
    report(Progress("", f"pulling {_UPSTREAM}"))
    if await try_pull(calls, _UPSTREAM):
        (folder / "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
        await build_image(calls, BASE_IMAGE, folder)
        return
    report(Progress("", "no registry answers: building a Debian base from packages (about 30 s)"))
    await import_image(calls, BASE_IMAGE, await _bootstrap(folder))


async def _write_settings(folder: Path) -> None:
    (folder / "apt.conf").write_text(await _apt_settings(), encoding="utf-8")
    (folder / "debian.sources").write_text(_sources(), encoding="utf-8")
    authorities = _AUTHORITIES.read_bytes() if _AUTHORITIES.is_file() else b""
    (folder / "ca-certificates.crt").write_bytes(authorities)


async def _apt_settings() -> str:
    """How apt fetches on this machine, if it has an apt."""
    if not shutil.which("apt-config"):
        return ""
    process = await asyncio.create_subprocess_exec("apt-config", "dump", stdout=asyncio.subprocess.PIPE)
    text, _ = await process.communicate()
    return "".join(f"{line}\n" for line in text.decode().splitlines() if _SETTING.match(line))


def _sources() -> str:
    """This machine's own mirrors where it is the same Debian."""
    own, release = Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/os-release")
    here = release.read_text(encoding="utf-8") if release.is_file() else ""
    if own.is_file() and "VERSION_CODENAME=bookworm" in here:
        return own.read_text(encoding="utf-8")
    return _SOURCES


async def _bootstrap(folder: Path) -> Path:
    if not shutil.which("mmdebstrap"):
        raise FailedError(
            f"the image {_UPSTREAM} can't be pulled, and mmdebstrap is not installed to build one",
            hint="run `apt-get install mmdebstrap`, or `docker pull` the image",
        )
    archive = folder / "debian.tar"
    hooks = (
        'rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
        f"copy-in {folder}/debian.sources /etc/apt/sources.list.d",
        f"copy-in {folder}/apt.conf /etc/apt/apt.conf.d",
        f"copy-in {folder}/ca-certificates.crt /etc/ssl/certs",
    )
    process = await asyncio.create_subprocess_exec(
        "mmdebstrap",
        "--variant=minbase",
        "--include=ca-certificates",
        *(f"--aptopt={line}" for line in (folder / "apt.conf").read_text(encoding="utf-8").splitlines()),
        *(f"--customize-hook={hook}" for hook in hooks),
        "bookworm",
        str(archive),
        str(folder / "debian.sources"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        tail = "\n".join(f"  {line}" for line in said.decode(errors="replace").splitlines()[-10:])
        raise FailedError(f"mmdebstrap could not build a Debian base:\n{tail}")
    return archive
