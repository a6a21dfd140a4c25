"""What a client and its clones have in common: transport, room for requests, retry budgets, and when it all ends."""

from attrs import define, field

from .policy.concurrency import Gate
from .policy.lifetime import Lifetime
from .policy.retry import RetryBudget
from .transports.interface import Transport


@define(eq=False)
class Resources:
    """Shared by a client and its clones. A transport that was handed in is borrowed; one made here is closed here."""

    name: str
    transport: Transport | None
    borrowed: bool
    lifetime: Lifetime = field(factory=Lifetime)
    gate: Gate = field(factory=Gate)
    transient: RetryBudget = field(factory=RetryBudget)
    throttle: RetryBudget = field(factory=RetryBudget)

    def open_transport(self) -> Transport:
        """The transport. The default one is made when it is first needed, since importing aiohttp takes its time."""
        if self.transport is None:
            from .policy import tenacity_retries  # noqa: F401 - when retries are due, there may be no descriptor left to read it
            from .transports.aiohttp import AiohttpTransport

            self.transport = AiohttpTransport(name=self.name)
        return self.transport

    async def aclose(self, drain: float) -> None:
        try:
            await self.lifetime.end(drain)
        finally:
            if self.transport is not None and not self.borrowed:
                await self.transport.aclose()
