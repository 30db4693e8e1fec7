"""The published addresses for single events, which many clients have built in."""

from flask import Response

from src.api.blueprint import OPERATOR, Blueprint
from src.api.event_problems import add_published_members
from src.api.events import answered
from src.api.schemas.events import EVENT_BODY, EventAnswerSchema

blp = Blueprint(
    "event",
    url_prefix="",
    description="The published address for events; the same as `POST /api/v1/events`.",
    for_keys=True,
    scope="events",
)
blp.after_request(add_published_members)


@blp.post("/event", needs=OPERATOR)
@blp.doc(requestBody=EVENT_BODY)
@blp.response(200, EventAnswerSchema)
def append() -> Response:
    """Store an event, and say which rules it makes fire."""
    return answered()


@blp.post("/event/", needs=OPERATOR)
@blp.doc(requestBody=EVENT_BODY)
@blp.response(200, EventAnswerSchema)
def append_with_slash() -> Response:
    """The same, with a slash at the end."""
    return answered()
