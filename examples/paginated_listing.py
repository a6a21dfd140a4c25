"""A listing that comes in pages, read as one. The API does not have it: it is an illustration."""

import asyncio

from attrs import frozen

from chatloom_async import AsyncChatloom, Endpoint, MockTransport, Response


@frozen
class Page:
    tags: tuple[str, ...]
    next: str | None = None


@frozen
class ListTags(Endpoint[Page]):
    path = "/api/plugin/tags"
    cursor: str | None = None  # None is left out: the first page


async def main(chatloom: AsyncChatloom) -> None:
    page = await chatloom.send(ListTags())
    tags = [*page.tags]
    while page.next:
        page = await chatloom.send(ListTags(page.next))
        tags += page.tags
    print(*tags)


PAGES = {"tags": b'{"tags": ["a"], "next": "2"}', "tags?cursor=2": b'{"tags": ["b"]}'}
api = MockTransport(lambda request: Response(200, {}, PAGES[request.url.rpartition("/")[2]]))
asyncio.run(main(AsyncChatloom("clf_example", transport=api)))
