"""An admin dashboard for Chatloom workspaces: python -m examples.dashboard [WORKSPACES] [--port PORT]

WORKSPACES is a file such as `chatloom audit` reads. Without one, it shows made-up workspaces and needs no key.
It has no login, so it listens on this machine only: put a proxy that has one in front of it.
"""

import argparse
import logging
from pathlib import Path

from aiohttp import web

from chatloom_async import AiohttpTransport, ChatloomError
from chatloom_async.audit import load_workspaces

from .app import dashboard
from .demo import demo


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m examples.dashboard", description="Chatloom workspaces at a glance.")
    parser.add_argument("workspaces", nargs="?", type=Path, metavar="WORKSPACES", help="a TOML, JSON or CSV file")
    parser.add_argument("--port", type=int, default=8086, help="on 127.0.0.1; default: 8086")
    return parser.parse_args()


def told(text: str) -> None:
    print(text, flush=True)  # at once, into a log file as well


def main() -> None:
    given = arguments()
    try:
        app = dashboard(load_workspaces(given.workspaces), AiohttpTransport()) if given.workspaces else demo()
    except ChatloomError as error:  # it says what is wrong with the file, and what to do
        raise SystemExit(f"error: {error}") from None
    logging.basicConfig(level=logging.WARNING)
    web.run_app(app, host="127.0.0.1", port=given.port, access_log=None, print=told)


if __name__ == "__main__":
    main()
