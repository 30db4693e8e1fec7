"""Problems of events also say what clients of the published interface look for."""

from typing import Any

import orjson
from flask import Response, g, request

from src.api.problems import MEDIA_TYPE
from src.domain.events import InvalidEvent


def add_published_members(answer: Response) -> Response:
    """Clients of the published interface look for `error`, for `message` or `details`, and for `user_id`."""
    if request.method != "POST" or answer.status_code < 400 or answer.mimetype != MEDIA_TYPE:
        return answer
    problem = orjson.loads(answer.get_data())
    answer.set_data(orjson.dumps(problem | published(problem, g.get("user_id"))))
    return answer


def published(problem: dict[str, Any], user_id: int | str | None) -> dict[str, Any]:
    details: dict[str, list[str]] = {}
    if problem["type"].endswith(f"/{InvalidEvent.slug}"):
        for fault in problem.get("errors", ()):
            details.setdefault(fault["pointer"].removeprefix("/"), []).append(fault["message"])
    said = {"details": details} if details else {"message": problem.get("detail", problem["title"])}
    return {"error": problem["title"], **said, "user_id": user_id}
