"""Prometheus metrics: requests counted in the process, work and stores read from the database when asked."""

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from src.domain.errors import DomainError
from src.services.views import VIEWS
from src.wiring import Services, adapters, services

METHODS = frozenset(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))
SECONDS = Histogram(
    "indicators_http_request_seconds",
    "How long requests took.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def register(app: Flask) -> None:
    app.after_request(observe)


def observe(answer: Response) -> Response:
    """By route, never by path: a path can be anything, and so can a method."""
    if "started" in g:
        route = request.url_rule.rule if request.url_rule else "none"
        seconds = time.perf_counter() - g.started
        method = request.method if request.method in METHODS else "other"
        seconds_of(method, route, answer.status_code).observe(seconds)
    return answer


@lru_cache(maxsize=4_096)
def seconds_of(method: str, route: str, status: int) -> Histogram:
    """The library would make texts of these, and take a lock, each time."""
    return SECONDS.labels(method, route, status)


def exposition() -> Response:
    registry = CollectorRegistry()
    if adapters().settings.web_processes > 1:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped in the library
    else:
        registry.register(SECONDS)
    registry.register(WorkCollector())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class WorkCollector(Collector):
    """What the database knows; a database that does not answer is a metric too."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("indicators_database_up", "Whether the database answers.")
        try:
            yield from self._from_database()
            up.add_metric([], 1)
        except DomainError:
            up.add_metric([], 0)
        yield up
        depth = adapters().hints.depth()
        hints = GaugeMetricFamily("indicators_hints_waiting", "Hints in Redis; -1 when it does not answer.")
        hints.add_metric([], -1 if depth is None else depth)
        yield hints

    def _from_database(self) -> list[Metric]:
        jobs = GaugeMetricFamily("indicators_jobs", "Jobs by kind and state.", labels=["kind", "state"])
        wait = GaugeMetricFamily("indicators_job_oldest_wait_seconds", "Wait of the oldest job that is due.")
        alive = GaugeMetricFamily(
            "indicators_processes", "Processes that gave a sign lately.", labels=["kind"]
        )
        deliveries = GaugeMetricFamily(
            "indicators_deliveries", "Deliveries by channel and state.", labels=["channel", "state"]
        )
        scheduled = GaugeMetricFamily(
            "indicators_schedule_runs", "Due times of schedules by what became of them.", labels=["state"]
        )
        with services() as s:
            for (kind, state), count in s.job_rows.counts().items():
                jobs.add_metric([kind, state], count)
            wait.add_metric([], s.job_rows.oldest_wait_seconds())
            for (channel, state), count in s.delivery_rows.counts().items():
                deliveries.add_metric([channel, state], count)
            for state, count in s.schedule_run_rows.counts().items():
                scheduled.add_metric([state], count)
            for kind in ("worker", "scheduler"):
                alive.add_metric([kind], s.process_rows.alive(kind))
            views = _of_views(s.view_rows.overview(VIEWS))
            return [jobs, wait, deliveries, scheduled, alive, *views, *_of_alerts(s)]


def _of_alerts(s: Services) -> list[Metric]:
    """How many were raised lately, by code, and how long the oldest waits to be told."""
    raised = GaugeMetricFamily(
        "indicators_alerts_last_hour", "Alerts raised in the last hour.", labels=["code", "shadow"]
    )
    for (code, is_shadow), count in s.alert_rows.of_last_hour().items():
        raised.add_metric([str(code), "yes" if is_shadow else "no"], count)
    untold = GaugeMetricFamily(
        "indicators_alert_oldest_untold_seconds", "Wait of the oldest alert to be told."
    )
    untold.add_metric([], s.alert_rows.oldest_untold_seconds())
    return [raised, untold]


def _of_views(views: list[dict[str, Any]]) -> list[Metric]:
    """How old the views are, how long the last refresh took, and what waits."""
    told = {
        "age": ("indicators_view_age_seconds", "Time since the view's figures were true."),
        "duration": ("indicators_view_refresh_seconds", "How long the last good refresh took."),
        "waiting": ("indicators_view_refreshes_waiting", "Requests for the next refresh."),
    }
    metrics: list[Metric] = []
    for member, (name, text) in told.items():
        metric = GaugeMetricFamily(name, text, labels=["view"])
        for view in views:
            if view[member] is not None:
                metric.add_metric([view["name"]], view[member])
        metrics.append(metric)
    return metrics
