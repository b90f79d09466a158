"""Answers each GET at port 8080 with this host's name and the path."""

import http.server
import signal
import socket
import sys


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"hello from {socket.gethostname()}: {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 has no default action
http.server.ThreadingHTTPServer(("", 8080), Hello).serve_forever()
