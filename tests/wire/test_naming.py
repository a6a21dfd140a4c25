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
        ("address_line_2b", "addressLine2b"),
        ("with__two", "with__two"),
        ("userID", "userID"),
        ("user_ID", "user_ID"),
        ("URL", "URL"),
        ("_id", "_id"),
        ("_", "_"),
        ("2fa", "2fa"),
        ("größe_x", "größe_x"),
    ],
)
def test_camel(name: str, wire: str) -> None:
    """Words are joined by capitals; underscores that avoid a keyword are dropped. Any other name stays as it is."""
    assert camel(name) == wire
