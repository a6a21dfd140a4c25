"""What the environment says of the way to the API: the address, which counts, and proxies, which do not."""

from collections.abc import Mapping
from typing import Final

from ..wire.base_url import BASE_URL, normalize_base_url
from ..wire.errors import InvalidBaseUrlError
from .observation import Observation, ok, warning, wrong

VARIABLE: Final = "CHATLOOM_BASE_URL"
PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")
EXPLICIT: Final = "If that is the only way out, name it in code: AsyncChatloom(transport=AiohttpTransport(proxy=...))."


def examine_base_url(
    given: str | None, given_by: str, environment: Mapping[str, str]
) -> tuple[str | None, Observation]:
    """The address that a client would use, or None where it would refuse it; what is refused is never quoted."""
    sources = ((given, given_by), (environment.get(VARIABLE), VARIABLE), (BASE_URL, "the default"))
    text, source = next((text, source) for text, source in sources if text)
    try:
        address = normalize_base_url(text)
    except InvalidBaseUrlError as refused:
        return None, wrong("base URL", f"{source}: {refused.message}", refused.hint, source=source)
    plain = "; plain http, to this machine" if address.startswith("http:") else ""
    return address, ok("base URL", f"{address} ({source}{plain})", source=source, url=address)


def examine_proxies(environment: Mapping[str, str]) -> Observation:
    """A warning that names the variables. Their values stay where they are: there may be a password in them."""
    names = [name for name, value in environment.items() if name.lower() in PROXIES and value]
    if not names:
        return ok("proxies", "none in the environment", ignored=[])
    found = f"{', '.join(sorted(names))}: set, and deliberately ignored"
    return warning("proxies", found, EXPLICIT, ignored=sorted(names))
