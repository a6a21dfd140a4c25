"""What can go wrong with the body of an answer: it is no JSON, or JSON of another shape than documented."""

from typing import ClassVar

from attrs import field, frozen

from .cleaning import clean
from .errors import ChatloomError


@frozen(slots=False, eq=False, repr=False, str=False)
class DecodeError(ChatloomError):
    """An answer came that is not what the API documents. `path` is the JSON path of the misfit, `excerpt` the body's
    beginning.

        error = SchemaMismatchError("Not a string", path="$.agents[0].name")
        print(isinstance(error, DecodeError), error.path)  # True $.agents[0].name
    """

    hint: ClassVar[str] = "If it persists, send request and response to Chatloom's support, or update this package."

    path: str = field(default="$", kw_only=True, converter=clean)
    excerpt: str = field(default="", kw_only=True, converter=clean)


@frozen(slots=False, eq=False, repr=False, str=False)
class NotJSONError(DecodeError):
    """The body is not JSON. `reason` is one of empty, content_type, possible_truncation, syntax.

    A login page of the network's is none:

        transport = MockTransport(lambda _: Response(200, {"Content-Type": "text/html"}, b"<html>Please log in</html>"))
        try:
            await AsyncChatloom(transport=transport).list_agents()
        except NotJSONError as error:
            print(error.reason)  # content_type
    """

    hint: ClassVar[str] = "Check that base_url points at the API and that no proxy or portal answers in its place."

    reason: str = field(default="syntax", kw_only=True)


class SchemaMismatchError(DecodeError):
    """The body is JSON of another shape than documented; `path` names the first place that differs.

    Nothing is guessed, and nothing converted:

        transport = MockTransport(lambda _: Response(200, body=b'{"agents": [], "count": "none"}'))
        try:
            await AsyncChatloom(transport=transport).list_agents()
        except SchemaMismatchError as error:
            print(error.path)  # $.count
    """
