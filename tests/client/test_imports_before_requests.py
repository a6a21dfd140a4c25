"""What an answer needs is imported before the first request, when there are descriptors to open modules with."""

import subprocess
import sys

import pytest

ANSWERS = """if True:
    import asyncio, sys
    from chatloom_async import AsyncChatloom, ChatloomError, MockTransport, Response, RetryPolicy

    answers = {
        "fits": Response(200, body=b'{"agents": [], "count": 0}'),
        "does not fit": Response(200, body=b'{"agents": 3}'),
        "is not JSON": Response(200, {"Content-Type": "text/html"}, b"<html>"),
        "throttles": Response(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"{}"),
        "fails": Response(503, body=b"oops"),
        "redirects": Response(302, {"Location": "/"}),
    }
    modules = []

    def handler(request):
        modules.append(set(sys.modules))
        return answers[sys.argv[1]]

    async def main():
        policy = RetryPolicy(attempts=2, throttle_attempts=2, base=0.0, throttle_base=0.0)
        client = AsyncChatloom("clf_test", transport=MockTransport(handler), retry=policy, deadline=5.0)
        try:
            await client.list_agents()
        except ChatloomError:
            pass
        print(sorted(set(sys.modules) - modules[0]))

    asyncio.run(main())
"""


@pytest.mark.parametrize("answer", ["fits", "does not fit", "is not JSON", "throttles", "fails", "redirects"])
def test_an_answer_imports_nothing(answer: str) -> None:
    """Whatever it is, also after a retry."""
    done = subprocess.run([sys.executable, "-c", ANSWERS, answer], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
