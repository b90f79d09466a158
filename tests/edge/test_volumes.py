"""A private copy filled from a real tree, told and packed by the agent's own code, into a real volume."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import socket
import stat
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devcluster.config.text.globs import check_glob
from devcluster.edge.docker.engine import Engine
from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.docker.memory import MemoryDestination
from devcluster.edge.folder.folder import FolderDestination
from devcluster.edge.folder.one_file import FileDestination
from devcluster.edge.folder.walk import scan
from devcluster.errors import ConfigurationError, FailedError
from devcluster.rules.container.local_container import ContainerSpec, VolumeBind
from devcluster.rules.volume.tree import parse_tree, render_entry
from devcluster.run.volume.manifest import FileRewrite
from devcluster.run.volume.one_fill import FillResult, Rewriting, TornError
from devcluster.run.volume.private_copy import (
    CopySpec,
    FillDestination,
    describe_local_changes,
    empty_volume,
    fill_volume,
)
from devcluster.run.volume.single_file import SingleSource
from devcluster.sandbox.base_image import BASE_IMAGE, ensure_base_image
from tests.edge.clean_engine import clean_engine
from tests.edge.gateway_binary import gateway_binary

PROJECT = "test-volumes"
SLEEP = ("/bin/sh", "-c", "while :; do sleep 0.1; done")
OLD = 1_600_000_000_123_456_789

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root to be made")


@dataclass(slots=True)
class Pod:
    """The agent's ``files``, by the same Go code, on a folder that stands for the pod's volume."""

    binary: Path
    root: Path
    cut: int | None = None  # bytes after which the stream breaks
    packed: int = 0
    asked: list[Any] = field(default_factory=list)

    async def scan(self, root: str, exclude: Sequence[str]) -> list[dict[str, Any]]:
        flags = [word for pattern in exclude for word in ("--exclude", pattern)]
        output = await self._run("scan", str(self.root), *flags)
        return [json.loads(line) for line in output.splitlines()]

    async def _run(self, *arguments: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            str(self.binary), "files", *arguments, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output

    async def pack(
        self, root: str, exclude: Sequence[str], paths: Sequence[str] | None
    ) -> AsyncIterator[bytes]:
        self.asked.append(paths)
        flags = [word for pattern in exclude for word in ("--exclude", pattern)]
        if paths is not None:
            flags += ["--paths-from", "-"]
        process = await asyncio.create_subprocess_exec(
            str(self.binary),
            "files",
            "pack",
            str(self.root),
            *flags,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"paths": paths}).encode() + b"\n")
        process.stdin.close()
        try:
            while part := await process.stdout.read(65536):
                self.packed += len(part)
                if self.cut is not None and self.packed > self.cut:
                    raise FailedError("the lane is gone")
                yield part
        finally:
            if process.returncode is None and self.cut is not None:
                process.kill()
            await process.stdout.read()  # a full pipe would keep wait() waiting
            await process.wait()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with clean_engine(PROJECT) as opened:
        yield opened


@pytest.fixture(params=["volume", "folder"])
def target(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> FillDestination:
    if request.param == "folder":
        return FolderDestination(tmp_path / "laptop" / "copy")
    return VolumeDestination(engine, PROJECT, "web", "data")


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    root = tmp_path / "pod"
    root.mkdir()
    return Pod(gateway_binary(), root)


async def fill(pod: Pod, target: FillDestination, tmp_path: Path, **more: Any) -> FillResult:
    report, scanned = more.pop("report", None), more.pop("scanned", None)
    spec = CopySpec("/data", tmp_path / "state" / "data.json", "data", **more)
    return await fill_volume(pod, target, spec, report=report, scanned=scanned)


def make_odd_tree(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "plain.txt").write_text("text\n")
    os.chown(root / "a" / "plain.txt", 1001, 33)
    (root / "a" / "suid").write_bytes(b"x" * 700)
    (root / "a" / "suid").chmod(0o4755)
    os.link(root / "a" / "suid", root / "same")
    os.symlink("../../outside", root / "link")
    os.mkfifo(root / "pipe", 0o622)
    (root / "empty").touch()
    (root / ("long" * 40)).write_text("a name beyond ustar's 100")
    (root / "blank and 'quote' \n newline é").write_text("odd")
    Path(os.fsdecode(os.fsencode(root) + b"/not-utf8-\xff")).write_text("bytes")
    (root / "shut").mkdir()
    (root / "shut" / "deep").write_text("in a directory that nobody may write")
    (root / "shut").chmod(0o1555)
    os.chown(root, 0, 1001)
    root.chmod(0o2770)
    for folder, names, files in os.walk(os.fsencode(root), topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(folder, name), ns=(OLD, OLD), follow_symlinks=False)
    os.utime(root, ns=(OLD, OLD))


async def test_the_copy_is_what_the_pod_has(pod: Pod, target: FillDestination, tmp_path: Path) -> None:
    make_odd_tree(pod.root)
    seen: list[tuple[int, int, int, int]] = []
    result = await fill(pod, target, tmp_path, report=lambda *now: seen.append(now))
    assert parse_tree(await target.scan(())) == parse_tree(await pod.scan("", ()))
    assert result.kept_local == ()
    assert seen[-1] == (result.bytes, result.files, result.bytes, result.files)


async def test_only_what_changed_travels(pod: Pod, target: FillDestination, tmp_path: Path) -> None:
    make_odd_tree(pod.root)
    (pod.root / "large").write_bytes(os.urandom(300_000))
    await fill(pod, target, tmp_path)
    pod.packed = 0
    assert (await fill(pod, target, tmp_path)).changed == 0
    assert pod.packed == 0
    (pod.root / "a" / "plain.txt").write_text("changed in the pod\n")
    (pod.root / "empty").unlink()
    (pod.root / "new").mkdir()
    (pod.root / "new" / "file").write_text("new")
    Path(os.fsdecode(os.fsencode(pod.root) + b"/not-utf8-\xff")).write_text("other")
    os.rename(os.fsencode(pod.root) + b"/not-utf8-\xff", os.fsencode(pod.root) + b"/a/\xfe")
    (pod.root / "link").unlink()
    os.symlink("elsewhere", pod.root / "link")
    assert (await fill(pod, target, tmp_path)).kept_local == ()
    assert parse_tree(await target.scan(())) == parse_tree(await pod.scan("", ()))
    assert pod.packed < 20_000


def write_anew(root: Path, version: str, **texts: str) -> None:
    """As kubelet does: one folder, one rename."""
    former = os.readlink(root / "..data") if (root / "..data").is_symlink() else ""
    (root / version).mkdir()
    for name, text in texts.items():
        (root / version / name).write_text(text)
        (root / version / name).chmod(0o440)
        os.chown(root / version / name, 0, 1001)
    os.symlink(version, root / "..data_tmp")
    os.rename(root / "..data_tmp", root / "..data")
    here = {path.name for path in root.iterdir() if not path.name.startswith("..")}
    for name in texts.keys() - here:
        os.symlink(f"..data/{name}", root / name)
    for name in here - texts.keys():
        (root / name).unlink()
    if former:
        shutil.rmtree(root / former)


async def test_what_kubelet_writes_anew_follows_the_pod(
    pod: Pod, target: FillDestination, tmp_path: Path
) -> None:
    """Also where what was known of the copy is lost: it would all count as changed here."""
    for number, texts in enumerate(({"a": "1", "b": "1"}, {"a": "2", "b": "2"}, {"b": "3", "-c": "3"})):
        write_anew(pod.root, f"..{number}", **texts)
        result = await fill(pod, target, tmp_path, renewed=True)
        assert (result.kept_local, result.version) == ((), f"..{number}")
        assert parse_tree(await target.scan(())) == parse_tree(await pod.scan("", ()))
    write_anew(pod.root, "..9", a="x")
    (tmp_path / "state" / "data.json").unlink()
    if isinstance(target, VolumeDestination):  # a folder without its past is somebody else's
        assert (await fill(pod, target, tmp_path, renewed=True)).kept_local == ()
        assert parse_tree(await target.scan(())).items() >= parse_tree(await pod.scan("", ())).items()


async def test_what_was_changed_in_a_set_stays_beside_the_new_one(pod: Pod, tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "copy")
    write_anew(pod.root, "..0", a="0", b="0", c="0")
    await fill(pod, target, tmp_path, renewed=True)
    (target.folder / "a").write_text("through the link")
    (target.folder / "b").unlink()
    (target.folder / "b").write_text("in its place")
    write_anew(pod.root, "..1", a="1", b="1", c="1")
    result = await fill(pod, target, tmp_path, renewed=True)
    assert result.kept_local == ("..0/a",)
    texts = {name: (target.folder / name).read_text() for name in ("..0/a", "a", "b", "c")}
    assert texts == {"..0/a": "through the link", "a": "1", "b": "in its place", "c": "1"}


async def test_a_reader_finds_one_set_or_the_other(pod: Pod, tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "copy")
    write_anew(pod.root, "..0", a="0", b="0")
    await fill(pod, target, tmp_path, renewed=True)
    seen: list[tuple[str, str]] = []

    def read() -> None:
        while ("9", "9") not in seen[-1:]:
            with contextlib.suppress(FileNotFoundError):  # removed while it was open: as in the pod
                folder = target.folder / os.readlink(target.folder / "..data")
                seen.append(((folder / "a").read_text(), (folder / "b").read_text()))

    reading = asyncio.create_task(asyncio.to_thread(read))
    for number in range(1, 10):
        write_anew(pod.root, f"..{number}", a=str(number), b=str(number))
        await fill(pod, target, tmp_path, renewed=True)
    async with asyncio.timeout(30):
        await reading
    assert all(a == b for a, b in seen)
    assert len(set(seen)) > 1


async def test_a_set_that_is_written_anew_meanwhile_is_not_swapped(
    pod: Pod, target: FillDestination, tmp_path: Path
) -> None:
    write_anew(pod.root, "..0", a="0", b="0")
    await fill(pod, target, tmp_path, renewed=True)
    write_anew(pod.root, "..1", a="1", b="1")
    scanned = await pod.scan("", ())
    write_anew(pod.root, "..2", a="2", b="2")
    with pytest.raises(TornError):
        await fill(pod, target, tmp_path, renewed=True, scanned=scanned)
    tree = parse_tree(await target.scan(()))
    assert tree["..data"].link == "..0"
    assert {"..0/a", "..0/b"} <= tree.keys()
    await fill(pod, target, tmp_path, renewed=True)
    assert parse_tree(await target.scan(())) == parse_tree(await pod.scan("", ()))


async def test_what_kubelet_is_writing_is_looked_at_again(pod: Pod, tmp_path: Path) -> None:
    write_anew(pod.root, "..0", a="0")
    (pod.root / "..1").mkdir()
    settled = asyncio.get_running_loop().call_later(0.5, (pod.root / "..1").rmdir)
    result = await fill(pod, FolderDestination(tmp_path / "copy"), tmp_path, renewed=True)
    assert settled.when() < asyncio.get_running_loop().time()
    assert result.files == 1
    assert not (tmp_path / "copy" / "..1").exists()


async def test_what_changed_here_stays_and_is_told(pod: Pod, tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "copy")
    for name in ("mine", "both", "theirs", "gone"):
        (pod.root / name).write_text("first")
    (pod.root / "folder").mkdir()
    (pod.root / "folder" / "x").write_text("x")
    await fill(pod, target, tmp_path)
    for name in ("mine", "both", "gone"):
        (target.folder / name).write_text("changed here")
    (target.folder / "folder" / "added").write_text("added here")
    for name in ("both", "theirs"):
        (pod.root / name).write_text("changed there")
    (pod.root / "gone").unlink()
    (pod.root / "folder" / "x").unlink()
    (pod.root / "folder").rmdir()
    for _ in range(2):  # told until one side gives way
        result = await fill(pod, target, tmp_path)
        assert result.kept_local == ("both", "gone")
        texts = {path.name: path.read_text() for path in target.folder.rglob("*") if path.is_file()}
        assert texts == {
            "mine": "changed here",
            "both": "changed here",
            "gone": "changed here",
            "theirs": "changed there",
            "added": "added here",
        }
        changes = await describe_local_changes(target, tmp_path / "state" / "data.json")
        assert changes == ("both", "folder/added", "gone", "mine")


async def test_a_copy_that_was_removed_is_filled_anew(
    pod: Pod, target: FillDestination, tmp_path: Path
) -> None:
    (pod.root / "a").write_text("x")
    await fill(pod, target, tmp_path)
    if isinstance(target, FolderDestination):
        shutil.rmtree(target.folder)
    else:
        assert isinstance(target, VolumeDestination)
        await target.engine.remove_volume(target.name)
    previous = tmp_path / "state" / "data.json"
    assert await describe_local_changes(target, previous) == ()
    assert await target.identity() == ""
    await fill(pod, target, tmp_path)
    assert parse_tree(await target.scan(())) == parse_tree(await pod.scan("", ()))


async def test_a_fill_that_broke_off_goes_on(pod: Pod, target: FillDestination, tmp_path: Path) -> None:
    for number in range(20):
        (pod.root / f"{number:02}").write_bytes(os.urandom(200_000))
    pod.cut = 2_400_000
    with pytest.raises(FailedError, match="the lane is gone"):
        await fill(pod, target, tmp_path)
    pod.cut, pod.packed = None, 0
    result = await fill(pod, target, tmp_path)
    assert result.kept_local == ()
    assert 0 < pod.packed < 3_000_000
    assert parse_tree(await target.scan(())) == parse_tree(await pod.scan("", ()))


async def test_no_part_of_a_file_is_left_in_a_folder(pod: Pod, tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "copy")
    (pod.root / "large").write_bytes(os.urandom(4 << 20))
    pod.cut = 2 << 20
    with pytest.raises(FailedError):
        await fill(pod, target, tmp_path)
    assert list(target.folder.iterdir()) == []
    (target.folder / "d").mkdir()
    (target.folder / "d/.devcluster-part-1").write_text("of a fill that was killed")
    pod.cut = None
    await fill(pod, target, tmp_path)
    assert sorted(target.folder.rglob("*")) == [target.folder / "d", target.folder / "large"]


async def test_beyond_the_limit_nothing_moves(pod: Pod, target: FillDestination, tmp_path: Path) -> None:
    (pod.root / "cache").mkdir()
    (pod.root / "cache" / "big").write_bytes(bytes(3 << 20))
    (pod.root / "small").write_text("x")
    with pytest.raises(
        ConfigurationError, match=r"volume data has 3.0 MiB in 2 files; its limit is 1.0 MiB"
    ) as caught:
        await fill(pod, target, tmp_path, limit=1 << 20)
    assert "cache/** 3.0 MiB" in caught.value.hint
    assert pod.packed == 0
    assert (await fill(pod, target, tmp_path, limit=1 << 20, exclude=("cache/**",))).files == 1


async def test_rewriting_is_in_the_copy_alone(pod: Pod, tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "copy")
    text = "<?php\ndefine( 'DB_HOST', 'db:3306' );\ndefine( 'DB_USER', 'db' );\n"
    for name in ("wp-config.php", "other.php"):
        (pod.root / name).write_text(text)

    def rewriting(namespace: str) -> Rewriting:
        return Rewriting(("wp-config.php",), ("db",), namespace)

    result = await fill(pod, target, tmp_path, rewrite=rewriting("shop"))
    assert result.rewrites == (FileRewrite("wp-config.php", 2, "db", "db.shop"),)
    assert (target.folder / "wp-config.php").read_text() == text.replace("db:", "db.shop:")
    assert (target.folder / "other.php").read_text() == text
    assert (pod.root / "wp-config.php").read_text() == text
    again = await fill(pod, target, tmp_path, rewrite=rewriting("shop"))
    assert (again.changed, again.rewrites) == (0, result.rewrites)
    await fill(pod, target, tmp_path, rewrite=rewriting("test"))
    assert (target.folder / "wp-config.php").read_text() == text.replace("db:", "db.test:")
    (pod.root / "wp-config.php").write_text(text + "// more\n")
    await fill(pod, target, tmp_path, rewrite=rewriting("test"))
    assert (target.folder / "wp-config.php").read_text() == text.replace("db:", "db.test:") + "// more\n"
    assert await describe_local_changes(target, tmp_path / "state" / "data.json") == ()


@pytest.mark.slow
async def test_what_exclude_hides_stays_where_the_pod_removes_its_directory(
    pod: Pod, target: FillDestination, tmp_path: Path
) -> None:
    for name in ("cache/theirs", "cache/old/x", "other/x"):
        (pod.root / name).parent.mkdir(parents=True, exist_ok=True)
        (pod.root / name).write_text(name)
    exclude = ["cache/theirs", "**/mine"]
    await fill(pod, target, tmp_path, exclude=exclude)
    mine = Pod(pod.binary, tmp_path / "mine")
    (mine.root / "cache").mkdir(parents=True)
    (mine.root / "cache/mine").write_text("work")
    await target.apply((), mine.pack("", (), None))
    for name in ("cache", "other"):
        shutil.rmtree(pod.root / name)
    await fill(pod, target, tmp_path, exclude=exclude)
    assert parse_tree(await target.scan(())).keys() == {".", "cache", "cache/mine"}


async def test_a_config_maps_file_is_rewritten_by_the_name_it_is_known_by(pod: Pod, tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "copy")

    def publish(version: str, text: str) -> None:
        """As kubelet does."""
        (pod.root / version).mkdir()
        (pod.root / version / "app.conf").write_text(text)
        (pod.root / "new").symlink_to(version)
        (pod.root / "new").rename(pod.root / "..data")

    publish("..1", "host = db\n")
    (pod.root / "app.conf").symlink_to("..data/app.conf")
    rewriting = Rewriting(("app.conf",), ("db",), "shop")
    result = await fill(pod, target, tmp_path, rewrite=rewriting)
    assert result.rewrites == (FileRewrite("app.conf", 1, "db", "db.shop"),)
    assert (target.folder / "app.conf").read_text() == "host = db.shop\n"
    publish("..2", "\nhost = db\n")
    shutil.rmtree(pod.root / "..1")
    result = await fill(pod, target, tmp_path, rewrite=rewriting)
    assert result.rewrites == (FileRewrite("app.conf", 2, "db", "db.shop"),)
    assert (target.folder / "app.conf").read_text() == "\nhost = db.shop\n"
    assert not (target.folder / "..1").exists()
    assert await describe_local_changes(target, tmp_path / "state" / "data.json") == ()


@pytest.fixture(params=["volume", "file"])
def one_file(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> FillDestination:
    if request.param == "file":
        return FileDestination(tmp_path / "laptop" / "mine.conf", "app.conf")
    return VolumeDestination(engine, PROJECT, "web", "config")


async def test_a_root_that_is_one_file(pod: Pod, one_file: FillDestination, tmp_path: Path) -> None:
    """By the last name of its mount path; what is promised of trees is promised of it."""
    pod.root = pod.root / "key"
    pod.root.write_text("url = tcp://db:80\n")
    pod.root.chmod(0o440)
    os.chown(pod.root, 0, 2001)
    os.utime(pod.root, ns=(OLD, OLD))
    source = SingleSource(pod, "app.conf")
    previous = tmp_path / "state" / "config.json"

    async def again(**more: Any) -> FillResult:
        return await fill_volume(source, one_file, CopySpec("/x", previous, **more))

    assert (await again()).files == 1
    found = parse_tree(await one_file.scan(()))
    assert found["app.conf"] == parse_tree(await source.scan("/x", ()))["app.conf"]
    assert (await again()).changed == 0
    assert len(pod.asked) == 1
    rewriting = Rewriting(("app.conf",), ("db",), "shop")
    assert (await again(rewrite=rewriting)).rewrites == (FileRewrite("app.conf", 1, "db", "db.shop"),)
    assert await describe_local_changes(one_file, previous) == ()
    if isinstance(one_file, FileDestination):
        assert one_file.path.read_text() == "url = tcp://db.shop:80\n"
        one_file.path.write_text("mine\n")
        pod.root.write_text("theirs\n")
        assert (await again(rewrite=rewriting)).kept_local == ("app.conf",)
        assert one_file.path.read_text() == "mine\n"


async def test_a_file_of_somebody_else_is_refused(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "mine.conf").write_text("mine")
    pod.root = pod.root / "key"
    pod.root.write_text("theirs")
    target = FileDestination(tmp_path / "mine.conf", "key")
    with pytest.raises(ConfigurationError, match="did not come from this volume"):
        await fill_volume(SingleSource(pod, "key"), target, CopySpec("/x", tmp_path / "known.json"))
    assert (tmp_path / "mine.conf").read_text() == "mine"


async def test_an_empty_one_has_the_pods_top(pod: Pod, target: FillDestination, tmp_path: Path) -> None:
    (pod.root / "a").write_text("x")
    pod.root.chmod(0o2770)
    os.chown(pod.root, 1001, 2001)
    await empty_volume(pod, "/x", target)
    (top,) = parse_tree(await target.scan(())).values()
    assert (top.path, top.mode, top.uid, top.gid) == (".", 0o2770, 1001, 2001)


async def test_a_folder_of_somebody_else_is_refused(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "letter").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds files that did not come from this volume"):
        await fill(pod, FolderDestination(tmp_path / "copy"), tmp_path)
    assert (tmp_path / "copy" / "letter").read_text() == "mine"


async def test_a_link_planted_in_the_copy_leads_nowhere(pod: Pod, tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "copy")
    (pod.root / "folder").mkdir()
    (pod.root / "folder" / "x").write_text("x")
    await fill(pod, target, tmp_path)
    outside = tmp_path / "outside"
    (target.folder / "folder").rename(outside)
    (target.folder / "folder").symlink_to(outside)
    (pod.root / "folder" / "x").write_text("evil")
    assert (await fill(pod, target, tmp_path)).kept_local == ("folder/x",)
    assert (outside / "x").read_text() == "x"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
async def test_no_entry_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))

    async def stream() -> AsyncIterator[bytes]:
        yield buffer.getvalue()

    with pytest.raises(FailedError, match="leads out"):
        await FolderDestination(tmp_path / "copy").apply((), stream())
    assert not (tmp_path / "evil").exists()


@pytest.mark.slow
async def test_two_thousand_small_files_and_a_large_one(pod: Pod, engine: Engine, tmp_path: Path) -> None:
    target = VolumeDestination(engine, PROJECT, "web", "data")
    for number in range(2000):
        folder = pod.root / f"{number // 100:02}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}").write_bytes(bytes(4096))
    started = time.monotonic()
    assert (await fill(pod, target, tmp_path)).files == 2000
    print(f"2,000 files: {time.monotonic() - started:.2f} s")
    started = time.monotonic()
    assert (await fill(pod, target, tmp_path)).changed == 0
    print(f"the same, unchanged: {time.monotonic() - started:.2f} s")
    with (pod.root / "large").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 100 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    assert (await fill(pod, target, tmp_path)).moved == 100 << 20
    print(f"100 MiB: {time.monotonic() - started:.2f} s")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"memory grown by {grown >> 10} MiB")
    assert grown < 30 << 10


def test_a_folder_is_told_as_the_agent_tells_it(pod: Pod) -> None:
    make_odd_tree(pod.root)
    told = asyncio.run(pod.scan("", ("a/**", "l*")))
    assert parse_tree(told) == parse_tree(render_entry(entry) for entry in scan(pod.root, ("a/**", "l*")))


@pytest.mark.parametrize(
    "pattern",
    [
        "a*",
        "[!a]",
        "[^a]",
        r"\*",
        r"[\]]",
        "[z-a]",
        "[a-c]?",
        "**/x",
        "d/**",
        "d/*",
        "**",
        "é",
        "?",
        "/d/../b",
        "[é-ü]",
    ],
)
async def test_a_pattern_means_the_same_on_both_sides(pod: Pod, pattern: str) -> None:
    for name in ("a", "b", "!", "*", "]", "ax", "bx", "d/x", "d/e/x", "é", "\n", "x"):
        (pod.root / name).parent.mkdir(parents=True, exist_ok=True)
        (pod.root / name).touch()
    there = parse_tree(await pod.scan("", (pattern,)))
    assert {entry.path for entry in scan(pod.root, (pattern,))} == there.keys()


@pytest.mark.parametrize("pattern", ["a[", "[]", "[]a]", "[a-]", "[-a]", "a\\", "[^]", "x/["])
async def test_a_malformed_pattern_is_one_on_both_sides(pod: Pod, pattern: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        check_glob(pattern)
    with pytest.raises(AssertionError):
        await pod.scan("", (pattern,))


async def test_holes_stay_holes_and_count_for_nothing(
    pod: Pod, target: FillDestination, tmp_path: Path
) -> None:
    with (pod.root / "data.mdb").open("wb") as file:
        file.truncate(3 << 30)
        for offset in (1 << 20, 2 << 30):
            os.pwrite(file.fileno(), os.urandom(1 << 20), offset)
    if (pod.root / "data.mdb").stat().st_blocks * 512 > 8 << 20:
        pytest.skip("no holes on this file system")
    result = await fill(pod, target, tmp_path, limit=64 << 20)
    assert (result.files, result.bytes) == (1, 2 << 20)
    assert pod.packed < 4 << 20
    (line,) = [line for line in await target.scan(()) if line["type"] == "f"]
    assert line["size"] == 3 << 30
    if isinstance(target, FolderDestination):
        assert (target.folder / "data.mdb").stat().st_blocks * 512 < 8 << 20
        both = (str(pod.root / "data.mdb"), str(target.folder / "data.mdb"))
        assert await (await asyncio.create_subprocess_exec("cmp", *both)).wait() == 0
    again = await fill(pod, target, tmp_path, limit=64 << 20)
    assert again.changed == 0


async def test_what_does_not_travel_is_named(pod: Pod, target: FillDestination, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(pod.root / "app.sock"))
    os.mknod(pod.root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (pod.root / "kept.txt").write_text("kept")
    result = await fill(pod, target, tmp_path)
    assert result.left_out == (("app.sock", "socket"), ("null", "device"))
    assert sorted(parse_tree(await target.scan(()))) == [".", "kept.txt"]


async def test_what_vanishes_meanwhile_is_named(pod: Pod, target: FillDestination, tmp_path: Path) -> None:
    (pod.root / "gone").write_text("a")
    (pod.root / "kept").write_text("b")
    told = await pod.scan("/data", ())
    (pod.root / "gone").unlink()
    result = await fill(pod, target, tmp_path, scanned=told)
    assert result.left_out == (("gone", "vanished"),)
    assert sorted(parse_tree(await target.scan(()))) == [".", "kept"]


async def test_a_copy_in_memory_lives_as_long_as_it_is_kept(pod: Pod, engine: Engine, tmp_path: Path) -> None:
    """Filled before the application starts, with the pod's size, owners and modes; ``drop`` ends it,
    with what was changed here."""
    (pod.root / "db").write_text("pw\n")
    (pod.root / "db").chmod(0o600)
    os.chown(pod.root / "db", 1001, 33)
    await ensure_base_image(engine.calls)
    await engine.ensure_network(PROJECT)
    target = MemoryDestination(engine, PROJECT, "web", "secrets", 1 << 20)
    assert (await fill(pod, target, tmp_path)).files == 1
    assert parse_tree(await target.scan(())) == parse_tree(await pod.scan("", ()))
    spec = ContainerSpec(BASE_IMAGE, SLEEP, None, (), volumes=(VolumeBind(target.name, "/run/secrets"),))
    netns = await engine.start_netns(PROJECT, "web", "pod-1")
    container = await engine.run_workload(PROJECT, "web", netns.container_id, spec, "digest")
    look = [
        "sh",
        "-c",
        "stat -f -c %T /run/secrets; df -k --output=size /run/secrets | tail -1; cat /run/secrets/db",
    ]
    assert (await engine.run_in(container, look)).stdout.split() == [b"tmpfs", b"1024", b"pw"]

    await engine.run_in(container, ["sh", "-c", "echo mine > /run/secrets/mine; rm /run/secrets/db"])
    await engine.restart(container, 1)
    assert (await engine.run_in(container, ["ls", "/run/secrets"])).stdout == b"mine\n"
    await engine.stop(container, 1)
    await target.drop()
    assert await target.scan(()) == []
    await fill(pod, target, tmp_path)
    await engine.start(container)
    assert (await engine.run_in(container, ["ls", "/run/secrets"])).stdout == b"db\n"
    await engine.remove(container)
