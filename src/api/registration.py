"""Puts the API together: every blueprint, error handler and documentation entry."""

from flask import Flask

from src.api import (
    accounts,
    alert_rules,
    alert_subscriptions,
    alerts,
    api_keys,
    atendimentos,
    audit,
    auth,
    authentication,
    clients,
    datasets,
    deliveries,
    downloads,
    envelope,
    etl,
    event,
    events,
    files,
    health,
    import_csv,
    imports,
    indicators,
    jobs,
    metrics,
    operations,
    outside_ids,
    pages,
    problems,
    rate_limits,
    recipes,
    reports,
    rules,
    schedules,
    tokens,
    transactions,
    views,
)
from src.api.problems import ProblemApi
from src.api.short_way import SHORT_WAY, ShortWay
from src.api.strict_json import StrictJson
from src.api.uploads import StreamingRequest
from src.config import Settings

VERSION = "0.2.0"
RESOURCES = (
    auth,
    accounts,
    api_keys,
    files,
    datasets,
    imports,
    import_csv,
    operations,
    recipes,
    downloads,
    atendimentos,
    indicators,
    clients,
    transactions,
    events,
    event,
    views,
    alert_rules,
    alerts,
    alert_subscriptions,
    etl,
    rules,
    reports,
    jobs,
    schedules,
    deliveries,
    audit,
)
BODY_LIMIT = 1024 * 1024
SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def register(app: Flask, settings: Settings) -> None:
    """The order counts: the envelope first, so that all after it has a request id; then who; how often."""
    app.json = StrictJson(app)
    app.request_class = StreamingRequest
    app.config.update(
        API_TITLE="Indicators",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        MAX_CONTENT_LENGTH=BODY_LIMIT,
        PROPAGATE_EXCEPTIONS=False,
    )
    app.wsgi_app = app.extensions[SHORT_WAY] = ShortWay(app)  # type: ignore[method-assign]  # as Flask's documentation says
    outside_ids.register(app)
    envelope.register(app, settings)
    authentication.register(app)
    rate_limits.register(app, settings)
    metrics.register(app)
    problems.register(app)
    tokens.register(app, settings)
    api = ProblemApi(
        app, spec_kwargs={"info": {"description": "Files in; records, indicators, reports, alerts out."}}
    )
    _document(api)
    for resource in RESOURCES:
        api.register_blueprint(resource.blp)
    app.register_blueprint(health.blp)
    app.register_blueprint(pages.blp)


def _document(api: ProblemApi) -> None:
    for name, scheme in SECURITY_SCHEMES.items():
        api.spec.components.security_scheme(name, scheme)
