"""What the documentation shows of clusters is what Dask takes. Its commands run in `killed`."""

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chatloom_async import engines
from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.engines import DaskEngine, audit_on
from tests.engines.planted import planted

distributed = pytest.importorskip("distributed")
yaml = pytest.importorskip("yaml")
HOME = Path(__file__).parents[2]
RECIPE = yaml.safe_load((HOME / "examples" / "dask_cluster.yaml").read_text("utf-8"))
CRD = "dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"


async def test_the_library_audits_on_workers_as_the_page_shows(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each workspace, and a run that is finished."""
    (block,) = (text for text in re.findall(r"^```py\n(.*?)^```$", engines.__doc__ or "", re.MULTILINE | re.DOTALL))
    code = compile(block.replace("tcp://127.0.0.1:8786", cluster), "engines", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    sandbox, workspaces = planted(tmp_path, 3)
    monkeypatch.chdir(tmp_path)
    async with sandbox.serve() as url:
        names = {"url": url, "workspaces": workspaces, "Client": distributed.Client, "RunConfig": RunConfig}
        await eval(code, {**names, "open_store": open_store, "audit_on": audit_on, "DaskEngine": DaskEngine})
    assert sorted(capsys.readouterr().out.splitlines()) == ["w0 ok", "w1 ok", "w2 ok"]
    async with open_store("audits.db", write=False) as store:
        assert [(each.state, each.ok) for each in await store.runs()] == [("finished", 3)]


def container(name: str) -> dict[str, Any]:
    """The one container of the workers or of the scheduler."""
    (only,) = RECIPE["spec"][name]["spec"]["containers"]
    assert only["name"] == name
    return dict(only)


def test_the_commands_are_such_that_dask_understands_them() -> None:
    """Every option is one of this version of Dask; the placeholder is filled in by the operator."""
    from distributed.cli import dask_scheduler, dask_worker

    for name, command in (("worker", dask_worker.main), ("scheduler", dask_scheduler.main)):
        program, subcommand, *options = container(name)["args"]
        assert (program, subcommand) == ("dask", name)
        assert command.make_context(name, list(options)).params.get("nthreads") == (32 if name == "worker" else None)


def test_the_settings_are_those_that_a_cluster_of_ones_own_has() -> None:
    """As environment variables, which Dask reads."""
    from dask.config import collect_env

    from chatloom_async.engines.dask import SETTINGS

    settings = collect_env({each["name"]: each["value"] for each in container("scheduler")["env"]})
    named = {f"distributed.scheduler.{key}": value for key, value in settings["distributed"]["scheduler"].items()}
    assert {key.replace("_", "-"): value for key, value in named.items()}.items() <= SETTINGS.items()
    assert len(named) == 2


def test_keys_are_in_the_workers_only() -> None:
    """By reference to a secret."""
    assert container("worker")["envFrom"] == [{"secretRef": {"name": "chatloom-keys"}}]
    assert "envFrom" not in container("scheduler")


def test_ports_and_selectors_lead_to_the_scheduler() -> None:
    """The service's targets are ports that the container has."""
    service, has = RECIPE["spec"]["scheduler"]["service"], {each["name"] for each in container("scheduler")["ports"]}
    assert {each["targetPort"] for each in service["ports"]} == has == {"tcp-comm", "http-dashboard"}
    assert service["selector"]["dask.org/cluster-name"] == RECIPE["metadata"]["name"]


@pytest.mark.cluster
def test_the_operator_knows_every_field() -> None:
    """By the definition in its package, with unknown fields refused, which Kubernetes would drop without a word."""
    try:
        file = metadata.distribution("dask-kubernetes").locate_file(CRD)
    except metadata.PackageNotFoundError:
        pytest.skip("dask-kubernetes, which has the definition, is not installed: `nox -s engines` does")
    definition = yaml.load(Path(str(file)).read_text("utf-8"), yaml.CSafeLoader)["spec"]
    (version,) = definition["versions"]
    whole = f"{definition['group']}/{version['name']}", definition["names"]["kind"]
    assert (RECIPE["apiVersion"], RECIPE["kind"]) == whole
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for each in objects(schema):
        each.setdefault("additionalProperties", False)
    jsonschema.validate(RECIPE["spec"], schema)
    misspelled = deepcopy(RECIPE["spec"])
    misspelled["worker"]["spec"]["containers"][0]["resources"]["limit"] = {}
    with pytest.raises(jsonschema.ValidationError, match="'limit' was unexpected"):
        jsonschema.validate(misspelled, schema)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that names its properties."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield schema
        for each in schema.values():
            yield from objects(each)
