"""Every endpoint of the package against its sample."""

import copy
import json
import pickle
from typing import Any

import attrs
import pytest

from chatloom_async.wire.decode import decode
from chatloom_async.wire.encode import wire_name
from chatloom_async.wire.errors import SchemaMismatchError
from chatloom_async.wire.message import Response
from tests.endpoints.samples import SAMPLES, Sample

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample.endpoint).__name__)


@every_sample
def test_requests(sample: Sample) -> None:
    """The request is the documented one and accepts JSON; nothing in it is a key."""
    request = sample.endpoint.request("https://chatloom.app")
    method, path = sample.request.split()
    headers = {"Accept": "application/json", "User-Agent": request.headers["user-agent"]}
    if sample.body is not None:
        headers["Content-Type"] = "application/json"
    assert (request.method, request.url) == (method, f"https://chatloom.app{path}")
    assert (request.body and json.loads(request.body)) == (sample.body and json.loads(sample.body))
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
    """A member without a default is never made up: an answer that lacks it is an error."""
    document = json.loads(sample.answer)
    for field in attrs.fields(type(sample.value)):
        if field.default is attrs.NOTHING:
            name = wire_name(field)
            body = json.dumps({key: value for key, value in document.items() if key != name})
            error = decode(Response(200, body=body.encode()), sample.endpoint.returns)
            assert isinstance(error, SchemaMismatchError)
            assert error.path == f"$.{name}"


@every_sample
def test_a_read_is_safe_to_send_again(sample: Sample) -> None:
    """And one that writes is not, unless its method says so; the documented success is 200."""
    cls: Any = type(sample.endpoint)
    assert cls.idempotent is (cls.method not in ("POST", "PATCH"))
    assert 200 in cls.success
