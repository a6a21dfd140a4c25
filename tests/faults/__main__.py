"""Prints the fault table, measured now: `python -m tests.faults`.

Both columns come from the same scripts. The number before an outcome counts the requests that reached the server.
--summary prints the table of tests/README.md instead. --check compares with measured.json, --record writes it.
--transport prints what comes of the faults with another transport.
"""

import argparse
import asyncio
import logging
import socket
import sys
import warnings
from functools import partial

from rich.console import Console
from rich.table import Table

from tests.faults.measuring import Measured, measured
from tests.faults.rows import PURE_PYTHON, ROWS
from tests.faults.scenes import only_loopback, replaced
from tests.faults.subjects import Ours
from tests.faults.summary import summary
from tests.transports.kinds import KINDS, transport_class


def table(seen: Measured) -> Table:
    """The rows side by side."""
    title = f"aiohttp {seen.aiohttp}, parser in {'pure Python' if PURE_PYTHON else 'C'}"
    printed = Table("row", "fault", "plain aiohttp", "chatloom_async", title=title)
    for row in ROWS:
        printed.add_row(str(row.number), row.fault, *(str(each or "-") for each in seen.pairs[row.name]))
    return printed


async def only(transport: str) -> Table:
    """What comes of every fault with this transport."""
    printed = Table("row", "fault", "chatloom_async", title=transport)
    subject = partial(Ours, carrier=transport_class(transport))
    for row in ROWS:
        printed.add_row(str(row.number), row.fault, str(await measured(row, subject)))
    return printed


def differences(seen: Measured) -> list[str]:
    """Where it is not as recorded."""
    before, now = Measured.recorded().pairs, seen.without_details().pairs
    names = [*now, *(before.keys() - now.keys())]
    return [f"{name}: {before.get(name)} -> {now.get(name)}" for name in names if before.get(name) != now.get(name)]


def main() -> int:
    """Meets every fault twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    for name in ("summary", "check", "record"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--transport", choices=sorted(KINDS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    with replaced(socket, "getaddrinfo", only_loopback):  # plain aiohttp would go where it is sent
        if options.transport:
            Console(width=140).print(asyncio.run(only(options.transport)))
            return 0
        seen = asyncio.run(Measured.now())
    if options.record:
        seen.record()
    if options.summary:
        print(summary(seen), end="")
    else:
        Console(width=140).print(table(seen))
    changed = differences(seen) if options.check else []
    print(*changed, sep="\n", end="\n" if changed else "")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
