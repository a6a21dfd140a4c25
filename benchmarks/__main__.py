"""The command: measures what the options ask for, prints the tables, and keeps the numbers in results.json.

A --quick or --only run is not kept, unless --output names a file.
"""

import argparse
import signal
from pathlib import Path

from .chart import chart
from .machine import facts
from .plan import Scope, jobs
from .report import tables
from .results import FILE, Results, read
from .rounds import run
from .server import serving


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the main arms and smaller probes: about two minutes")
    parser.add_argument("--only", default="", metavar="NAME", help="only groups or subjects with this in their name")
    parser.add_argument("--repeats", type=int, metavar="N", help="rounds (6; with --quick 3)")
    parser.add_argument("--million", action="store_true", help="also a fan-out of a million calls")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the numbers go, or come from")
    parser.add_argument("--table", action="store_true", help=f"measure nothing, print {FILE.name} as Markdown")
    parser.add_argument("--chart", type=Path, metavar="FILE", help=f"measure nothing, draw {FILE.name} as an SVG")
    return parser.parse_args()


def main() -> None:
    """Does what the options say."""
    options = _options()
    if options.table or options.chart:
        results = read(options.output or FILE)
        if options.chart:
            options.chart.write_text(chart(results), "utf-8")
        if options.table:
            print(tables(results))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped too
    scope = Scope(options.repeats or (3 if options.quick else 6), options.quick, options.million, options.only)
    with serving() as server:
        results = Results(machine=facts(server.name))
        try:
            run(jobs(scope, server.url), scope.repeats, results)
        except KeyboardInterrupt:
            print("Interrupted: what follows is what was measured so far.")
    print(tables(results))
    if options.output or not (options.quick or options.only):
        results.write(options.output or FILE)
    else:
        print("\nThese numbers are not kept; --output FILE keeps them.")


if __name__ == "__main__":
    main()
