"""A listing that comes in pages, read as one. The API does not have it: it is an illustration."""

import asyncio

from attrs import frozen

from chatloom_async import AsyncChatloom, Endpoint, MockTransport, Response


@frozen
class Page:
    tags: tuple[str, ...]
    next_cursor: str | None = None


@frozen
class ListTags(Endpoint[Page]):
    path = "/api/plugin/tags"
    cursor: str | None = None  # None is left out: the first page


async def main(chatloom: AsyncChatloom) -> None:
    page = Page((), "")
    while page.next_cursor is not None:
        page = await chatloom.send(ListTags(page.next_cursor or None))
        print(*page.tags)


pages = {"tags": b'{"tags": ["a", "b"], "nextCursor": "2"}', "tags?cursor=2": b'{"tags": ["c"]}'}
api = MockTransport(lambda request: Response(200, {}, pages[request.url.rpartition("/")[2]]))
asyncio.run(main(AsyncChatloom("clf_example", transport=api)))
