"""What pyproject.toml promises to those who install the package."""

import tomllib
from importlib import metadata, resources
from pathlib import Path

import chatloom_async

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]


def test_version_is_stated_once() -> None:
    """The installed distribution and `__version__` name the same version."""
    assert chatloom_async.__version__ == metadata.version("chatloom-async")


def test_types_are_shipped() -> None:
    """Type checkers look into the package (PEP 561)."""
    assert resources.files("chatloom_async").joinpath("py.typed").is_file()


def test_data_is_shipped() -> None:
    """What is not Python and belongs to the package: the API's description, and the script that Redis runs."""
    for name in ("openapi.json", "contrib/redis/step.lua"):
        assert resources.files("chatloom_async").joinpath(name).is_file()


def test_both_names_start_one_program() -> None:
    """`chatloom` and `chatloom-async` are one program."""
    scripts = metadata.entry_points(group="console_scripts")
    assert {each.name: each.load().__name__ for each in scripts if each.value.startswith("chatloom_async")} == {
        "chatloom": "program",
        "chatloom-async": "program",
    }


def test_every_dependency_has_a_tested_lower_bound() -> None:
    """`nox -s lowest` can try what the metadata allows."""
    wanted = PROJECT["dependencies"] + [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    assert [each for each in wanted if ">=" not in each] == []
