"""Whole calls under random schedules: answers, failures, waits and cancellations in any order, on a virtual clock."""

from collections import Counter
from random import Random
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chatloom_async import ClientClosedError, RateLimit, RetryPolicy
from tests.properties.rules import ALWAYS, IN_THE_END, nothing_is_left_behind
from tests.properties.surroundings import KEYS, Answer
from tests.properties.world import World

NAMES = st.sampled_from(sorted(KEYS))
KINDS = (200, 500, 503, 429, 429, 404, "lost", "lost", "cut", "refused", "garbled")
ANSWERS = st.builds(
    Answer,
    st.sampled_from(KINDS),
    st.sampled_from([None] * 6 + [0, 0, 1, 1, 4, 4, 30, 61, 1000]),
    st.sampled_from([0.0, 0.01, 0.01, 0.3, 2.0, 16.0]),
)
LIMITS = st.builds(
    RateLimit, per_second=st.sampled_from([0.5, 4.0, 30.0]), burst=st.integers(1, 6), concurrency=st.integers(1, 4)
)
STEPS = 25
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(2, 4),
    throttle_attempts=st.integers(2, 4),
    random=st.integers(0, 3).map(lambda seed: Random(seed).random),
)


class Calls(RuleBasedStateMachine):
    """Any sequence of what may happen to a client. The rules of rules.py hold, some at all times, the rest in the end.

    `ran` counts the schedules that were run to their end.
    """

    ran: ClassVar[Counter[str]] = Counter()
    world: World
    closes: bool

    @initialize(limit=LIMITS, policy=POLICIES, capacity=st.sampled_from([10.0, 40.0, 500.0]), closes=st.booleans())
    def begins(self, limit: RateLimit, policy: RetryPolicy, capacity: float, closes: bool) -> None:
        self.world, self.closes = World(limit, policy, capacity), closes

    @rule(name=NAMES, answers=st.lists(ANSWERS, min_size=3, max_size=9))
    def will_answer(self, name: str, answers: list[Answer]) -> None:
        self.world.server.scripts[name].extend(answers)

    @rule(name=NAMES, answer=ANSWERS | st.just(Answer(200)))
    def answers_usually(self, name: str, answer: Answer) -> None:
        self.world.server.usual[name] = answer

    @rule(name=NAMES, deadline=st.sampled_from([None, 0.2, 5.0, 60.0, 60.0]), times=st.integers(1, 4))
    def calls(self, name: str, deadline: float | None, times: int) -> None:
        for _ in range(times):
            self.world.call(name, deadline)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.25, 0.3, 1.0, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.loop.pass_time(seconds)

    @precondition(lambda self: self.world.under_way)
    @rule(number=st.integers(0, 9))
    def is_cancelled(self, number: int) -> None:
        under_way = self.world.under_way
        self.world.cancel(under_way[number % len(under_way)])

    @invariant()
    def holds(self) -> None:
        for each in ALWAYS:
            each(self.world)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self._close() if self.closes else self._finish()
            for each in IN_THE_END:
                each(self.world)
            self.ran["calls"] += 1
        finally:
            self.world.loop.end()

    def _finish(self) -> None:
        self.world.finish()
        assert self.world.under_way == []
        nothing_is_left_behind(self.world)

    def _close(self) -> None:
        """After a drain of two seconds nothing is under way, and what was ended says so."""
        began = self.world.loop.time()
        self.world.loop.run_until_complete(self.world.client.aclose(drain=2.0))
        self.world.loop.settle()
        assert (self.world.under_way, self.world.loop.time() - began <= 2.0) == ([], True)
        self.world.call("anna", None)
        self.world.loop.settle()
        assert isinstance(self.world.calls[-1].result, ClientClosedError)


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=50, stateful_step_count=STEPS, deadline=None)
