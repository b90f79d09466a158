"""``status``: once, for as long as somebody watches, or with a proof of each route."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.request import missing_file_error, read_request
from devcluster.cli.running import run_within
from devcluster.cli.show.printer import Printer
from devcluster.cli.show.words import render_json, size
from devcluster.rules.volume.live import render_path
from devcluster.run.request import Request

_NAMED = 5  # of what is left out of a volume
_CLEAR = "\033[H\033[2J"
_COLORS = {"proven": "green", "broken": "red", "skipped": "yellow"}


@click.command()
@click.option("--verify", is_flag=True, help="Prove each Service port from inside the cluster.")
@click.option("--watch", is_flag=True, help="Print again whenever something changes, until ^C.")
@common
@pass_options
def status(options: Options, verify: bool, watch: bool) -> int:
    """Print a row for each workload.

    Those of the file; without a file, those that this laptop holds in the namespace.

    With --verify an agent opens a connection to each port of each Service of the attached workloads; the exit
    code is 1 if one of them does not reach the local container.
    """
    from devcluster.run.commands.status import read_status

    if verify and watch:
        raise click.UsageError("--verify and --watch can't be combined")
    request = read_request(options, file_needed=False)
    if watch:
        options.streams = True
        asyncio.run(_watch(request, options))
        raise missing_file_error(options)
    document = run_within(request.deadline, read_status(request, verify=verify))
    if request.project is None and not document["workloads"]:
        raise missing_file_error(options)
    if options.json:
        Printer(options).document(document)
    else:
        _print(Printer(options), document)
        _print_routes(options, document)
    return int(_broken(document))


async def _watch(request: Request, options: Options) -> None:
    """A line of JSON for each change, or the table again: in place on a terminal.  It ends where there is
    neither a file nor anything held at the beginning."""
    from devcluster.run.commands.status import watch_status

    first = True
    async with contextlib.aclosing(watch_status(request)) as documents:
        async for document in documents:
            if first and request.project is None and not document["workloads"]:
                return
            if options.json:
                click.echo(render_json(document))
            else:
                _print_again(options, document, first)
            first = False


def _print_again(options: Options, document: dict[str, Any], first: bool) -> None:
    if sys.stdout.isatty():
        click.echo(_CLEAR, nl=False)
    elif not first:
        click.echo()
    _print(Printer(options), document)


def _print(printer: Printer, document: dict[str, Any]) -> None:
    if "error" in document:
        click.echo(f"the last known state, since {document['error']}")
    workloads = document.get("workloads", [])
    head = ("NAME", "TARGET", "STATE", "PODS", "LANE", "RTT", "SENT", "RECEIVED", "PORTS", "VOLUMES")
    printer.table([head, *(_row(it) for it in workloads)])
    for workload in workloads:
        if workload["reason"]:
            click.echo(f"{workload['name']}: {workload['reason']}")
        for text in workload.get("stays", []):  # a host process of before may run
            click.echo(f"{workload['name']}: {text}")
        for drift in workload["drift"]:
            if drift not in workload["reason"]:
                click.echo(f"{workload['name']}: {drift}")
        for volume in workload["volumes"]:
            if text := _left_out(volume):
                click.echo(f"{workload['name']}: volume {volume['name']}: left out: {text}")
        for line in _volume_lines(workload):
            click.echo(line)
        for rewrite in workload["rewrites"]:
            fate = f"-> {rewrite['to']}" if rewrite["to"] else f"stays: {rewrite['kept']}"
            click.echo(f"{workload['name']}: {rewrite['where']}: {rewrite['service']} {fate}")
    for tunnel in document.get("tunnels", []):
        click.echo(f"tunnel {tunnel['address']} -> {tunnel['to']}")


def _row(workload: dict[str, Any]) -> tuple[str, ...]:
    pods = workload["pods"]
    attached = sum(pod["state"] == "attached" for pod in pods)
    times = [pod["rtt_ms"] for pod in pods if pod["rtt_ms"] is not None]
    lanes = sorted({pod["lane"] for pod in pods if pod["lane"]})
    return (
        workload["name"],
        workload["target"],
        workload["state"],
        f"{attached}/{workload['pods_wanted']}",
        ",".join(lanes) or "-",
        f"{min(times):.1f} ms" if times else "-",
        *(size(sum(pod["bytes"][way] for pod in pods)) if pods else "-" for way in ("sent", "received")),
        " ".join(_published(port) for port in workload["ports"]) or "-",
        " ".join(map(_volume, workload["volumes"])) or "-",
    )


def _left_out(volume: dict[str, Any]) -> str:
    """The first few names with their reasons; of a whole volume only why."""
    found = volume.get("left_out", [])
    shown = [f"{it['path']} ({it['reason']})" if it["path"] != "." else it["reason"] for it in found[:_NAMED]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _volume(volume: dict[str, Any]) -> str:
    under_way = f", {volume['pending']} under way" if volume["pending"] else ""
    count = len(volume["conflicts"])
    conflicts = f", {count} conflict{'s' if count > 1 else ''}" if count else ""
    files = f"{volume['files']} files, " if volume["mode"] == "sync" else ""
    return f"{volume['name']}({volume['mode']}, {files}{size(volume['bytes'])}{under_way}{conflicts})"


def _volume_lines(workload: dict[str, Any]) -> Iterator[str]:
    """What live volumes have to say: the last change in each direction, and what needs somebody."""
    for volume in workload["volumes"]:
        head = f"{workload['name']}: {volume['name']}:"
        if volume["mode"] == "sync":
            sent, received = volume["last_sent"] or "never", volume["last_received"] or "never"
            yield f"{head} last change sent {sent}, received {received}"
        for item in volume["conflicts"]:
            keep = _keep(workload, item["path"])
            yield f"{workload['name']}: {render_path(item['path'])}: conflict: {item['why']} ({keep})"
        for item in (*volume["problems"], *volume["databases"]):
            yield f"{workload['name']}: {render_path(item['path'])}: {item['why']}"
        for item in volume["held_back"]:
            side, count = item["deleted_on"], item["count"]
            named = ", ".join(map(render_path, item["paths"][:3])) + (" …" if count > 3 else "")
            keep = _keep(workload, volume["path"])
            yield f"{head} {count} deletions on the {side} are held back: {named} ({keep})"
        for why in filter(None, (volume["trouble"], volume["unwatched"])):
            yield f"{head} {why}"


def _keep(workload: dict[str, Any], path: str) -> str:
    return f"devcluster sync {workload['name']} --keep laptop|pod {render_path(path, word=True)}"


def _published(port: dict[str, Any]) -> str:
    return f"{port['address']}:{port['host']}->{port['container']}{_protocol(port)}"


def _protocol(port: dict[str, Any]) -> str:
    return "" if port["protocol"] == "TCP" else f"/{port['protocol']}"


def _print_routes(options: Options, document: dict[str, Any]) -> None:
    for workload in document["workloads"]:
        if "routes" in workload and not workload["routes"]:
            what = "no Service leads to it" if workload["pods"] else f"{workload['state']}, nothing to prove"
            click.echo(f"{workload['name']}: {what}")
        for route in workload.get("routes", []):
            state = route["state"]
            shown = click.style(state, fg=_COLORS[state])
            click.echo(f"{workload['name']}: {_route(route)}: {shown}{_detail(route)}", color=options.color)


def _route(route: dict[str, Any]) -> str:
    if route["service"] == "*":
        return "every Service"
    return f"service/{route['service']}:{route['port']}{_protocol(route)}"


def _detail(route: dict[str, Any]) -> str:
    if route["state"] == "broken":
        return f" at the {route['hop']}: {route['reason']}"
    took = f" by {', '.join(route['pods'])} in {route['ms']:.1f} ms" if route["ms"] is not None else ""
    return f"{took} ({route['reason']})" if route["reason"] else took


def _broken(document: dict[str, Any]) -> bool:
    return any(route["state"] == "broken" for row in document["workloads"] for route in row.get("routes", []))
