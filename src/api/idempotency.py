"""Idempotency-Key: the same request again gets the first answer again. And `notify`."""

from collections.abc import Callable

from flask import Response, json, request

from src.api.authentication import actor
from src.api.notifying import job_named_by, wish_of_request
from src.services.idempotency import Answer
from src.wiring import Services

HEADER = "Idempotency-Key"


def once(s: Services, fingerprint: str, make: Callable[[], Answer]) -> Answer:
    """Make the answer in this unit of work, or replay the first one, if the caller sent a key.

    All requests that start a job come through here, too: what they ask for with `notify` is promised here.
    """
    key = request.headers.get(HEADER)
    key = key.strip().strip('"') if key is not None else None
    wish = wish_of_request()
    if wish is None:
        return s.idempotency.once(actor().account_id, key, fingerprint, make)

    def made() -> Answer:
        answer = make()
        s.deliveries.promise(wish, job_named_by(answer), actor().account_id)
        return answer

    return s.idempotency.once(actor().account_id, key, f"{fingerprint} {wish}", made)


def kept(response: Response) -> Answer:
    """A record's answer, to be given again."""
    headers = {name: response.headers[name] for name in ("ETag", "Location")}
    return Answer(response.status_code, response.get_json(), headers)


def respond(answer: Answer) -> Response:
    response = Response(json.dumps(answer.body), status=answer.status, mimetype="application/json")
    response.headers.update(answer.headers)
    if answer.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response
