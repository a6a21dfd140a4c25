"""A real scheduler and real workers of Dask on loopback, each a process that can be killed, with a log to look into."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from subprocess import Popen

SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",  # two tries: a poison shard takes fewer workers along
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
}


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Cluster:
    """`folder` holds the logs. Ended by `close`, as in `with closing(Cluster(folder)) as cluster`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.page = folder, free_port(), free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.nannies: list[Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self) -> Popen[bytes]:
        """A scheduler at this cluster's address; returns when it listens."""
        pages = f"127.0.0.1:{self.page}"
        options = ("--host", "127.0.0.1", "--port", str(self.port), "--dashboard-address", pages)
        self.scheduler = self._start("scheduler", "distributed.cli.dask_scheduler", *options)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert self.scheduler.poll() is None
                time.sleep(0.02)
            else:
                return self.scheduler

    def start_worker(self, path: Path | None = None, threads: int = 1) -> Popen[bytes]:
        """A nanny with a worker of so many threads. Modules in `path` are found before those that are installed."""
        options = ("--nworkers", "1", "--nthreads", str(threads), "--host", "127.0.0.1", "--no-dashboard")
        extra = {} if path is None else {"PYTHONPATH": str(path)}
        name = f"worker-{len(self.nannies)}"
        nanny = self._start(name, "distributed.cli.dask_worker", self.address, *options, **extra)
        self.nannies.append(nanny)
        return nanny

    def _start(self, name: str, module: str, *options: str, **extra: str) -> Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            environment = {**os.environ, **SETTINGS, **extra}
            command = (sys.executable, "-W", "ignore", "-m", module, *options)
            return Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)

    def logs(self) -> bytes:
        """What scheduler and workers have said."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.log")))

    def stop(self, process: Popen[bytes], kind: signal.Signals = signal.SIGKILL) -> None:
        """Ends one of its processes."""
        process.send_signal(kind)
        process.wait()

    def close(self) -> None:
        """Ends all of its processes."""
        for nanny in self.nannies:
            nanny.terminate()
        for nanny in self.nannies:
            nanny.wait()
        self.stop(self.scheduler)
