"""A browser of the tests: follows redirects, keeps cookies, and never leaves the address it was given."""

from __future__ import annotations

import http.cookiejar
import json
import re
import secrets
import struct
import urllib.parse
import urllib.request
import zlib
from typing import Any


class Browser:
    """For one origin, such as ``http://localhost:8080``; leaving it by a redirect is an error."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            urllib.request.ProxyHandler({}),
            _Stay(origin),
        )

    def get(self, path: str) -> str:
        """The page; *path* may be a whole address of the same origin."""
        return self.get_bytes(path).decode()

    def get_bytes(self, path: str) -> bytes:
        return self._send(path, None, "")

    def post(self, path: str, form: dict[str, str]) -> str:
        body = urllib.parse.urlencode(form).encode()
        return self._send(path, body, "application/x-www-form-urlencoded").decode()

    def log_in(self, user: str, password: str) -> str:
        """The page after WordPress' own form."""
        self.get("/wp-login.php")  # gives the cookie without which WordPress refuses
        form = {"log": user, "pwd": password, "wp-submit": "Log In", "testcookie": "1"}
        return self.post("/wp-login.php", form | {"redirect_to": f"{self.origin}/wp-admin/"})

    def upload(self, name: str, content: bytes) -> str:
        """By the page "Add New Media", as its script does it; the file's address."""
        nonce = re.search(r'"_wpnonce":"([0-9a-f]+)"', self.get("/wp-admin/media-new.php"))
        assert nonce is not None
        fields = {"name": name, "action": "upload-attachment", "_wpnonce": nonce[1]}
        kind, body = _multipart(fields, name, content)
        answer = json.loads(self._send("/wp-admin/async-upload.php", body, kind))
        assert answer["success"], answer
        return str(answer["data"]["url"])

    def write_post(self, title: str, text: str) -> int:
        """A published one, by the REST API that the editor uses; its number."""
        nonce = self.get("/wp-admin/admin-ajax.php?action=rest-nonce")
        form = {"title": title, "content": text, "status": "publish", "_wpnonce": nonce}
        answer: dict[str, Any] = json.loads(self.post("/?rest_route=/wp/v2/posts", form))
        assert answer["status"] == "publish", answer
        return int(answer["id"])

    def _send(self, path: str, body: bytes | None, kind: str) -> bytes:
        url = urllib.parse.urljoin(self.origin, path)
        assert _origin(url) == self.origin, url
        request = urllib.request.Request(url, data=body, headers={"Content-Type": kind} if kind else {})  # noqa: S310
        with self._opener.open(request, timeout=60) as answer:
            content: bytes = answer.read()
            return content


class _Stay(urllib.request.HTTPRedirectHandler):
    def __init__(self, origin: str) -> None:
        self._origin = origin

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        assert _origin(newurl) == self._origin, f"{req.full_url} sends the browser to {newurl}"
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def small_png() -> bytes:
    """One pixel of a colour of its own."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + secrets.token_bytes(3))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def _multipart(fields: dict[str, str], name: str, content: bytes) -> tuple[str, bytes]:
    border = secrets.token_hex(16)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{border}\r\nContent-Disposition: form-data; name="async-upload"; filename="{name}"\r\n'
    parts.append(head.encode() + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n")
    parts.append(f"--{border}--\r\n".encode())
    return f"multipart/form-data; boundary={border}", b"".join(parts)


def _origin(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
