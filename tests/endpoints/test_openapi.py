"""openapi.json describes the API that the models read and the sandbox answers with."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from importlib import resources
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import attrs
import openapi_spec_validator
import pytest
from jsonschema import Draft202012Validator

from chatloom_async import ApiKey, ChatloomError, Request, Response, Sandbox
from chatloom_async.endpoints.agents import POSITIONS, STATUS_ACTIVE
from chatloom_async.sandbox.routes import NO_METHOD, NO_PATH, SandboxRequest, handle
from chatloom_async.wire.base_url import BASE_URL
from chatloom_async.wire.encode import camel, wire_name
from chatloom_async.wire.endpoint import layout_of
from chatloom_async.wire.status import status_error
from tests.endpoints.samples import SAMPLES, Sample

DESCRIPTION: Any = json.loads(resources.files("chatloom_async").joinpath("openapi.json").read_text("utf-8"))
SCHEMAS = DESCRIPTION["components"]["schemas"]
JSON_TYPES: dict[Any, str] = {
    NoneType: "null",
    str: "string",
    datetime: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    tuple: "array",
    dict: "object",
}
FAILURES = {"400", "401", "404", "429", "500"}  # the table in the documentation's section Errors


def operation(sample: Sample) -> Any:
    """The description of an endpoint of ours, by its method and path; None if openapi.json does not have it yet."""
    cls: Any = type(sample.endpoint)
    path = re.sub(r"\{(\w+)\}", lambda match: f"{{{camel(match[1])}}}", cls.path)
    return DESCRIPTION["paths"].get(path, {}).get(cls.method.lower())


DESCRIBED = [sample for sample in SAMPLES if operation(sample)]
every_described = pytest.mark.parametrize("sample", DESCRIBED, ids=lambda sample: type(sample.endpoint).__name__)


def schema_of(response: Any) -> Any:
    """The schema of a response's JSON; references are followed."""
    if "$ref" in response:
        response = DESCRIPTION["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response["content"]["application/json"]["schema"]


def json_types(hint: Any) -> set[str]:
    """The JSON types of a field, by its annotation."""
    if get_origin(hint) in (UnionType, Union):
        return set().union(*map(json_types, get_args(hint)))
    kind = get_origin(hint) or hint
    return {"object" if attrs.has(kind) else JSON_TYPES[kind]}


def described_types(schema: Any) -> set[str]:
    """The JSON types that a schema names. A reference is to an object, and an open enum is a string."""
    default = "object" if "$ref" in schema else "string"
    types = schema.get("type", default)
    return {types} if isinstance(types, str) else set(types)


def typed_fields(cls: Any, names: Iterable[str]) -> dict[str, set[str]]:
    """The JSON types of some fields of a class, by their names on the wire."""
    fields = attrs.fields_dict(attrs.resolve_types(cls))
    return {wire_name(fields[name]): json_types(fields[name].type) for name in names}


def violations(schema: Any, document: Any) -> list[str]:
    """What a JSON document does wrong by a schema."""
    rooted = {**schema, "components": DESCRIPTION["components"]}
    return [error.message for error in Draft202012Validator(rooted).iter_errors(document)]


def test_it_is_valid() -> None:
    """OpenAPI 3.1, by its own schema."""
    assert list(openapi_spec_validator.OpenAPIV31SpecValidator(DESCRIPTION).iter_errors()) == []


def test_where_and_with_what() -> None:
    """The server is the client's default, and the two headers are those that the client signs with."""
    assert [server["url"] for server in DESCRIPTION["servers"]] == [BASE_URL]
    assert DESCRIPTION["security"] == [{"bearer": []}, {"apiKey": []}]
    key, request = ApiKey("clf_test_0123456789"), Request("GET", BASE_URL)
    for auth, scheme in (("bearer", "bearer"), ("x-api-key", "apiKey")):
        described = DESCRIPTION["components"]["securitySchemes"][scheme]
        name = described.get("name", "Authorization")
        value = key.reveal() if scheme == "apiKey" else f"{described['scheme'].title()} {key.reveal()}"
        assert dict(key.sign(request, auth).headers) == {name: value}  # type: ignore[arg-type]


def test_every_operation_is_an_endpoint() -> None:
    """`listAgents` is `ListAgents`, and so on; the endpoints of v1 are described."""
    operations = {each["operationId"] for path in DESCRIPTION["paths"].values() for each in path.values()}
    names = {type(sample.endpoint).__name__ for sample in DESCRIBED}
    endpoints = {name[0].lower() + name[1:] for name in names}
    assert operations == endpoints, (
        f"openapi.json describes {sorted(operations)} and the endpoints that have its methods and paths are "
        f"{sorted(endpoints)}: rename the operationId, or add the endpoint as .github/CONTRIBUTING.md says"
    )
    assert operations >= {"listAgents", "getAllowedDomains"}


@every_described
def test_the_sandbox_has_a_route_for_every_operation(sample: Sample) -> None:
    """The sandbox knows its path and method, whatever it answers."""
    sandbox = Sandbox(rate_limit=None)
    key = sandbox.add_workspace("acme").key.reveal()
    asked = SandboxRequest(sample.endpoint.method, sample.request.split()[1], x_api_key=key)
    assert handle(sandbox._state, asked, 0.0).response not in (NO_PATH, NO_METHOD), (
        f"chatloom_async/sandbox/routes.py: add a route for {sample.request} to ROUTES"
    )


@every_described
def test_endpoints_agree(sample: Sample) -> None:
    """Parameters, body, the success, the documented example, and an error class for each failure."""
    described, cls = operation(sample), type(sample.endpoint)
    layout = layout_of(cls)
    parameters = {each["name"]: described_types(each["schema"]) for each in described.get("parameters", ())}
    assert parameters == typed_fields(cls, [*layout.path, *(name for name, _ in layout.query)])
    body = described.get("requestBody", {"content": {"application/json": {"schema": {}}}})
    properties = schema_of(body).get("properties", {})
    assert {name: described_types(each) for name, each in properties.items()} == typed_fields(
        cls, [name for name, _ in layout.body]
    )
    failures = FAILURES if layout.path else FAILURES - {"404"}
    (success,) = set(described["responses"]) - failures
    assert set(described["responses"]) == failures | {success}
    assert int(success) in cls.success
    answer = described["responses"][success]
    assert schema_of(answer) == {"$ref": f"#/components/schemas/{type(sample.value).__name__}"}
    examples = answer["content"]["application/json"].get("examples", {})
    assert [each["value"] for each in examples.values()] == [json.loads(sample.answer)], (
        f"openapi.json: the answer {success} of {sample.request} needs one example, that of tests/endpoints/samples.py"
    )
    assert violations(schema_of(answer), json.loads(sample.answer)) == []
    for status in failures:
        assert schema_of(described["responses"][status]) == {"$ref": "#/components/schemas/Error"}
        error = status_error(Response(int(status), body=b'{"error": "x"}'))
        assert isinstance(error, ChatloomError)
        assert (type(error).__module__, error.message) == ("chatloom_async.wire.status", "x")


def models() -> set[Any]:
    """Every attrs class in the answers of the package's endpoints."""
    found, left = set[Any](), [type(sample.value) for sample in DESCRIBED]
    while left:
        model = left.pop()
        found.add(model)
        parts = [part for field in attrs.fields(model) for part in (field.type, *get_args(field.type))]
        left += [part for part in parts if attrs.has(part) and part not in found]
    return found


@pytest.mark.parametrize("model", sorted(models(), key=lambda model: str(model.__name__)))
def test_models_agree(model: Any) -> None:
    """Each field is a property of its JSON type, required unless it has a default; other properties are allowed."""
    schema = SCHEMAS[model.__name__]
    fields = {wire_name(field): field.type for field in attrs.fields(model)}
    types = {name: described_types(each) for name, each in schema["properties"].items()}
    assert types == {name: json_types(each) for name, each in fields.items()}
    assert schema["required"] == [camel(field.name) for field in attrs.fields(model) if field.default is attrs.NOTHING]
    dates = {name for name, each in schema["properties"].items() if each.get("format") == "date-time"}
    assert dates == {name for name, each in fields.items() if each is datetime}
    assert "additionalProperties" not in schema


def test_there_is_nothing_but_models_and_the_error() -> None:
    """A schema that nothing uses is a mistake."""
    assert set(SCHEMAS) == {model.__name__ for model in models()} | {"Error"}


def test_open_enums() -> None:
    """The documented values are named, and any other text is valid, too."""
    properties = SCHEMAS["Agent"]["properties"]
    named = {name: each["anyOf"][0]["enum"] for name, each in properties.items() if "anyOf" in each}
    assert named == {"position": list(POSITIONS), "status": [STATUS_ACTIVE]}
    for name in named:
        assert [violations(properties[name], value) == [] for value in ("new", 1, None)] == [True, False, False]


def answered(sandbox: Sandbox, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Status and JSON of the sandbox's answer, without a network."""
    asked = SandboxRequest("GET", path, headers.get("Authorization", ""), headers.get("X-API-Key", ""))
    response = handle(sandbox._state, asked, 0.0).response
    return response.status, json.loads(response.body)


def test_the_sandbox_agrees() -> None:
    """Some hundred seeded workspaces, with all their troubles, answer as described; so do their errors."""
    sandbox = Sandbox(seed=7, trouble=0.5, rate_limit=None)
    seen = set[str]()
    for number in range(200):
        workspace = sandbox.add_workspace(f"workspace {number}", agents=number % 30)
        headers = {"Authorization": f"Bearer {workspace.key.reveal()}"}
        paths = ["", *(f"/{agent.id}/allowed-domains" for agent in workspace.agents), "/agt_none/allowed-domains"]
        for path, described in ((path, "/{agentId}/allowed-domains" if path else "") for path in paths):
            status, document = answered(sandbox, f"/api/plugin/agents{path}", headers)
            responses = DESCRIPTION["paths"][f"/api/plugin/agents{described}"]["get"]["responses"]
            assert violations(schema_of(responses[str(status)]), document) == []
            seen.add(f"{status}{described}")
    assert seen == {"200", "200/{agentId}/allowed-domains", "404/{agentId}/allowed-domains"}


@pytest.mark.parametrize("status", sorted(FAILURES))
def test_the_sandbox_fails_as_described(status: str) -> None:
    """With every documented status."""
    sandbox = Sandbox()
    workspace = sandbox.add_workspace("acme")
    workspace.fails(int(status))
    answer = answered(sandbox, "/api/plugin/agents", {"X-API-Key": workspace.key.reveal()})
    assert (answer[0], violations({"$ref": "#/components/schemas/Error"}, answer[1])) == (int(status), [])


def test_the_error_for_no_key_is_the_documented_one() -> None:
    """Word for word."""
    (example,) = DESCRIPTION["components"]["responses"]["Unauthorized"]["content"]["application/json"][
        "examples"
    ].values()
    assert answered(Sandbox(), "/api/plugin/agents", {}) == (401, example["value"])


@pytest.mark.parametrize(
    ("hint", "types"),
    [
        (str, {"string"}),
        (str | None, {"string", "null"}),
        (tuple[int, ...], {"array"}),
        (Sample | float, {"object", "number"}),
    ],
)
def test_types_of_fields_that_no_endpoint_has_yet(hint: Any, types: set[str]) -> None:
    """So that the next endpoint can have them."""
    assert json_types(hint) == types
    assert described_types({"type": sorted(types)}) == types
