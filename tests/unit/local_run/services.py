"""Small services for a local run."""

import os
from pathlib import Path

from local_run.plan import Service
from tests.ports import free_port

SERVES = """
import http.server, os, signal
def end(*_):
    print("ended", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): ...
print("began", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""
DIES = """
import sys
print("no such setting")
sys.exit(2)
"""


def service(directory: Path, name: str, program: str, *, may_kill: bool = False) -> Service:
    (directory / f"{name}.py").write_text(program)
    port = str(free_port())
    environment = {**os.environ, "PYTHONPATH": str(directory), "PORT": port}
    return Service(name, environment, f"http://127.0.0.1:{port}/", may_kill=may_kill)
