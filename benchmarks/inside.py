"""The program of a fresh process: reads one job as JSON from its argument, prints the measured numbers as JSON.

Started by fresh.py. The numbers are its last line on stdout; a failure is a traceback and an exit status other than 0.
"""

import json
import sys
from importlib import import_module


def main() -> None:
    """Does the job."""
    job = json.loads(sys.argv[1])
    module, _, function = job.pop("place").partition(":")
    print(json.dumps(getattr(import_module(f".{module}", __package__), function)(**job)))


if __name__ == "__main__":
    main()
