"""What may be a base URL (fault 94): https, or http to this machine; nothing that could leak or be misread."""

import pytest

from chatloom_async.wire.base_url import BASE_URL, normalize_base_url, origin
from chatloom_async.wire.errors import InvalidBaseUrlError

LABEL = "a" * 63

GOOD = [
    (BASE_URL, "https://chatloom.app"),
    ("https://chatloom.app/", "https://chatloom.app"),
    ("https://chatloom.app///", "https://chatloom.app"),
    ("HTTPS://ChatLoom.App", "https://chatloom.app"),
    ("https://chatloom.app:443", "https://chatloom.app:443"),
    ("https://chatloom.app:", "https://chatloom.app"),
    ("https://chatloom.app:65535/", "https://chatloom.app:65535"),
    ("https://proxy.example/chatloom/v1/", "https://proxy.example/chatloom/v1"),
    ("https://proxy.example/A~b_c-d.e", "https://proxy.example/A~b_c-d.e"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://chatloom.app.", "https://chatloom.app."),
    ("https://intranet", "https://intranet"),
    ("https://192.0.2.1:8443", "https://192.0.2.1:8443"),
    ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    (f"https://{LABEL}.example", f"https://{LABEL}.example"),
    ("http://localhost", "http://localhost"),
    ("http://LOCALHOST:8080/api", "http://localhost:8080/api"),
    ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ("http://127.255.255.254", "http://127.255.255.254"),
    ("http://[::1]:8080", "http://[::1]:8080"),
]
BAD = [
    ("", "https://"),
    ("chatloom.app", "https://"),
    ("//chatloom.app", "https://"),
    ("ftp://chatloom.app", "https://"),
    ("file:///etc/passwd", "https://"),
    ("wss://chatloom.app", "https://"),
    ("http://chatloom.app", "loopback"),
    ("http://localhost.example", "loopback"),
    ("http://127.0.0.1.example", "loopback"),
    ("http://127.999.1.1", "loopback"),
    ("http://128.0.0.1", "loopback"),
    ("http://0.0.0.0", "loopback"),
    ("http://[::2]", "loopback"),
    ("http://192.168.0.1", "loopback"),
    ("https://user@chatloom.app", "user name"),
    ("https://user:secret@chatloom.app", "user name"),
    ("https://:@chatloom.app", "user name"),
    ("https://chatloom.app\\@evil.example", "user name"),
    ("https://chatloom.app?a=1", "query"),
    ("https://chatloom.app/?", "query"),
    ("https://chatloom.app#top", "fragment"),
    ("https://chatloom.app/#", "fragment"),
    ("https://", "host"),
    ("https:///path", "host"),
    ("https://:443", "host"),
    ("https://...", "host"),
    ("https://a..b", "host"),
    ("https://.chatloom.app", "host"),
    ("https://-chatloom.app", "host"),
    ("https://chatloom-.app", "host"),
    ("https://chat_loom.app", "host"),
    ("https://chatloom.app\\evil", "host"),
    ("https://chatloom%2eapp", "host"),
    ("https://[fe80::1%25eth0]", "host"),
    ("https://[v1.chatloom.app]", "host"),
    ("https://[::1]8443", "host|cannot be read"),  # newer versions of urlsplit refuse it themselves
    ("https://chatloom.app[::1]", "host|cannot be read"),
    (f"https://{LABEL}a.example", "host"),
    (f"https://{'a.' * 130}example", "host"),
    ("https://chatloom.app:0", "port"),
    ("https://chatloom.app:65536", "cannot be read"),
    ("https://chatloom.app:-1", "cannot be read"),
    ("https://chatloom.app:http", "cannot be read"),
    ("https://[::1", "cannot be read"),
    ("https://[::g]", "cannot be read"),
    ("https://chatloom.app/..", "path"),
    ("https://chatloom.app/a/../b", "path"),
    ("https://chatloom.app/./b", "path"),
    ("https://chatloom.app/a//b", "path"),
    ("https://chatloom.app/a%2Fb", "path"),
    ("https://chatloom.app/a;b", "path"),
    (" https://chatloom.app", "blanks"),
    ("https://chatloom.app ", "blanks"),
    ("https://chat loom.app", "blanks"),
    ("https://chatloom.app\n", "control"),
    ("https://chatloom.app/\x00", "control"),
    ("https://chatloom.app\x7f", "control"),
    ("https://bücher.example", "ASCII"),
    ("https://chatloom\u3002app", "ASCII"),
    ("https://chatloom.app/ü", "ASCII"),
    ("https://chatloom.app:\uff14\uff14\uff13", "ASCII"),
    ("\ufeffhttps://chatloom.app", "ASCII"),
    (None, "cannot be read"),
    (5, "cannot be read"),
    (b"https://chatloom.app", "cannot be read"),
]


@pytest.mark.parametrize(("text", "normal"), GOOD)
def test_good_ones_have_one_form(text: str, normal: str) -> None:
    """An acceptable base URL comes out in one form, without a trailing slash; that form is stable."""
    assert normalize_base_url(text) == normal
    assert normalize_base_url(normal) == normal


@pytest.mark.parametrize(("text", "complaint"), BAD)
def test_bad_ones_are_refused(text: str, complaint: str) -> None:
    """Anything else is refused with what is wrong about it."""
    with pytest.raises(InvalidBaseUrlError, match=complaint):
        normalize_base_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:canary@chatloom.app",
        "https://chatloom.app/?k=canary",
        "canary",
        "https://ca nary/",
        "http://canary",
        "https://canary:99999",
    ],
)
def test_the_text_is_not_echoed(text: str) -> None:
    """A base URL may hold a password, so no error repeats any of it, and none is chained to one that does."""
    with pytest.raises(InvalidBaseUrlError) as caught:
        normalize_base_url(text)
    assert "nary" not in f"{caught.value} {caught.value!r}"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@chatloom.app:8443/path?query#fragment", "https://chatloom.app:8443"),
        ("https://[2001:db8::1]:8443/path", "https://[2001:db8::1]:8443"),
        ("https://[2001:db8::1]/path", "https://[2001:db8::1]"),
        ("https://chatloom.app:0", "https://chatloom.app:0"),
        ("/api/plugin/agents", "an address without a host"),
        ("", "an address without a host"),
        ("file:///etc/passwd", "an address without a host"),
        ("https://[::1", "an unreadable address"),
        ("https://chatloom.app:99999", "an unreadable address"),
    ],
)
def test_origin_is_safe_to_show(url: str, shown: str) -> None:
    """Of any address, only scheme, host and port are shown."""
    assert origin(url) == shown
