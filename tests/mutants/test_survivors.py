"""The list of changes that no test can notice is readable."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from .survivors import Change, explained

TEXT = Path(__file__).with_name("survivors.txt").read_text("utf-8")

DIFFERENCE = """# chatloom_async.wire.encode.x_camel__mutmut_3: survived
--- chatloom_async/wire/encode.py
+++ chatloom_async/wire/encode.py
@@ -2,4 +2,4 @@
     head, *rest = name.split("_")
-    return head
+    return None
"""


def test_a_change_is_known_by_its_lines() -> None:
    """Not by its number, which another change before it would shift."""
    change = Change.of("chatloom_async.wire.encode.x_camel__mutmut_3", DIFFERENCE)
    assert change == Change("chatloom_async.wire.encode", ("return head",), ("return None",))
    assert explained(f"{change}\nIt is\nwhat it is.\n") == {change: "It is\nwhat it is."}


def test_a_change_without_a_reason_is_refused() -> None:
    """Each survivor is explained, or is a test that is missing."""
    with pytest.raises(ValueError, match="does not say why"):
        explained("chatloom_async.wire.encode\n- a\n+ b")


def test_every_survivor_has_a_reason_and_a_module() -> None:
    """Whether it still survives is for `nox -s mutants` to say."""
    changes = explained(TEXT)
    assert changes
    assert [each for each in changes if find_spec(each.module) is None or each.removed == each.added] == []
