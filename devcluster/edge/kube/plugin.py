"""The kubeconfig's exec plugin: a program that supplies credentials.

Rules, as for kubectl: a plugin may ask the user only where there is one.  It is then told so
(``interactive``) and gets our stdin; otherwise its stdin is empty, and a plugin that can't do without
(``interactiveMode: Always``) is not started.  The naive way, that of the ``kubernetes`` package, takes a
terminal on *stdout* for a user and leaves stdin to the plugin in any case: `devcluster exec web -- psql
<dump.sql` lost what the plugin had read.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from devcluster.errors import ClusterError

Json = dict[str, Any]
_EXTENSION = "client.authentication.k8s.io/exec"  # of a cluster: what is meant for the plugin
_MODES = ("Never", "IfAvailable", "Always")
_LOGIN = "log in again, as your cluster's provider requires; `kubectl get pods` runs the same plugin"


class PluginError(ClusterError):
    """The kubeconfig's exec plugin gave no credentials."""


def plugin_failed(command: str, output: str, hint: str = "") -> PluginError:
    """Most plugins give their reason in the last line of *output*."""
    lines = output.strip().splitlines() or ["no output"]
    return PluginError(
        f"the kubeconfig's plugin {command} gave no credentials: {lines[-1]}", hint=hint or _LOGIN
    )


def run_plugin(config: Json, folder: str, cluster: Json) -> Json:
    """The ``status`` that the plugin of *config* (``exec`` of a user) returns, run in *folder*; *cluster*:
    its entry."""
    command = str(config.get("command") or "?")
    mode = str(config.get("interactiveMode") or "IfAvailable")
    if mode not in _MODES:
        raise plugin_failed(command, f"interactiveMode: expected {', '.join(_MODES)}, got {mode!r}")
    person = _at_a_terminal()
    if mode == "Always" and not person:
        raise plugin_failed(
            command,
            "it must ask you something (interactiveMode: Always), but stdin and stderr are not a terminal",
            "run the command in a terminal, or use credentials that need no input",
        )
    interactive = person and mode != "Never"
    words, environment = _call(command, config, cluster, interactive)
    return _answer(command, config, _run(command, words, environment, folder, interactive))


def _at_a_terminal() -> bool:
    """Whether somebody can read the question and answer it; in the background host process nobody can."""
    return os.isatty(0) and os.isatty(2)


def _call(command: str, config: Json, cluster: Json, interactive: bool) -> tuple[list[str], dict[str, str]]:
    try:
        version = config["apiVersion"]
        words = [config["command"], *(config.get("args") or ())]
        added = {item["name"]: item["value"] for item in config.get("env") or ()}
    except (KeyError, TypeError) as error:
        raise plugin_failed(command, f"its entry under `exec` is malformed: {error}") from error
    spec: Json = {"interactive": interactive}
    if config.get("provideClusterInfo"):
        known = [it for it in cluster.get("extensions") or () if it.get("name") == _EXTENSION]
        spec["cluster"] = cluster | ({"config": known[0].get("extension")} if known else {})
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    return words, {**os.environ, **added, "KUBERNETES_EXEC_INFO": json.dumps(info)}


def _run(command: str, words: list[str], environment: dict[str, str], folder: str, interactive: bool) -> str:
    try:
        done = subprocess.run(
            words,
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if interactive else subprocess.PIPE,
            cwd=folder or None,
            env=environment,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, ValueError, TypeError) as error:  # not there, or a word or a value that is no text
        reason = error.strerror if isinstance(error, OSError) else None
        raise plugin_failed(command, f"it can't be run: {reason or type(error).__name__}") from error
    if done.returncode:
        said = (done.stderr or "").strip()
        raise plugin_failed(command, said or f"it ended with exit code {done.returncode}")
    return done.stdout


def _answer(command: str, config: Json, text: str) -> Json:
    """Nothing of *text* is ever shown: it holds the credentials."""
    try:
        answer = json.loads(text)
        version, status = answer["apiVersion"], answer["status"]
    except (ValueError, KeyError, TypeError) as error:
        raise plugin_failed(command, "its answer is not an ExecCredential") from error
    if version != config["apiVersion"]:
        raise plugin_failed(command, f"it answered as {version} when {config['apiVersion']} was asked for")
    if not isinstance(status, dict):
        raise plugin_failed(command, "its answer has no status")
    return status
