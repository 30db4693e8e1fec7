"""Which handler does which kind of job."""

from src.services import (
    backtests,
    corrections,
    deliveries,
    erasures,
    etl,
    housekeeping,
    imports,
    operations,
    profiles,
    reports,
    views,
)
from src.tasks.backtests import backtest_rule
from src.tasks.corrections import load_correction
from src.tasks.deliveries import deliver
from src.tasks.erasures import forget_rejects
from src.tasks.etl import run_etl
from src.tasks.housekeeping import keep_house
from src.tasks.imports import load_import, undo_import
from src.tasks.operations import run_operation
from src.tasks.profiles import profile_file
from src.tasks.reports import make_report
from src.tasks.running import Handler
from src.tasks.views import refresh_view

HANDLERS: dict[str, Handler] = {
    profiles.KIND: profile_file,
    housekeeping.KIND: keep_house,
    imports.KIND: load_import,
    imports.UNDO: undo_import,
    corrections.KIND: load_correction,
    erasures.KIND: forget_rejects,
    operations.KIND: run_operation,
    views.KIND: refresh_view,
    etl.KIND: run_etl,
    deliveries.KIND: deliver,
    backtests.KIND: backtest_rule,
    reports.KIND: make_report,
}
