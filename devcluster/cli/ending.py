"""The ways a command ends: done, an expected error, ^C, a bug.  Each has an exit code (docs/reference.md)."""

from __future__ import annotations

import atexit
import errno
import io
import os
import sys
import threading
import time
import traceback
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import click

from devcluster.cli.options import Options
from devcluster.cli.show.words import render_json
from devcluster.errors import BUG, INTERRUPTED, DevclusterError, FailedError, FileError, first_of


def run_to_the_end(command: click.Command) -> NoReturn:
    """Run *command* with the process's arguments and leave with the right code."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name is printed whatever its bytes are
        sys.stdout.reconfigure(errors="surrogateescape")
    _leave(_code(command, Options()))


def _open_closed_streams() -> None:
    """Lead each stream that the shell closed (`>&-`) nowhere.  Left closed, its number would go to the next
    file or connection that is opened, and what is printed would end up there."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # to the end


def _code(command: click.Command, options: Options) -> int:
    stdout = sys.stdout
    try:
        code = command.main(standalone_mode=False, obj=options)
        if code == INTERRUPTED:
            return _interrupted(options)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _usage(error, options)
    except (KeyboardInterrupt, click.Abort) as error:
        # click takes an EOFError for ^D, but asyncio raises it for a peer that hung up, too.
        cause = error.__cause__
        return _bug(cause, options) if isinstance(cause, EOFError) else _interrupted(options)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        return 0  # click has seen a broken pipe: nothing has failed, but nobody reads any longer
    except DevclusterError as error:
        return _expected(error, options)
    except BaseExceptionGroup as group:
        return _group(group, options)
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        return _expected(_disk_full(), options) if full else _bug(error, options)


def _disk_full() -> FailedError:
    return FailedError("the disk is full", hint="free some space, and run the command again")


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads whose answers nobody needs: Python would join them, for up to a minute
    after ^C if the API server is silent."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads any longer, or the disk is full
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if threading.active_count() > 1:
        atexit._run_exitfuncs()  # the kubernetes client keeps files with keys until then
        os._exit(code)
    sys.exit(code)


def _interrupted(options: Options) -> int:
    if not options.streams:
        _document(options, "interrupted", "", INTERRUPTED)
    return INTERRUPTED


def _usage(error: click.ClickException, options: Options) -> int:
    """For a word that does not parse.  The options before it may not have been stored yet."""
    if _asked_for_json(sys.argv[1:]):
        options.output = "json"
    _document(options, error.format_message(), "", error.exit_code)
    error.show()
    return error.exit_code


def _asked_for_json(words: list[str]) -> bool:
    pairs = pairwise(words)
    return any(one in ("-ojson", "--output=json") for one in words) or any(
        pair in (("-o", "json"), ("--output", "json")) for pair in pairs
    )


def _document(options: Options, message: str, hint: str, code: int) -> None:
    """With ``-o json``, unless the command's one document has been printed."""
    if options.json and not options.answered:
        problem = {"message": message, "hint": hint, "exit_code": code}
        click.echo(render_json({"error": problem}))


def _group(group: BaseExceptionGroup[BaseException], options: Options) -> int:
    _, bugs = group.split((DevclusterError, BrokenPipeError))
    if bugs is not None:
        return _bug(bugs, options)
    expected, _ = group.split(DevclusterError)
    if expected is None:  # whoever read our output has gone
        return 0
    inner = first_of(expected)
    assert isinstance(inner, DevclusterError)
    return _expected(inner, options)


def _expected(error: DevclusterError, options: Options) -> int:
    _document(options, error.message, error.hint, error.exit_code)
    label = "" if isinstance(error, FileError) else click.style("error:", fg="red", bold=True) + " "
    click.echo(f"{label}{error.message}", err=True, color=options.color)
    for line in error.hint.splitlines():
        click.echo(f"  {line}", err=True)
    if options.verbose:
        _say_where(error)
    return error.exit_code


def _say_where(error: BaseException) -> None:
    """Where each error of the chain was raised.  Their texts are left out: a library's may hold a value."""
    cause: BaseException | None = error
    while cause is not None:
        for frame in traceback.extract_tb(cause.__traceback__)[-3:]:
            at = "/".join(Path(frame.filename).parts[-3:])
            click.echo(f"  {type(cause).__name__} at {at}:{frame.lineno} in {frame.name}", err=True)
        cause = cause.__cause__


def _bug(error: BaseException, options: Options) -> int:
    """The trace goes to a private file: it may name objects of the cluster, and is long."""
    message = f"a bug in devcluster: {type(error).__name__}"
    try:
        hint = f"please report it with {_keep_trace(error)}"
    except OSError as reason:
        hint = f"please report it; its trace could not be saved: {reason.strerror}"
        _say_where(error)
    _document(options, message, hint, BUG)
    click.echo(f"error: {message}", err=True)
    click.echo(f"  {hint}", err=True)
    return BUG


def _keep_trace(error: BaseException) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    folder = Path(home) / "devcluster" / "bugs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / time.strftime("%Y%m%dT%H%M%S.log")
    log.touch(mode=0o600)
    log.write_text("".join(traceback.format_exception(error)))
    return log
