"""snake_case to camelCase."""

import pytest

from chatloom_async.wire.encode import camel


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("id", "id"),
        ("created_at", "createdAt"),
        ("primary_color", "primaryColor"),
        ("from_", "from"),
        ("class__", "class"),
        ("a_b_c", "aBC"),
        ("page_2", "page2"),
        ("with__two", "withTwo"),
    ],
)
def test_camel(name: str, wire: str) -> None:
    """Words are joined by capitals; underscores that avoid a keyword are dropped."""
    assert camel(name) == wire
