"""Every endpoint of the package against its sample."""

import copy
import pickle
import pkgutil
from importlib import import_module
from typing import Any

import attrs
import pytest

from chatloom_async import endpoints
from chatloom_async.wire.decode import decode
from chatloom_async.wire.endpoint import Endpoint
from chatloom_async.wire.errors import SchemaMismatchError
from chatloom_async.wire.message import Response
from tests.endpoints.samples import SAMPLES, Sample

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample.endpoint).__name__)


def test_no_endpoint_is_without_a_sample() -> None:
    """Each Endpoint class in chatloom_async.endpoints has an entry in samples.py."""
    modules = [import_module(f"{endpoints.__name__}.{each.name}") for each in pkgutil.iter_modules(endpoints.__path__)]
    known = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    ours = {cls.__name__ for cls in known if issubclass(cls, Endpoint) and cls is not Endpoint}
    assert ours == {type(sample.endpoint).__name__ for sample in SAMPLES}


@every_sample
def test_requests(sample: Sample) -> None:
    """The request is the documented one, without a body, and accepts JSON; nothing in it is a key."""
    request = sample.endpoint.request("https://chatloom.app")
    method, path = sample.request.split()
    headers = {"Accept": "application/json", "User-Agent": request.headers["user-agent"]}
    assert (request.method, request.url, request.body) == (method, f"https://chatloom.app{path}", None)
    assert dict(request.headers) == headers
    assert headers["User-Agent"].startswith("chatloom-async/")


@every_sample
def test_answers(sample: Sample) -> None:
    """The documented JSON becomes the value."""
    assert decode(Response(200, body=sample.answer.encode()), sample.endpoint.returns) == sample.value


@every_sample
def test_values_are_values(sample: Sample) -> None:
    """Endpoints and answers are frozen, and survive pickle and deepcopy."""
    for value in (sample.endpoint, sample.value):
        assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
        assert hash(copy.deepcopy(value)) == hash(value)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            value.anything = 1


@every_sample
def test_every_member_is_required(sample: Sample) -> None:
    """What the documentation promises without an "if" is never made up: a missing member is an error."""
    for field in attrs.fields(type(sample.value)):
        error = decode(Response(200, body=b"{}"), sample.endpoint.returns)
        assert isinstance(error, SchemaMismatchError)
        assert field.default is attrs.NOTHING


@every_sample
def test_they_are_read_only(sample: Sample) -> None:
    """The v1 surface consists of reads: safe to send again, and 200 is their only success."""
    cls: Any = type(sample.endpoint)
    assert (cls.method, cls.idempotent, cls.success) == ("GET", True, (200,))
