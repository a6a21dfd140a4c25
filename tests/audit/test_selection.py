"""Filters over workspaces."""

import pytest

from chatloom_async.audit import KeyEnv, Workspace
from chatloom_async.audit.loading import NothingSelectedError, select

ACME_EU, ACME_US, GLOBEX = (
    Workspace("acme-eu", KeyEnv("A"), ("eu", "paid")),
    Workspace("acme-us", KeyEnv("B"), ("us",)),
    Workspace("globex", KeyEnv("C")),
)
ALL = (ACME_EU, ACME_US, GLOBEX)


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        ({}, ALL),
        ({"only": ["acme-*"]}, (ACME_EU, ACME_US)),
        ({"only": ["globex", "*-us"]}, (ACME_US, GLOBEX)),
        ({"exclude": ["acme-*", "nobody"]}, (GLOBEX,)),
        ({"tags": ["us", "paid"]}, (ACME_EU, ACME_US)),
        ({"only": ["acme-*"], "exclude": ["*-us"], "tags": ["eu"]}, (ACME_EU,)),
    ],
)
def test_filters_agree(filters: dict[str, list[str]], selected: tuple[Workspace, ...]) -> None:
    """A workspace is selected if every filter that is given lets it through."""
    assert select(ALL, **filters) == selected


@pytest.mark.parametrize("filters", [{"only": ["ACME-*"]}, {"exclude": ["*"]}, {"tags": ["EU"]}])
def test_a_filter_that_leaves_nothing_is_an_error(filters: dict[str, list[str]]) -> None:
    """It is most likely a typo, and an audit of nothing would look like success."""
    with pytest.raises(NothingSelectedError) as caught:
        select(ALL, **filters)
    assert caught.value == NothingSelectedError("No workspace is selected, out of 3 in the list")
