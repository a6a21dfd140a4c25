"""CSV: for spreadsheets, and without a formula in it."""

import csv
from io import StringIO

import pytest

from chatloom_async.audit.formats.data import COLUMNS, FORMULA, CsvFormat
from chatloom_async.audit.formats.text import visible
from tests.audit.formats.reported import EMPTY, HOSTILE, SHARED, WILDCARD, hostile_rows, written

HEADING = ",".join(f'"{each}"' for each in COLUMNS)
TABLE = f"""\
{HEADING}
"birch","ok","","","","","","","","","","1","1","2"
"acme","ok","error","domain-wildcard","agt_abc123","Sales Assistant","*.com","""
TABLE += f"""\
"\""*.com"" is a wildcard.","{WILDCARD.id}","","","2","2","3"
"acme","ok","warning","domains-empty","agt_glass","Product Advisor","Product Advisor","No domain.","{EMPTY.id}",\
"","","2","2","3"
"acme","ok","info","domain-shared","","","example.com","Also allowed elsewhere.","{SHARED.id}","","","2","2","3"
"cedar","failed","","","","","","","","AuthenticationError","HTTP 401: Invalid API key.","0","0","1"
"fjord","partial","info","domain-shared","","","example.com","Also allowed elsewhere.","{SHARED.id}",\
"ServerError","1 of 2 agents could not be read.","2","0","7"
"""


def test_a_line_a_finding_and_one_for_each_workspace_without() -> None:
    """Every workspace is in it, and every line ends in CRLF."""
    assert written(CsvFormat()) == TABLE.replace("\n", "\r\n")


def test_a_file_begins_with_a_byte_order_mark() -> None:
    """Without it Excel takes UTF-8 for the encoding of the machine."""
    assert written(CsvFormat(bom=True)).encode() == b"\xef\xbb\xbf" + written(CsvFormat()).encode()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_field_is_a_formula(text: str) -> None:
    """Whatever a tenant writes stays in its field, which begins with an apostrophe where it could be taken for one."""
    table = written(CsvFormat(), hostile_rows(text))
    lines = list(csv.reader(StringIO(table, newline=""), strict=True))
    assert [len(line) for line in lines] == [len(COLUMNS)] * 3
    shown = visible(text)
    assert lines[1][0] == (f"'{shown}" if shown.strip().startswith(FORMULA) else shown)
    assert not any(field.strip().startswith(FORMULA) for line in lines for field in line)
    assert table.replace("\r\n", "").isprintable()
