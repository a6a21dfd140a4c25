"""The rules for allowed domains: for each one, and for the lists of an agent and of a workspace.

None claims more than is certain: the API's documentation says neither how domains are compared with the page's, nor
whether one stands for its subdomains, nor whether wildcards are understood.
"""

from collections.abc import Iterable

from ...wire.cleaning import first_of
from ..values import DomainMatching
from .hostname import Domain, is_public_suffix, quoted
from .rule import Found, rule
from .subjects import CheckedAgent, CheckedDomain, CheckedWorkspace, glob_pattern, parents

NAMED = 3  # names in one message; the rest is counted


@rule(
    "domain-wildcard",
    severity="error",
    ordinary=False,
    why="If the API supports wildcards, sites that you did not approve can show this agent; if not, the entry has no "
    "effect. The documentation does not mention wildcards.",
    fix="List the host names that should show the widget, one by one.",
)
def domain_wildcard(checked: CheckedDomain) -> Iterable[str]:
    """An asterisk anywhere."""
    if not checked.domain.wildcard:
        return
    if checked.workspace.matching == "exact":
        yield f"{checked.domain.shown} is a wildcard, but domains are compared exactly: it fits no page."
        return
    reach = "every site whose name fits" if checked.domain.host else "every site there is"
    yield f"{checked.domain.shown} is a wildcard; taken as one, it stands for {reach}."


@rule(
    "domain-local",
    severity="error",
    ordinary=False,
    why="The entry is a leftover of development: no public site has this name, but anybody can serve a page "
    "under it on a machine or network of their own.",
    fix="Remove the entry, and use a separate agent for development.",
)
def domain_local(checked: CheckedDomain) -> Iterable[str]:
    """A reserved name, an address of a private network, or a name without a dot that is not a top-level domain."""
    domain = checked.domain
    if domain.local:
        yield f"{quoted(domain.host)} {domain.local}."
    elif domain.host and domain.address is None and "." not in domain.host and not is_public_suffix(domain.host):
        yield f"{quoted(domain.host)} has no dot: at most, it is the name of a machine inside one network."


@rule(
    "domain-malformed",
    severity="error",
    ordinary=False,
    why="An allowed domain is compared with the host name of a page. An entry that is not a host name probably "
    "matches no page, so the widget does not load.",
    fix="Replace the entry with the bare host name, such as support.example.com.",
)
def domain_malformed(checked: CheckedDomain) -> Iterable[str]:
    """Not exactly a host name. One finding lists everything that is wrong with it."""
    domain = checked.domain
    if domain.problems:
        meant = f" Probably meant: {quoted(domain.host)}." if domain.meant else ""
        shown = "The entry" if domain.shown == quoted("") else domain.shown
        yield f"{shown} is not a host name: {'; '.join(domain.problems)}.{meant}"


@rule(
    "domain-public-suffix",
    severity="error",
    ordinary=False,
    why="Anybody can have a site under this domain. If an allowed domain includes its subdomains, which the "
    "documentation does not say, all of these sites can show this agent.",
    fix="Replace the entry with the full host name of your own site.",
)
def domain_public_suffix(checked: CheckedDomain) -> Iterable[str]:
    """On the Public Suffix List itself, without a leading `*.`. Nothing is found if domains are compared exactly."""
    domain, matching = checked.domain, checked.workspace.matching
    if matching == "exact" or not domain.host or domain.address is not None or not is_public_suffix(domain.host):
        return
    certain = ", and all of these sites can show this agent" if matching == "subdomains" else ""
    people = "independent people and companies have their sites under it"
    yield f"{quoted(domain.host)} is a public suffix: {people}{certain}."


@rule(
    "domain-ip",
    severity="warning",
    ordinary=False,
    why="IP addresses are reassigned: the next owner can show the agent, and after a move your own site cannot. "
    "Certificates for IP addresses are rare, so such a page often has no HTTPS.",
    fix="Give the site a name, and allow that name.",
)
def domain_ip(checked: CheckedDomain) -> Iterable[str]:
    """A public IP address, in any spelling that browsers understand. Private ones are domain-local."""
    domain = checked.domain
    if domain.address is not None and not domain.local:
        same = "" if str(domain.address) in domain.text.lower() else f", which browsers read as {domain.address}"
        yield f"{domain.shown} is an IP address{same}."


@rule(
    "domain-unexpected",
    severity="error",
    needs="expect",
    why="The entry is not in this workspace's list of expected domains: a site that nobody planned for can show the "
    "agent.",
    fix="Remove the domain from the agent, or add it to `expect` if it is wanted.",
)
def domain_unexpected(checked: CheckedDomain) -> Iterable[str]:
    """Not in `expect`, if there is one. Case, trailing dot and Punycode do not matter; globs are supported."""
    if checked.workspace.expected is not None and not checked.workspace.expects(checked.domain):
        yield f"{checked.domain.shown} is allowed, but not expected."


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
    wildcards = matching != "exact" and any(not domain.plain and domain.wildcard for domain in seen.values())
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
