"""What tells keys apart, and what is remembered of them."""

from chatloom_async import Headers
from chatloom_async.transports.per_loop import MAX_HEADERS, PerHeaders, key_of


def test_keys_are_told_apart_by_the_headers_that_carry_them() -> None:
    """The same text in the other header is another key; other headers do not count."""
    bearer, other = {"Authorization": "Bearer clf_a"}, {"X-API-Key": "clf_a"}
    numbers = [key_of(Headers(each)) for each in (bearer, {**bearer, "Accept": "b"}, other, {})]
    assert [numbers.index(number) for number in numbers] == [0, 0, 2, 3]


def test_what_was_made_of_headers_is_kept_for_some_of_them() -> None:
    """Once for each Headers object; when there are too many, all are forgotten."""
    made: list[Headers] = []
    remembered = PerHeaders(made.append)
    kept = [Headers({"A": str(number)}) for number in range(MAX_HEADERS + 1)]
    for headers in [*kept[:2], *kept[:2], *kept, kept[-1], kept[0]]:
        remembered.of(headers)
    assert [each["A"] for each in made] == [str(number) for number in (*range(MAX_HEADERS + 1), 0)]
