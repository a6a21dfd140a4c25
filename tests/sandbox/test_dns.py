"""The sandbox's own DNS: fictional names have an address, and those of an agency that has closed do not exist."""

import asyncio
import socket

import pytest

from chatloom_async.audit.dns import Resolver
from chatloom_async.sandbox.dns import ADDRESS, serving_dns


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("acorn.example", "resolved"),
        ("www.Acorn.example.com", "resolved"),
        ("example", "no-address"),
        ("com", "no-address"),
        ("webstudio.example", "no-name"),
        ("preview.webstudio.example", "no-name"),
        ("help.katsura.example", "no-name"),
        ("www.xn--py-larch-16g.example", "no-name"),
        ("mywebstudio.example", "resolved"),
        ("acme.com", "no-name"),
        ("anything.invalid", "no-name"),
    ],
)
async def test_names_for_examples_exist(name: str, status: str) -> None:
    """No other one does: nothing is asked of the real DNS."""
    async with serving_dns() as address:
        resolver = Resolver(address)
        answer = await resolver.ask(name)
        assert (answer.status, [str(each) for each in answer.addresses]) == (
            status,
            [ADDRESS] if status == "resolved" else [],
        )
        assert (await resolver.ask(name, "AAAA")).status == ("no-name" if status == "no-name" else "no-address")


async def test_what_is_no_question_is_dropped() -> None:
    """It disturbs nobody."""
    async with serving_dns() as address:
        host, _, port = address.partition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for noise in (b"", b"\0", b"\0" * 12):
                stranger.sendto(noise, (host, int(port)))
            await asyncio.sleep(0)
            assert (await Resolver(address).ask("acorn.example")).status == "resolved"
