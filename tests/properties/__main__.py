"""Random schedules in great number, and mutants: `python -m tests.properties --schedules 20000`.

Prints how many schedules were run, and which rule noticed each mutant. The exit status tells whether all held, no fewer
were run than asked for, and no mutant got away.
"""

import argparse
import contextlib
import io
import sys
import time

from tests.properties.mutants import MUTANTS
from tests.properties.search import PROPERTIES, caught


def main() -> int:
    """Runs everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.properties", description=__doc__)
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--mutants", type=int, default=500, help="schedules to look for each mutant in")
    options = parser.parse_args()
    total = 0
    for each in PROPERTIES:
        began = time.perf_counter()
        ran = each.holds(round(options.schedules * each.share))
        total += ran
        print(f"{each.name:10} held in {ran:6,} schedules  ({time.perf_counter() - began:.0f} s)", flush=True)
    print(f"{total:,} random schedules were run.", flush=True)
    survivors = 0
    for mutant in MUTANTS:
        with contextlib.redirect_stderr(io.StringIO()):  # tasks that a mutant left behind complain
            rule = caught(mutant, options.mutants)
        survivors += rule is None
        print(f"mutant: {mutant:40} {rule or 'NOT NOTICED'}", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} mutants were noticed.")
    return int(survivors > 0 or total < options.schedules)


if __name__ == "__main__":
    sys.exit(main())
