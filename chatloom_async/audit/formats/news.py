"""What is new in a report, compared with an earlier run. A value only."""

from attrs import frozen


@frozen
class News:
    """The ids of the findings that the run of the number `baseline` did not have. It may grow until the report ends."""

    baseline: int
    findings: set[str]
