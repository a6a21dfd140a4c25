"""Bytes that make sense to each target, and words to put into them: where all fuzzing begins."""

import gzip
import json
import zlib

from tests.samples import AGENTS, DOMAINS, KEY

WORKSPACES = [{"name": "acme", "key_env": "ACME_KEY", "tags": ["eu"], "expect": []}, {"name": "b", "key": KEY}]
TOML = b"""[[workspaces]]
name = "acme"
key_command = ["pass", "show"]
tags = ["eu"]
[[workspaces]]
name = 'b'
key_file = "~/b"
"""
MUTES = b"""[[mutes]]
rule = "domain-wildcard"
workspace = "acme-*"
reason = "Until the new shop is live"
until = 2026-09-30
[[mutes]]
finding = "0123456789abcdef"
reason = "known"
until = 2030-01-01
"""
NDJSON = b"\n".join(json.dumps(each).encode() for each in WORKSPACES)
CSV = b'name,key_env,key,tags\nacme,ACME_KEY,,eu us\nb,,clf_fedcba9876543210,"x, y"\n'
REQUEST = {"method": "GET", "url": "https://chatloom.app/a", "headers": {"accept": "*/*"}, "body": None}
RECORDED = [
    {"request": REQUEST, "response": {"status": 200, "headers": {"date": "now"}, "body": {"text": "{}"}}},
    {"request": {**REQUEST, "body": {"base64": "/w=="}}, "failure": {"type": "ConnectError", "message": "No"}},
]
CASSETTE = {"format": "chatloom_async cassette", "version": 1, "exchanges": RECORDED}
ANSWER = b'\x01\xad\nRetry-After: 3\nDate: Thu, 15 Jan 2026 09:00:00 GMT\nAge: 7\nCache-Status: x\n\n{"error": "Slow"}'
REDIRECT = b"\x01\x2e\nLocation: https://user:pass@[::1]:8080/a?b\n\n<html>"

SAMPLES: dict[str, list[bytes]] = {
    "decoder": [json.dumps(AGENTS).encode(), json.dumps(DOMAINS).encode(), b'{"leaves":{"a":1},"branches":[]}'],
    "inflater": [b"\0" * 8 + gzip.compress(b"a" * 999) + gzip.compress(b"b"), b"\xff" * 8 + zlib.compress(b"text")],
    "statuses": [ANSWER, REDIRECT, b"\x00\xcc", b"\x01\x94\n\n[]"],
    "retry_after": [
        b"120\n",
        b"Thu, 15 Jan 2026 09:00:30 GMT\nThu Jan 15 09:00:00 2026",
        b"Thursday, 15-Jan-26 1:0:0 GMT",
    ],
    "caching": [ANSWER + b"\n\n\n" + ANSWER],
    "domains": [
        *(b"*.shop.acme.example", b"https://user@xn--bcher-kva.example:8080/a", "B\u00fccher\u3002example.".encode()),
        *(b"0x7f.1", b"[::ffff:127.0.0.1]", b"xn--a.example", "\u0430pple.example".encode()),
    ],
    "toml": [TOML],
    "json": [json.dumps(WORKSPACES).encode(), json.dumps({"workspaces": WORKSPACES}).encode()],
    "csv": [CSV],
    "ndjson": [NDJSON],
    "standard_input": [NDJSON],
    "mutes": [MUTES],
    "cassette": [json.dumps(CASSETTE).encode()],
    "api_keys": [KEY.encode(), b"clf_your_api_key_here", b"\xef\xbb\xbf" + KEY.encode() + b"\n"],
    "base_urls": [
        b"https://chatloom.app",
        b"http://127.0.0.1:8080/a/",
        b"https://[::1]:443",
        b"https://[v1.example.com]",
    ],
    "agent_ids": [b"agt_abc123", b"..", b"%2e%2e", b"a/b"],
}
"""At least one for each target."""

NUMBERS = [
    b"0",
    b"-0",
    b"7",
    b"1e400",
    b"-1e-400",
    b"18446744073709551616",
    b"9" * 5000,
    b"NaN",
    b"0x7",
    b"0." + b"1" * 400,
]
TEXTS = [
    b'"\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'"\xc3\xa9\\u0000"',
    b'"clf_0123456789abcdef"',
    b'"\xe2\x80\xae"',
    b'""',
]
OTHERS = [
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"2026-01-15",
    b"2026-01-15T09:00:00Z",
    b"inf",
    b"[[x]]",
    b"'''",
    b"\0",
    b"\xef\xbb\xbf",
]
WORDS = [*NUMBERS, *TEXTS, *OTHERS, b"\r\n", b"\n\n", b",", b":", b'"', b" = ", b"clf_", b"n" * 5000]
NAMES = sorted(
    {
        *(
            name
            for document in (AGENTS, AGENTS["agents"][0], DOMAINS, *WORKSPACES, CASSETTE, *RECORDED)
            for name in document
        ),
        *(
            "leaves",
            "branches",
            "key_file",
            "key_command",
            "mutes",
            "rule",
            "finding",
            "reason",
            "until",
            "status",
            "text",
        ),
        *("failure", "type", "message", "attempts", "error"),
    }
)
