"""An endpoint that this package does not know, in ten lines. The API does not have it: it is an illustration."""

import asyncio

from attrs import frozen

from chatloom_async import AsyncChatloom, Endpoint, MockTransport, Response


@frozen
class Message:
    id: str
    text: str


@frozen
class SendMessage(Endpoint[Message]):
    method = "POST"
    path = "/api/plugin/agents/{agent_id}/messages"
    agent_id: str  # named in the path, so it goes there
    text: str  # the rest is the JSON body of a POST, or the query of a GET


api = MockTransport(lambda request: Response(201, {}, b'{"id": "msg_1", "text": "Hello!"}'))
chatloom = AsyncChatloom("clf_example", transport=api)
print(asyncio.run(chatloom.send(SendMessage("agt_abc123", "Hi"))))
print(api.requests[0].method, api.requests[0].url, api.requests[0].body)
