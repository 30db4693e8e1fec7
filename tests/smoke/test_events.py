"""Events on the stack: through nginx, over kept connections, to both web containers."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

from tests.smoke.stack import Stack

SENDERS, EVENTS = 4, 20


def test_events_over_kept_connections_are_each_answered_and_stored(operator: Stack) -> None:
    """One client's events over one connection rise; of several senders in one order, some may be overtaken."""
    for number in range(SENDERS):
        made = operator.request("POST", "/api/v1/clients", {"client_id": f"sender-{number}"})
        assert made.status == 201, made

    def send(number: int) -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", operator.port, timeout=60)
        headers = {"Host": "localhost", "Content-Type": "application/json"}
        headers["Authorization"] = f"Bearer {operator.token}"
        taken = []
        for n in range(EVENTS):
            t = 10_000 * n + number
            body = {"type": "deposit", "amount": "1.00", "user_id": f"sender-{number}", "t": t}
            status = 429  # nginx lets an address send only so much in a second
            while status == 429:
                connection.request("POST", "/event", json.dumps(body), headers)
                answer = connection.getresponse()
                status, said = answer.status, json.loads(answer.read())
                time.sleep(1 if status == 429 else 0)
            assert status == 200 or said["type"] == "/problems/timestamp-not-rising", said
            if status == 200:
                assert said == {"alert": False, "alert_codes": [], "user_id": f"sender-{number}"}
                taken.append(t)
        connection.close()
        return taken

    with ThreadPoolExecutor(SENDERS) as pool:
        taken = [*pool.map(send, range(SENDERS))]
    time.sleep(2)
    for number, ts in enumerate(taken):
        listed = operator.get(f"/api/v1/clients/sender-{number}/events?per_page=100")["data"]
        assert sorted(event["t"] for event in listed) == ts
    assert sum(map(len, taken)) > EVENTS
