"""Clients that come back: the same request with the same key, as long as the answer says «later»."""

import http.client
import time
from dataclasses import dataclass

from tests.live import Answer, Caller


@dataclass(frozen=True)
class Send:
    """One request that can be sent again."""

    caller: Caller
    path: str
    body: bytes
    key: str
    media_type: str = "application/octet-stream"

    def __call__(self) -> Answer:
        return self.caller.post(self.path, self.body, Idempotency_Key=self.key, Content_Type=self.media_type)


def persistently(send: Send, tries: int = 20) -> tuple[Answer, int]:
    """Come back as long as the answer says so, or none comes, with the same key; and how often that was."""
    last: object = None
    for number in range(tries):
        try:
            answer = send()
        except (OSError, http.client.HTTPException) as error:
            last = error
            time.sleep(1)
            continue
        if answer.status not in (409, 429, 503):
            return answer, number
        last = answer
        time.sleep(float(answer.headers["retry-after"]))
    raise AssertionError(f"{tries} times refused: {last}")
