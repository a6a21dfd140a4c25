"""The default transport, on aiohttp. Neither its types nor its exceptions leave this package."""

from .transport import AiohttpTransport as AiohttpTransport
