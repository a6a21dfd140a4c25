"""Keeps the worst of many items, in bounded memory, and counts the others."""

from typing import Generic, Protocol, TypeVar

from attrs import define, field


class Grave(Protocol):
    """Something with a sort key; the worst comes first."""

    @property
    def gravity(self) -> tuple[object, ...]: ...


T = TypeVar("T", bound=Grave)


@define
class WorstOf(Generic[T]):
    """The worst `room` of the items that were added."""

    room: int
    count: int = field(default=0, init=False)
    _kept: list[T] = field(factory=list, init=False)

    @property
    def hidden(self) -> int:
        """How many are not among `items`."""
        return max(0, self.count - self.room)

    def add(self, item: T) -> None:
        self.count += 1
        self._kept.append(item)
        if len(self._kept) >= 2 * self.room:
            self._kept = self.items()

    def items(self) -> list[T]:
        """The worst first."""
        return sorted(self._kept, key=lambda each: each.gravity)[: self.room]
