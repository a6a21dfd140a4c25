"""The steps of "Add an endpoint" in .github/CONTRIBUTING.md. Each failure names the step that is missing."""

import ast
import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import chatloom_async
from chatloom_async import AsyncChatloom, endpoints
from chatloom_async.wire.encode import Model, camel
from chatloom_async.wire.endpoint import Endpoint
from tests.endpoints.samples import SAMPLES


def classes_of(kind: type) -> list[Any]:
    """The subclasses of `kind` that the modules of chatloom_async.endpoints define."""
    names = [f"{endpoints.__name__}.{module.name}" for module in pkgutil.iter_modules(endpoints.__path__)]
    return [
        value
        for name in names
        for value in vars(import_module(name)).values()
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == name
    ]


def imported_names() -> set[str]:
    """The names that chatloom_async/__init__.py imports for type checkers."""
    tree = ast.parse(Path(chatloom_async.__file__).read_text("utf-8"))
    return {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


def export_steps(cls: type) -> list[str]:
    """What chatloom_async/__init__.py lacks to export a class."""
    name = cls.__name__
    module = cls.__module__.removeprefix("chatloom_async")
    places = {
        f"the import `from {module} import ...`": name in imported_names(),
        "__all__": name in chatloom_async.__all__,
        f"_NAMES[{module!r}]": getattr(chatloom_async, name, None) is cls,
    }
    return [f"chatloom_async/__init__.py: add {name} to {place}" for place, present in places.items() if not present]


def endpoint_steps(cls: type[Endpoint[Any]]) -> list[str]:
    """What is missing for an endpoint class, one instruction for each step."""
    name, steps = cls.__name__, []
    method = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    operation = f"{cls.method} {re.sub(r'{(.*?)}', lambda place: f'{{{camel(place[1])}}}', cls.path)}"
    if operation not in inspect.cleandoc(cls.__doc__ or ""):
        file = cls.__module__.replace(".", "/")
        steps.append(f"{file}.py: name the operation, `{operation}`, in the docstring of {name}")
    if not hasattr(AsyncChatloom, method):
        steps.append(
            f"chatloom_async/client.py: import {name} and add `{method}: Final = method_of({name})` to AsyncChatloom"
        )
    steps += export_steps(cls)
    if cls not in {type(sample.endpoint) for sample in SAMPLES}:
        steps.append(
            f"tests/endpoints/samples.py: add Sample({name}(...), {operation!r}, answer, value) to SAMPLES, "
            "with real values in the path and the JSON answer pasted from the documentation"
        )
    return steps


@pytest.mark.parametrize("cls", classes_of(Endpoint))
def test_no_step_is_missing_for_an_endpoint(cls: type[Endpoint[Any]]) -> None:
    """A method of the client, an export, and a sample from the documentation."""
    steps = endpoint_steps(cls)
    assert steps == [], "\n".join(steps)


@pytest.mark.parametrize("cls", classes_of(Model))
def test_every_model_is_exported(cls: type) -> None:
    """Users annotate with it."""
    steps = export_steps(cls)
    assert steps == [], "\n".join(steps)


def test_a_missing_step_is_described() -> None:
    """The file and what to write there, for an endpoint with none of the four steps."""

    @frozen
    class ListParts(Endpoint[Any]):
        path = "/api/plugin/things/{thing_id}/parts"
        thing_id: str

    ListParts.__module__ = "chatloom_async.endpoints.things"
    assert "\n".join(endpoint_steps(ListParts)) == (
        "chatloom_async/endpoints/things.py: name the operation, `GET /api/plugin/things/{thingId}/parts`, in "
        "the docstring of ListParts\n"
        "chatloom_async/client.py: import ListParts and add `list_parts: Final = method_of(ListParts)` to "
        "AsyncChatloom\n"
        "chatloom_async/__init__.py: add ListParts to the import `from .endpoints.things import ...`\n"
        "chatloom_async/__init__.py: add ListParts to __all__\n"
        "chatloom_async/__init__.py: add ListParts to _NAMES['.endpoints.things']\n"
        "tests/endpoints/samples.py: add Sample(ListParts(...), 'GET /api/plugin/things/{thingId}/parts', answer, "
        "value) to SAMPLES, with real values in the path and the JSON answer pasted from the documentation"
    )
