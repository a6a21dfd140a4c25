"""The entrances of the package that take what strangers wrote, each as a function of arbitrary bytes.

A target takes the bytes and a directory to write in. It returns where the package keeps its promises, whether the bytes
made sense or not, and raises where one is broken. What comes of a certain input is for other tests to say.
"""

from collections.abc import Callable
from pathlib import Path

from .answers import caching, domains, retry_after, statuses
from .bodies import decoder, inflater
from .files import cassette, mutes, standard_input, workspaces
from .values import agent_ids, api_keys, base_urls

TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "decoder": decoder,
    "inflater": inflater,
    "statuses": statuses,
    "retry_after": retry_after,
    "caching": caching,
    "domains": domains,
    "toml": workspaces(".toml"),
    "json": workspaces(".json"),
    "csv": workspaces(".csv"),
    "ndjson": workspaces(".ndjson"),
    "standard_input": standard_input,
    "mutes": mutes,
    "cassette": cassette,
    "api_keys": api_keys,
    "base_urls": base_urls,
    "agent_ids": agent_ids,
}
