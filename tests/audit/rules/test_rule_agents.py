"""The rules for an agent's own fields."""

from datetime import timedelta
from typing import Any

import pytest

from chatloom_async.audit.rules.agents import white_contrast
from tests.audit.rules.cases import NOW, audited, checked, found, said

SAYS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("agent-status", {"status": "active"}, []),
    ("agent-status", {"status": "paused"}, ['The status is "paused", not "active".']),
    ("agent-status", {"status": "Active"}, ['The status is "Active", not "active".']),
    ("agent-status", {"status": ""}, ['The status is "", not "active".']),
    ("agent-name-blank", {"name": "Sales"}, []),
    ("agent-name-blank", {"name": "."}, []),
    ("agent-name-blank", {"name": ""}, ["The name is empty."]),
    ("agent-name-blank", {"name": " \t "}, ["The name is blank."]),
    ("agent-name-blank", {"name": "\u200b\u00a0"}, ["The name is blank."]),
    ("agent-color-invalid", {"primary_color": "#abc", "secondary_color": "#AABBCC"}, []),
    ("agent-color-invalid", {"primary_color": "#abcd", "secondary_color": "#AABBCCDD"}, []),
    ("agent-color-invalid", {"primary_color": "purple"}, ['The primary colour "purple" is not a hex colour.']),
    ("agent-color-invalid", {"secondary_color": "#12345"}, ['The secondary colour "#12345" is not a hex colour.']),
    ("agent-color-invalid", {"secondary_color": "611F69"}, ['The secondary colour "611F69" is not a hex colour.']),
    ("agent-color-invalid", {"primary_color": "#12345g"}, ['The primary colour "#12345g" is not a hex colour.']),
    ("agent-color-invalid", {"primary_color": "#abc\n"}, ['The primary colour "#abc" is not a hex colour.']),
    (
        "agent-color-invalid",
        {"primary_color": "", "secondary_color": "#"},
        ['The primary colour "" is not a hex colour. The secondary colour "#" is not a hex colour.'],
    ),
    ("agent-color-contrast", {"primary_color": "#767676"}, []),  # 4.54
    ("agent-color-contrast", {"primary_color": "#000", "secondary_color": "#00f"}, []),
    ("agent-color-contrast", {"primary_color": "purple"}, []),
    ("agent-color-contrast", {"primary_color": "#FFFFFF80"}, []),
    (
        "agent-color-contrast",
        {"primary_color": "#777777"},
        ["White text on the primary colour #777777 has a contrast of 4.47:1, less than 4.5:1."],
    ),
    (
        "agent-color-contrast",
        {"primary_color": "#FFE066", "secondary_color": "#ffff"},
        [
            (
                "White text on the primary colour #FFE066 has a contrast of 1.30:1, less than 4.5:1. "
                "White text on the secondary colour #ffff has a contrast of 1.00:1, less than 4.5:1."
            )
        ],
    ),
    *(
        ("agent-position-unknown", {"position": p}, [])
        for p in ("bottom-right", "bottom-left", "top-right", "top-left")
    ),
    (
        "agent-position-unknown",
        {"position": "center"},
        ['The position is "center", none of bottom-right, bottom-left, top-right, top-left.'],
    ),
    ("agent-created-in-future", {"created_at": NOW}, []),
    ("agent-created-in-future", {"created_at": NOW + timedelta(minutes=5)}, []),
    (
        "agent-created-in-future",
        {"created_at": NOW + timedelta(minutes=5, seconds=1)},
        ["It was created at 2026-02-01T12:05:01+00:00, which is in the future."],
    ),
]


@pytest.mark.parametrize(("rule", "fields", "messages"), SAYS)
def test_fields(rule: str, fields: dict[str, Any], messages: list[str]) -> None:
    """Each rule looks at its own field, and says what it holds."""
    assert said(rule, "a.example", **fields) == messages


@pytest.mark.parametrize(
    ("color", "ratio"),
    [("#000000", 21.0), ("#ffffff", 1.0), ("#FF0000", 3.998), ("#777", 4.478), ("#0000ffFF", 8.592), ("#00f8", None)],
)
def test_contrast(color: str, ratio: float | None) -> None:
    """The ratio to white is that of WCAG 2; where a colour lets something shine through, there is none."""
    assert white_contrast(color) == (None if ratio is None else pytest.approx(ratio, abs=0.001))


def test_names_are_compared_as_people_see_them() -> None:
    """All but the oldest are found, so that a newer one does not move the others' findings. Blanks are no names."""
    agents = [
        audited(id=identifier, name=name, created_at=NOW - timedelta(days=age))
        for identifier, name, age in (
            ("d", " sales ", 1),
            ("c", "Sales", 3),
            ("b", "Press", 5),
            ("a", "SALES", 7),
            ("e", "", 8),
            ("f", " ", 9),
        )
    ]
    assert found("agent-name-duplicate", checked(*agents)) == [
        ("c", "Sales", "An older agent, a, has the same name."),
        ("d", " sales ", "An older agent, a, has the same name."),
    ]


def test_agents_of_one_moment_are_ordered_by_id() -> None:
    """So the finding is on the same one in every run."""
    assert found("agent-name-duplicate", checked(audited(id="z"), audited(id="y"))) == [
        ("z", "Sales Assistant", "An older agent, y, has the same name.")
    ]


def test_an_id_twice_is_not_a_name_twice() -> None:
    """The list is at fault there, and the row says so."""
    assert found("agent-name-duplicate", checked(audited(), audited())) == []
