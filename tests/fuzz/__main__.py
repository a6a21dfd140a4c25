"""Fuzzes the targets one after the other: `python -m tests.fuzz [TARGET...] [-max_total_time=20 ...]`, or nox -s fuzz.

What was found interesting is kept in .fuzz and is where the next run begins; an input that broke a promise is
kept there as well, and its path is printed. Give it a line of its own in test_targets.py.
"""

import subprocess
import sys
from pathlib import Path

from .samples import SAMPLES, WORDS

KEPT = Path(".fuzz")
OPTIONS = ("-max_total_time=20", "-timeout=5", "-max_len=2048", "-print_final_stats=1", "-verbosity=0")


def prepared(name: str) -> list[str]:
    """The folder of inputs of this target, with the samples in it, and where to leave what broke a promise."""
    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(SAMPLES[name]):
        (folder / f"sample-{number}").write_bytes(sample)
    return [str(folder), f"-artifact_prefix={KEPT / name}-"]


def dictionary() -> str:
    """libFuzzer's option that names a file of words; it takes no long ones."""
    path = KEPT / "words.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS if 0 < len(word) <= 64)
    path.write_text("".join(f'"{word}"\n' for word in words))
    return f"-dict={path}"


def main(arguments: list[str]) -> int:
    """1 where a target failed, which does not keep the others from their turn."""
    options = [each for each in arguments if each.startswith("-")]
    names = [each for each in arguments if not each.startswith("-")] or [*SAMPLES]
    if unknown := {*names} - {*SAMPLES}:
        sys.exit(f"There is no target {', '.join(sorted(unknown))}. There are: {', '.join(SAMPLES)}")
    failed: list[str] = []
    for name in names:
        print(f"--- {name}", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.guided", name, *prepared(name), dictionary(), *OPTIONS, *options]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"{len(names) - len(failed)} of {len(names)} targets kept their promises", *failed, sep="\n  broken: ")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
