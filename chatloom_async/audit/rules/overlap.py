"""Finds what workspaces of one audit have in common (sites that several allow, keys that several use), with its rules.

The answer depends on every workspace, so it is known only once all of them are read. It does not depend on the order
in which they were read. The index keeps digests, 12 bytes for each site of a workspace.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from heapq import nsmallest
from threading import Lock

from attrs import Factory, define, field

from ..values import Row
from .hostname import parse_domain, quoted
from .rule import Found, rule
from .subjects import CheckedOverlap, OtherWorkspaces

NAMED = 3
"""Other workspaces that a finding names; the rest is counted."""

ADDED_AT_ONCE = 500
"""Sites that are added under one lock: less than a millisecond."""

SIZE = 8
"""Bytes of a digest. That two of a hundred million sites have the same one has a probability of 1 in 3,700."""

BUCKETS = 256
"""Parts of the index, by digest. What is shared is found part by part, so it takes little memory more."""


@lru_cache(maxsize=1 << 14)
def site_digest(text: str) -> bytes:
    """The digest of the site that the text of an allowed domain names; empty if it names none."""
    domain = parse_domain(text)
    return _digest("site", domain.key) if domain.site else b""


def site_digests(row: Row) -> bytes:
    """The digests of all sites that the workspace allows, each once, one after the other."""
    texts = {text for agent in row.agents for text in agent.domains or ()}
    return b"".join(set(map(site_digest, texts)))


def _digest(kind: str, thing: str) -> bytes:
    return blake2b(thing.encode(errors="surrogatepass"), person=kind.encode(), digest_size=SIZE).digest()


def _numbers(digests: bytes) -> "array[int]":
    numbers = array("Q")
    numbers.frombytes(digests)
    return numbers


@define(eq=False)
class Bucket:
    """Some of the things that are held, each with the number of a workspace that holds it.

    `shared` are those that several workspaces hold, in order, and `counts` and `first` how many those are, and the
    first NAMED + 1 of them.
    """

    things: "array[int]" = Factory(lambda: array("Q"))
    holders: "array[int]" = Factory(lambda: array("I"))
    shared: "array[int]" = Factory(lambda: array("Q"))
    counts: "array[int]" = Factory(lambda: array("I"))
    first: list[tuple[str, ...]] = Factory(list)

    def find_shared(self, names: list[str], sharing: bytearray) -> None:
        """Fills in the rest, and marks the workspaces that share something in `sharing`."""
        one, several = dict[int, int](), dict[int, set[int]]()
        for thing, holder in zip(self.things, self.holders, strict=True):
            if (other := one.setdefault(thing, holder)) != holder:
                several.setdefault(thing, {other}).add(holder)
        self.shared, self.counts, self.first = array("Q", sorted(several)), array("I"), []
        for thing in self.shared:
            holders = several[thing]
            self.counts.append(len(holders))
            self.first.append(tuple(nsmallest(NAMED + 1, (names[holder] for holder in holders))))
            for holder in holders:
                sharing[holder] = 1

    def others(self, thing: int, workspace: str) -> OtherWorkspaces | None:
        """Who else holds the thing; None if nobody does."""
        place = bisect_left(self.shared, thing)
        if place == len(self.shared) or self.shared[place] != thing:
            return None
        names = [name for name in self.first[place] if name != workspace]
        return OtherWorkspaces(tuple(names[:NAMED]), self.counts[place] - 1)


@define(eq=False)
class OverlapIndex:
    """Which workspaces allow which sites and use which key. Call `add` for all of them, then `of`.

    Several threads may call `add`, and do not block each other for long.
    """

    _places: dict[str, int] = field(factory=dict, init=False)
    _keys: "array[int]" = field(init=False, factory=lambda: array("Q"))
    _buckets: list[Bucket] = field(init=False, factory=lambda: [Bucket() for _ in range(BUCKETS)])
    _sharing: bytearray = field(factory=bytearray, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    _prepared: bool = field(default=False, init=False)

    def add(self, workspace: str, sites: bytes, key: str | None) -> None:
        """Notes the sites that a workspace allows, as `site_digests` gives them, and the fingerprint of its key."""
        things = _numbers(sites + (b"" if key is None else _digest("key", key)))
        with self._lock:
            place = self._places.setdefault(workspace, len(self._places))
            if place == len(self._keys):
                self._keys.append(0)
            if key is not None:
                self._keys[place] = things[-1]
            self._prepared = False
        for start in range(0, len(things), ADDED_AT_ONCE):
            with self._lock:
                self._prepared = False
                for thing in things[start : start + ADDED_AT_ONCE]:
                    bucket = self._buckets[thing % BUCKETS]
                    bucket.things.append(thing)
                    bucket.holders.append(place)

    def prepare(self) -> None:
        """Finds what is shared. `of` does it when needed; in a thread, it does not hold up an event loop."""
        with self._lock:
            if self._prepared:
                return
            names, self._sharing = list(self._places), bytearray(len(self._places))
            for bucket in self._buckets:
                bucket.find_shared(names, self._sharing)
            self._prepared = True

    def shares(self, workspace: str) -> bool:
        """Whether it has anything in common with others."""
        self.prepare()
        place = self._places.get(workspace)
        return place is not None and self._sharing[place] == 1

    def of(self, workspace: str, texts: Iterable[str]) -> CheckedOverlap:
        """What the workspace, whose agents allow the domains `texts`, has in common with others.

        Those are named in the order of their names.
        """
        self.prepare()
        domains = dict[str, OtherWorkspaces]()
        for text in set(texts):
            if (digest := site_digest(text)) and (others := self._others(_numbers(digest)[0], workspace)):
                domains[parse_domain(text).key] = others
        key = self._others(self._keys[self._places[workspace]], workspace)
        return CheckedOverlap(workspace, dict(sorted(domains.items())), key or OtherWorkspaces())

    def _others(self, thing: int, workspace: str) -> OtherWorkspaces | None:
        return self._buckets[thing % BUCKETS].others(thing, workspace)


@rule(
    "domain-shared",
    severity="info",
    why="Agents of several workspaces can be shown on one site. That is right for a shared site, but may be left "
    "over from a former site or agency.",
    fix="Check that each of the workspaces still belongs on that site, and remove the domain from the others.",
)
def domain_shared(checked: CheckedOverlap) -> Iterable[Found]:
    """In every workspace that allows the domain."""
    for key, others in checked.domains.items():
        yield Found(f"{quoted(key)} is also allowed in {others}.", key)


@rule(
    "key-duplicate",
    severity="warning",
    why="Two entries of the list have the same API key, so both read the same workspace, and the other workspace is "
    "not audited.",
    fix="Correct the key reference of one of them, or remove the entry.",
)
def key_duplicate(checked: CheckedOverlap) -> Iterable[str]:
    """In every workspace with the key."""
    if checked.key.count:
        yield f"The key is the same as that of {checked.key}."
