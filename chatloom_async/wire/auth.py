"""API keys: validation, masking, and signing of requests. Only `reveal()` returns a key's text."""

import hmac
import re
import secrets
from hashlib import blake2b
from typing import Literal, NoReturn

from .cleaning import CONTROL, without_key
from .errors import InvalidApiKeyError
from .message import Headers, Request

Auth = Literal["bearer", "x-api-key"]

KEY = re.compile(r"clf_[\x21\x23-\x26\x28-\x2b\x2d-\x5f\x61-\x7e]{1,256}")  # visible ASCII without " ' ` ,
PLACEHOLDER = re.compile(r"clf_(\.{3}|\*{3}|<.*>|your[_-](own[_-])?(api[_-]?)?(key|token)([_-]?here)?)", re.IGNORECASE)
"""What documentation has in place of a key, and what this package shows in place of one."""

EDGES = re.compile(
    r"[\s\"'`\ufeff\u200b]*((authorization:\s*)?bearer\s|x-api-key:)?[\s\"'`\ufeff\u200b]*", re.IGNORECASE
)
AROUND = {
    "quotes": re.compile(r"[\"'`]"),
    "blanks or a line break": re.compile(r"^\s|\s$|[\"'`]\s|\s[\"'`]"),
    "the word Bearer": re.compile(r"bearer\s", re.IGNORECASE),
    "the name of a header": re.compile(r"(authorization|x-api-key):", re.IGNORECASE),
    "characters that are not seen": re.compile(r"[\ufeff\u200b]"),
}
"""Characters that are often copied with a key, by their name in the error."""
SALT = secrets.token_bytes(16)


class ApiKey:
    """An API key that is masked in str, repr and format, and refuses pickle, copy and JSON.

    Only `reveal()` returns its text. `fingerprint` identifies the key without revealing it. It is salted per process:
    use it as a dictionary key or in logs, but not across processes.

        key = ApiKey("clf_0123456789abcdef")
        assert f"{key}" == "clf_***"
    """

    __slots__ = ("__weakref__", "_signed", "_text", "fingerprint")
    fingerprint: str

    def __init__(self, text: str) -> None:
        problem = _problem(text)
        if problem:
            del text  # keeps the key out of tracebacks that show local variables
            raise InvalidApiKeyError(problem)
        self._text = text
        self._signed: dict[Auth, tuple[Headers, Headers]] = {}
        self.fingerprint = blake2b(text.encode(), key=SALT, digest_size=8).hexdigest()

    def reveal(self) -> str:
        """The key as text. Keep it out of logs, URLs and command lines."""
        return self._text

    def sign(self, request: Request, auth: Auth) -> Request:
        """The request with this key in exactly one header: `Authorization: Bearer` or `X-API-Key`.

        The documentation: "Both work identically; pick whichever fits your client best."
        """
        unsigned, signed = self._signed.get(auth, (None, None))
        if signed is None or unsigned is not request.headers:  # endpoints share one Headers object: see endpoint.py
            signed = _with_key(request.headers, self._text, auth)
            self._signed[auth] = (request.headers, signed)
        return Request(request.method, request.url, signed, request.body, timeouts=request.timeouts)

    def forget_signed(self, auth: Auth) -> Headers | None:
        """Frees the signed headers that were kept (1.7 KB), and returns them."""
        _, signed = self._signed.pop(auth, (None, None))
        return signed

    def __repr__(self) -> str:
        return "ApiKey('clf_***')"

    def __str__(self) -> str:
        return "clf_***"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return hmac.compare_digest(self._text, other._text) if isinstance(other, ApiKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("An ApiKey cannot be pickled or copied: pass a reference, such as the name of a variable.")


def _problem(text: object) -> str | None:
    """Why this cannot be a key, or None. Never quotes the text."""
    if not isinstance(text, str):
        return f"The API key is a {type(text).__name__}, not a string"
    alone = _without_edges(text)
    if PLACEHOLDER.fullmatch(alone):
        return "The API key is a placeholder, as documentation has it in place of a key"
    if KEY.fullmatch(text):
        return None
    if not alone:
        return "The API key is empty"
    if KEY.fullmatch(alone):
        around = ", ".join(name for name, pattern in AROUND.items() if pattern.search(text.replace(alone, "|")))
        return f"The API key is surrounded by characters that must be removed: {around}"
    if not text.startswith("clf_"):
        return "The API key does not start with the prefix clf_ of all keys"
    return "The API key holds blanks, quotes, commas or other than visible ASCII, or more than 260 characters"


def _without_edges(text: str) -> str:
    """The text without quotes, blanks and the like that are often copied with a key."""
    start = text[EDGES.match(text).end() :]  # type: ignore[union-attr]  # it matches nothing, too
    return start.rstrip("\"'`\ufeff\u200b \t\r\n\v\f\xa0")


def api_key_or_error(text: object) -> ApiKey | InvalidApiKeyError:
    """Like `ApiKey(text)`, but returns the error, so that no traceback contains a frame with the key."""
    if isinstance(text, ApiKey):
        return text
    problem = _problem(text)
    return InvalidApiKeyError(problem) if problem else ApiKey(text)  # type: ignore[arg-type]


SEARCHED = 2**14  # characters: a key that begins in a text of an error, which is far shorter, ends before


def hidden(text: str, key: ApiKey | None, limit: int = SEARCHED) -> str:
    """The beginning of a server's text, with a mask for the key however it is spelled. Use it before the text is cut:
    a part of a key is not recognized."""
    if key is None:
        return text[:limit]
    raw = CONTROL.sub(" ", text[:limit]).encode()
    masked = without_key(key.reveal(), raw)
    return text[:limit] if masked == raw else masked.decode()


def _with_key(headers: Headers, text: str, auth: Auth) -> Headers:
    name, value = ("Authorization", f"Bearer {text}") if auth == "bearer" else ("X-API-Key", text)
    others = {n: v for n, v in headers.items() if n.lower() not in ("authorization", "x-api-key")}
    return Headers({**others, name: value})
