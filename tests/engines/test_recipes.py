"""The recipe for Kubernetes is what Dask's operator takes, and what `dask worker` understands."""

from collections.abc import Iterator
from copy import deepcopy
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest

pytest.importorskip("distributed")
yaml = pytest.importorskip("yaml")
RECIPE = yaml.safe_load((Path(__file__).parents[2] / "examples" / "dask_cluster.yaml").read_text("utf-8"))
CRD = "dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"


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

    from chatloom_async.engines.connecting import SETTINGS

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
