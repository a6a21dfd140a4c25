"""Tells new findings from those that an earlier run knew, so that an old debt does not fail a build."""

from collections.abc import Container, Iterable

from ..values import Finding


def new_findings(findings: Iterable[Finding], known: Container[str]) -> tuple[Finding, ...]:
    """Those whose id is not among `known`, such as `await store.known_findings(baseline, ids)`.

    Where the baseline could not read, nothing is known, so all that is found there is new.
    """
    return tuple(each for each in findings if each.id not in known)
