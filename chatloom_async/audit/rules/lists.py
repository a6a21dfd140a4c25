"""The rules for lists of domains: one agent's, or those of all agents of a workspace."""

from collections.abc import Iterable

from ...wire.cleaning import first_of
from ..values import DomainMatching
from .hostname import Domain
from .rule import Found, rule
from .subjects import CheckedAgent, CheckedWorkspace, glob_pattern, parents

NAMED = 3  # names in one message; the rest is counted


@rule(
    "domains-empty",
    severity="warning",
    why="The documentation does not say what an empty list means: the widget may load on no site, or on every one.",
    fix="List the sites that should show this agent. If it has none any more, delete the agent.",
)
def domains_empty(checked: CheckedAgent) -> Iterable[str]:
    """An empty list. A list that could not be read does not count."""
    if checked.domains == ():
        yield "The agent has no allowed domain; whether its widget loads nowhere or everywhere is not documented."


@rule(
    "domain-duplicate",
    severity="info",
    why="The same site is listed twice. If one of the entries is removed later, the site is still allowed.",
    fix="Keep one of the entries: lower case, without a trailing dot.",
)
def domain_duplicate(checked: CheckedAgent) -> Iterable[Found]:
    """The same text, the same name in another spelling, or names that another entry of the same list stands for."""
    seen: dict[str, Domain] = {}
    for domain in checked.domains or ():
        if domain.key not in seen:
            seen[domain.key] = domain
        elif (first := seen[domain.key]).text == domain.text:
            yield Found(f"{domain.shown} is listed more than once.", domain.text)
        else:
            yield Found(f"{domain.shown} is another spelling of the earlier {first.shown}.", domain.text)
    for key, domains in _covered(seen, checked.workspace.matching).items():
        shown, covered = seen[key].shown, [domain.shown for domain in domains]
        condition = f"If {shown} works as a wildcard, it" if "*" in key else f"{shown} stands for its subdomains, and"
        yield Found(f"{condition} already covers {first_of(covered, NAMED)}.", seen[key].text)


def _covered(seen: dict[str, Domain], matching: DomainMatching) -> dict[str, list[Domain]]:
    """The domains that another entry of the list stands for, by the key of that entry.

    Only the wildcards `*` and `*.name` count, because the meaning of other patterns is unknown. A
    parent covers its subdomains only if that is known: the documentation's own example lists example.com and
    support.example.com side by side.
    """
    covered: dict[str, list[Domain]] = {}
    wildcards = matching != "exact" and any(domain.wildcard for domain in seen.values())
    if wildcards or matching == "subdomains":
        for domain in seen.values():
            for key in _over(domain, matching):
                if key in seen:
                    covered.setdefault(key, []).append(domain)
    return covered


def _over(domain: Domain, matching: DomainMatching) -> list[str]:
    if domain.problems or not domain.host:
        return []
    labels = domain.host.split(".")
    above = ["*", *(f"*.{'.'.join(labels[place:])}" for place in range(1, len(labels)))]
    return above + parents(domain) if matching == "subdomains" else above


@rule(
    "domain-missing",
    severity="error",
    needs="expect",
    why="No agent of this workspace allows a site that is expected to show one: the widget probably does not load "
    "there.",
    fix="Add the domain to the agent that belongs on that site, or remove it from `expect`.",
)
def domain_missing(checked: CheckedWorkspace) -> Iterable[Found]:
    """In `expect`, but on no agent's list. Only if every list was read. A glob needs one domain that matches it."""
    if checked.row.state != "ok":
        return  # it may be among what could not be read
    allowed = {domain.key: domain for agent in checked.agents for domain in agent.domains or ()}
    names = [key for key, domain in allowed.items() if not domain.problems]
    for domain in checked.expected or ():
        glob = "*" in domain.key
        covered = checked.matching == "subdomains" and not allowed.keys().isdisjoint(parents(domain))
        fitted = glob and any(map(glob_pattern([domain.key]).fullmatch, names))
        if not (domain.key in allowed or covered or fitted):
            fitting = "a domain that fits " if glob else ""
            yield Found(f"No agent allows {fitting}{domain.shown}, which is expected.", domain.text)
