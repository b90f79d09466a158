"""How we identify ourselves to the API server: kubeconfig, certificates, tokens, exec plugins, proxies.

The ``kubernetes`` package reads all of it, with one fault that this module repairs: when an exec plugin fails
it writes a line into the log and goes on *without* credentials, so the user sees "system:anonymous cannot
list pods" instead of "your cloud login has expired".

The package also writes the certificates and keys of a kubeconfig to temporary files, and removes them when
the process ends; a process that is killed leaves them behind.  So they are read into memory at once, and
removed.

This module imports ``kubernetes`` (half a second), so ``cluster`` imports it only for the first request.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import base64
import contextlib
import datetime
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client import rest as kubernetes_rest
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import (
    FileOrData,
    KubeConfigLoader,
    KubeConfigMerger,
    _cleanup_temp_files,
)

from devcluster.edge.kube.connections import Connections
from devcluster.edge.kube.context import read_context
from devcluster.edge.kube.kubeconfig import check_kubeconfig
from devcluster.edge.kube.plugin import plugin_failed, run_plugin
from devcluster.errors import ClusterError

_files = threading.Lock()  # the package's temporary files belong to all of the process
_EARLY = datetime.timedelta(seconds=30)  # a token is fetched anew this long before it expires


class _Loader(KubeConfigLoader):
    """The package's loader, except that a plugin's failure is an error."""

    def _load_from_exec_plugin(self) -> bool | None:
        if not self._user or "exec" not in self._user:
            return None
        config = self._user["exec"].value
        assert self._cluster is not None
        base = self._get_base_path(self._cluster.path)
        self._keep(str(config.get("command")), run_plugin(config, base, self._cluster.value), base)
        return True

    def _keep(self, command: str, status: dict[str, Any], base: str) -> None:
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        elif "clientCertificateData" in status and "clientKeyData" in status:
            self.cert_file = _plugin_file(status, "clientCertificateData", base)
            self.key_file = _plugin_file(status, "clientKeyData", base)
        else:
            raise plugin_failed(command, "its answer holds neither a token nor a certificate with its key")
        self.expiry = None
        if told := status.get("expirationTimestamp"):
            self.expiry = _time(command, told)


def _plugin_file(status: dict[str, Any], key: str, base: str) -> str:
    data = FileOrData(status, None, data_key_name=key, file_base_path=base, base64_file_content=False)
    return str(data.as_file())


def _time(command: str, told: Any) -> datetime.datetime:
    """RFC 3339, 5.6: a time has an offset."""
    try:
        found = datetime.datetime.fromisoformat(told)
    except (ValueError, TypeError) as error:
        raise plugin_failed(command, "the expirationTimestamp in its answer is not a time") from error
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Credentials:
    """``kind`` is for people.  ``expires``: when they end; None where they don't, or don't say.
    ``renewable``: a plugin then gives fresh ones."""

    kind: str
    expires: datetime.datetime | None
    renewable: bool = False


class Access:
    """Credentials, and the connection pool made of them.  The methods block: call them in a thread."""

    def __init__(self, files: str, context: str | None) -> None:
        """*files*: as in KUBECONFIG.  *context* None: the current one."""
        self._lock = threading.Lock()
        self.connections = Connections()
        self._loader = _open_loader(files, context)
        current = self._loader.current_context
        self.context = str(current["name"])
        self.namespace = str(current["context"].get("namespace") or "default")
        self._load()

    def _load(self) -> None:
        with _files, _translated(self.context):
            try:
                self._load_from_files()
            finally:
                _cleanup_temp_files()

    def _load_from_files(self) -> None:
        configuration = Configuration()
        self._loader.load_and_set(configuration)
        configuration.refresh_api_key_hook = None  # ours: it must be able to fail
        client = ApiClient(configuration)
        self.server = str(configuration.host)
        self.configuration = configuration
        self.pool: urllib3.PoolManager = client.rest_client.pool_manager
        self.connections.adopt(self.pool)
        self._context = _tls(configuration) if self.server.startswith("https") else None
        self._certificate_end = _certificate_end(configuration.cert_file)
        settings = self.pool.connection_pool_kw
        settings["socket_options"] = _socket_options()
        if self._context is not None:
            for name in ("ca_certs", "ca_cert_data", "cert_file", "key_file"):
                settings.pop(name, None)
            settings["ssl_context"] = self._context

    def refresh(self, *, force: bool = False) -> None:
        """Ask the plugin again when its credentials expire (or *force*: the server refused them)."""
        with self._lock:
            expiry = getattr(self._loader, "expiry", None)
            if not force and not (expiry and expiry - _EARLY < datetime.datetime.now(datetime.UTC)):
                return
            with _translated(self.context):
                self._loader._load_authentication()
            self._load()

    def credentials(self) -> Credentials:
        """What kind they are and how long they last; nothing secret."""
        user = self._loader._user or {}
        plugin = user["exec"].safe_get("command") if "exec" in user else None
        by = f", by the plugin {plugin}" if plugin else ""
        token = self.headers().get("Authorization", "")
        if token:
            expires = getattr(self._loader, "expiry", None) if plugin else None
            return Credentials("a token" + by, expires or _token_end(token), bool(plugin))
        if self._certificate_end:
            return Credentials("a client certificate" + by, self._certificate_end, bool(plugin))
        if self.configuration.username:
            return Credentials("a user name and a password", None)
        return Credentials("none: an anonymous request", None)

    def headers(self) -> dict[str, str]:
        """The headers that identify us, fresh.  A secret."""
        self.refresh()
        keys = self.configuration.api_key
        token = keys.get("BearerToken") or keys.get("authorization")
        return {"Authorization": _header(token)} if token else {}

    def tls(self) -> ssl.SSLContext | None:
        """A context with the cluster's CA and the client's certificate; None for plain HTTP."""
        return self._context

    def proxy(self) -> tuple[str, int, str | None] | None:
        """Host, port and the Proxy-Authorization header of the HTTP proxy, if one is to be used."""
        found = self.configuration.proxy
        no_proxy = self.configuration.no_proxy or ""
        bypass = getattr(kubernetes_rest, "should_bypass_proxies", None)
        if not found or (bypass is not None and bypass(self.server, no_proxy)):
            return None
        return _parse_proxy(found)


def _socket_options() -> list[tuple[int, int, int]]:
    """A watch only listens.  If its connection dies without a word (a VPN, another address, sleep) the kernel
    must notice, or new pods go unnoticed for minutes.  tcp(7)"""
    wanted = {"TCP_KEEPIDLE": 4, "TCP_KEEPALIVE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
    known = [(getattr(socket, name, None), value) for name, value in wanted.items()]
    return [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *((socket.IPPROTO_TCP, option, value) for option, value in known if option is not None),
    ]


def _certificate_end(file: str | None) -> datetime.datetime | None:
    if not file:
        return None
    from cryptography import x509

    return x509.load_pem_x509_certificate(Path(file).read_bytes()).not_valid_after_utc


def _token_end(header: str) -> datetime.datetime | None:
    """``exp`` of a JSON Web Token (RFC 7519, 4.1.4); None for any other token."""
    try:
        payload = header.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.datetime.fromtimestamp(float(claims["exp"]), datetime.UTC)
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def _parse_proxy(address: str) -> tuple[str, int, str | None]:
    url = urlsplit(address)
    if url.scheme not in ("http", "") or not url.hostname:
        raise ClusterError(f"the proxy {url.scheme}://{url.hostname} can't carry lanes; only http:// can")
    login = None
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        login = "Basic " + base64.b64encode(pair.encode()).decode()
    return url.hostname, url.port or 80, login


def _header(token: str) -> str:
    """A token read from a file ends with a newline.  What can't be sent in a header is refused here, since
    the sender's error would show it."""
    text = token.strip()
    if not (text.isascii() and text.isprintable()):
        raise ClusterError("the kubeconfig's token is not valid: no HTTP header can carry it")
    return text


def _tls(configuration: Any) -> ssl.SSLContext:
    """An encrypted key is refused rather than asked about: kubectl does not support them either."""
    with _of_certificate("the cluster's CA certificate (`certificate-authority`)"):
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        with _of_certificate("the user's certificate and key (`client-certificate`, `client-key`)"):
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
    return context


@contextlib.contextmanager
def _of_certificate(what: str) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLError, ValueError) as error:
        seen = (getattr(error, "reason", None) or "not PEM").lower().replace("_", " ")
        raise ClusterError(
            f"{what} of the kubeconfig can't be used: {seen}",
            hint="it is damaged: get a new kubeconfig from your cluster's provider",
        ) from error


def _open_loader(files: str, context: str | None) -> _Loader:
    check_kubeconfig(files, context)
    named = read_context(files, context)
    name = named.name if named else context
    with _translated(str(name)):
        merger = KubeConfigMerger(files)
        return _Loader(config_dict=merger.config, active_context=name, config_base_path=None)


@contextlib.contextmanager
def _translated(context: str) -> Iterator[None]:
    """If the ``kubernetes`` package fails to read a kubeconfig, the kubeconfig is at fault."""
    try:
        yield
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ClusterError(
            f"the kubeconfig's context {context} is not usable: {_words(error)}",
            hint=f"`kubectl --context {context} version` reads the same",
        ) from error


def _words(error: Exception) -> str:
    """The package's message without values: it quotes whole entries, and one of them may be a token."""
    match error:
        case ssl.SSLError():
            return error.reason or "not readable by OpenSSL"
        case OSError():
            return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return f"a value that can't be read ({type(error).__name__})"
