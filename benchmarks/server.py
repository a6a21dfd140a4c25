"""Starts the static server: nginx if it is installed, else bare_server.py in a process of its own."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from .answers import SEVEN, TELEGRAM, write_answers

# One process, no access log: the other core is the client's. A POST is answered like a GET, since aiogram only posts.
NGINX = """
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 65536;
pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 20000; multi_accept on; }}
http {{
  access_log off; server_tokens off; sendfile on; tcp_nodelay on; default_type application/json;
  keepalive_timeout 3600s; keepalive_requests 1000000000; open_file_cache max=4000 inactive=1h;
  map $http_authorization $workspace {{ default 0; "~w(?<number>[0-9]+)$" $number; }}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096 {tls}; root {folder}/answers;
    location = /status {{ stub_status; }}
    location / {{ try_files $uri.json =404; }}
    location ~ ^{seven}/.*/allowed-domains$ {{ try_files {seven}/domains/$workspace.json =404; }}
    location = {telegram} {{ error_page 405 =200 {telegram}.json; try_files {telegram}.json =404; }}
    location = {telegram}.json {{ }}
  }}
}}
"""


@frozen
class Server:
    """A running server: what it is, and where."""

    name: str
    url: str


@contextmanager
def serving(certificate: Path | None = None, *, latency: float = 0.0) -> Iterator[Server]:
    """A static server on a free loopback port, until the block ends.

    With a certificate (a PEM file that also holds its key) it speaks TLS, which needs nginx. With a latency, each
    answer takes that many seconds, which bare_server.py does.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_answers(folder / "answers")
        port = _free_port()
        server, command = (not latency and _nginx(folder, port, certificate)) or _bare(
            folder, port, certificate, latency
        )
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield Server(server, f"{'https' if certificate else 'http'}://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait()


def _nginx(folder: Path, port: int, certificate: Path | None) -> tuple[str, list[str]] | None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    configuration = folder / "nginx.conf"
    tls = f"ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}" if certificate else ""
    configuration.write_text(NGINX.format(folder=folder, port=port, tls=tls, telegram=TELEGRAM, seven=SEVEN), "utf-8")
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
    return version.strip().rpartition(" ")[2], command


def _bare(folder: Path, port: int, certificate: Path | None, latency: float) -> tuple[str, list[str]]:
    if certificate:
        raise SystemExit("Without nginx there is no server that speaks TLS.")
    command = [sys.executable, "-m", "benchmarks.bare_server", str(folder / "answers"), str(port), str(latency)]
    return "bare asyncio server", command


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise SystemExit(f"The static server ended at once, with exit status {process.returncode}.")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("The static server did not begin to listen within 10 s.")
