"""One workspace as its owner sees it: a name, agents, the key that works now, and what will go wrong next.

What becomes of a request is decided in routes.py; here is only what it is decided from.
"""

from typing import Unpack

from ..wire.auth import ApiKey
from .agents import Origin, WorkspaceAgents
from .data import key_text
from .faults import Fault, FaultOptions, Mishap, make_fault
from .rate import TokenBucket


class Workspace(WorkspaceAgents):
    """A workspace of the sandbox: made by `Sandbox.add_workspace`, found again as `sandbox[name]`.

    `requests` counts what was asked with a key of this workspace, failed and refused requests included;
    set it to 0 to count anew. `faults` are the scripted ones still to come; `bucket` is the rate limit's.
    """

    __slots__ = ("_key", "_keys", "_rotations", "bucket", "faults", "requests")

    def __init__(self, name: str, count: int, origin: Origin, keys: "dict[ApiKey, Workspace]") -> None:
        super().__init__(name, count, origin)
        self.requests: int = 0
        self.bucket: TokenBucket | None = None
        self.faults: tuple[Fault, ...] = ()
        self._rotations = 0
        self._keys = keys
        self._key = self._new_key()

    def __repr__(self) -> str:
        return f"Workspace({self.name!r}, {self._count} agents)"

    @property
    def key(self) -> ApiKey:
        """The key that works now."""
        return self._key

    def rotate_key(self) -> ApiKey:
        """A new key, with a rate limit of its own: "the old key stops working the moment you generate a new one"."""
        del self._keys[self._key]
        self._rotations += 1
        self._key, self.bucket = self._new_key(), None
        return self._key

    def _new_key(self) -> ApiKey:
        key = ApiKey(key_text(self._origin.seed, self.name, self._rotations))
        self._keys[key] = self
        return key

    def fails(
        self, how: int | Mishap, *, times: int | None = 1, on: str = "*", **options: Unpack[FaultOptions]
    ) -> None:
        """Scripts what happens to the next `times` requests of this workspace (None: to all that come).

        `how`      what happens                                       options
        a status   that status (200 to 599), with {"error": message}  message, headers, retry_after: seconds or text
        "slow"     the usual answer, but later                        seconds, by default 1
        "cut"      the connection breaks in the middle of the body
        "lost"     it breaks before the first byte
        "html"     a proxy's 502 page

        `on` is a glob over the path, such as "*/allowed-domains". Faults happen in the order of their scripting,
        to requests with a valid key only, and do not count for the rate limit. Raises ConfigurationError for
        a fault that could not happen.
        """
        self.faults = (*self.faults, make_fault(how, times, on, options))

    def recovers(self) -> None:
        """Forgets the faults that have not happened yet."""
        self.faults = ()

    def next_fault(self, path: str) -> Fault | None:
        """The first fault in the script that fits the path, used up by one."""
        for fault in self.faults:
            if fault.concerns(path):
                self.faults = tuple(left for each in self.faults if (left := each.used() if each is fault else each))
                return fault
        return None
