#!/usr/bin/python3
"""The default agent: answers GET /health at the server's tailnet address, and nothing else.

It stands in for the customer's own agent and shows what that one must do. It reads AGENT_ID, AGENT_HOST and
AGENT_HEALTH_PORT from the environment.
"""

import json
import os
import socket
import socketserver
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Health(BaseHTTPRequestHandler):
    """Serves one connection; a client silent for 10 s is disconnected."""

    timeout = 10
    server_version = "agent"
    sys_version = ""

    def do_GET(self) -> None:
        known = self.path == "/health"
        answer = {"status": "ok", "agentId": os.environ["AGENT_ID"]} if known else {"error": "Not found"}
        body = json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: a health check every few seconds is not worth a log line."""


class Server(ThreadingHTTPServer):
    """Listens at an IPv4 or an IPv6 address."""

    # HTTPServer's own version looks its name up in the DNS, which may be slow or hang.
    server_bind = socketserver.TCPServer.server_bind


def main() -> None:
    host = os.environ["AGENT_HOST"]
    Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    Server((host, int(os.environ["AGENT_HEALTH_PORT"])), Health).serve_forever()


if __name__ == "__main__":
    main()
