"""The composition root: adapters made once per process, services made once per unit of work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from flask import current_app
from sqlalchemy.orm import Session

from src.config import Settings
from src.database import Database
from src.integrations.storage import Storage
from src.queue import HintQueue
from src.repositories.accounts import AccountRepository
from src.repositories.alert_rules import AlertRuleRepository, AlertRuleVersionRepository
from src.repositories.alert_subscriptions import AlertSubscriptionRepository
from src.repositories.alerts import AlertRepository
from src.repositories.atendimentos import AngelRepository, AtendimentoRepository, PoloRepository
from src.repositories.audit import AuditRepository
from src.repositories.backtests import BacktestRepository
from src.repositories.clients import ClientRepository
from src.repositories.deliveries import DeliveryRepository, WebhookSecretRepository
from src.repositories.events import EventRepository
from src.repositories.files import FileRepository
from src.repositories.imports import ImportRepository
from src.repositories.indicators import IndicatorRepository
from src.repositories.job_leases import JobLeaseRepository
from src.repositories.jobs import JobRepository
from src.repositories.logins import ApiKeyRepository, TokenFamilyRepository
from src.repositories.operations import OperationRepository
from src.repositories.processes import ProcessRepository
from src.repositories.recipes import RecipeRepository
from src.repositories.reports import ReportRepository
from src.repositories.rules import RuleSetRepository, RuleSetVersionRepository
from src.repositories.schedules import ScheduleRepository, ScheduleRunRepository
from src.repositories.transactions import TransactionRepository
from src.repositories.views import ViewRefreshRepository
from src.services import profiles, reports
from src.services.accounts import AccountService
from src.services.alert_rules import AlertRuleService
from src.services.alert_subscriptions import AlertSubscriptionService
from src.services.alerts import AlertService
from src.services.api_keys import ApiKeyService
from src.services.atendimentos import AtendimentoService
from src.services.audit import AuditTrail
from src.services.backtests import BacktestService
from src.services.clients import ClientService
from src.services.copying import CopyingService
from src.services.corrections import CorrectionService
from src.services.deliveries import DeliveryService
from src.services.erasures import ErasureService
from src.services.etl import EtlService
from src.services.event_intake import EventIntake
from src.services.events import EventMemory, EventService
from src.services.files import FileService
from src.services.gaps import GapService
from src.services.housekeeping import HousekeepingService
from src.services.idempotency import IdempotencyService
from src.services.imports import ImportService
from src.services.indicators import IndicatorService
from src.services.jobs import JobService
from src.services.logins import LoginService
from src.services.operations import OperationService
from src.services.passwords import PasswordHasher
from src.services.preparing import PreparingService
from src.services.profiles import ProfileService
from src.services.reading import Readers
from src.services.recipes import RecipeService
from src.services.rejects import RejectsService
from src.services.reports import ReportService
from src.services.rules import RulesService
from src.services.scheduled_reports import ScheduledReports
from src.services.schedules import ScheduleService, profiling
from src.services.staging import StagingService
from src.services.stores import StoreService
from src.services.views import ViewService
from src.transactions import InSession

EXTENSION = "indicators"
Made = TypeVar("Made")


@dataclass(frozen=True)
class Adapters:
    """What a process has of the world outside; tests put their own in."""

    settings: Settings
    database: Database
    storage: Storage
    hints: HintQueue
    hasher: PasswordHasher
    readers: Readers

    @cached_property
    def intake(self) -> EventIntake:
        """Where all threads of this process bring their events."""
        return EventIntake(self.database, EventMemory.of(self.settings))


def of_session(make: Callable[[Session], Made]) -> "cached_property[Made]":
    """What is made of the session alone, when it is first asked for."""
    return cached_property(lambda services: make(services.session))


class Services:
    """Use cases, and beside them the repositories that a view may read from directly."""

    account_rows = of_session(AccountRepository)
    alert_rows = of_session(AlertRepository)
    alert_rule_rows = of_session(AlertRuleRepository)
    alert_rule_versions = of_session(AlertRuleVersionRepository)
    alert_rules = of_session(AlertRuleService)
    alert_subscription_rows = of_session(AlertSubscriptionRepository)
    alerts = of_session(AlertService)
    angel_rows = of_session(AngelRepository)
    api_key_rows = of_session(ApiKeyRepository)
    api_keys = of_session(ApiKeyService)
    atendimento_rows = of_session(AtendimentoRepository)
    atendimentos = of_session(AtendimentoService)
    audit = of_session(AuditTrail)
    audit_rows = of_session(AuditRepository)
    backtest_rows = of_session(BacktestRepository)
    client_rows = of_session(ClientRepository)
    delivery_rows = of_session(DeliveryRepository)
    event_rows = of_session(EventRepository)
    family_rows = of_session(TokenFamilyRepository)
    file_rows = of_session(FileRepository)
    gaps = of_session(GapService)
    idempotency = of_session(IdempotencyService)
    import_rows = of_session(ImportRepository)
    indicator_rows = of_session(IndicatorRepository)
    job_leases = of_session(JobLeaseRepository)
    job_rows = of_session(JobRepository)
    operation_rows = of_session(OperationRepository)
    polo_rows = of_session(PoloRepository)
    preparing = of_session(PreparingService)
    process_rows = of_session(ProcessRepository)
    recipe_rows = of_session(RecipeRepository)
    recipes = of_session(RecipeService)
    report_rows = of_session(ReportRepository)
    rules = of_session(RulesService)
    rules_rows = of_session(RuleSetRepository)
    rules_versions = of_session(RuleSetVersionRepository)
    schedule_rows = of_session(ScheduleRepository)
    schedule_run_rows = of_session(ScheduleRunRepository)
    transaction_rows = of_session(TransactionRepository)
    view_rows = of_session(ViewRefreshRepository)
    webhook_secret_rows = of_session(WebhookSecretRepository)

    def __init__(self, session: Session, adapters: Adapters) -> None:
        self.session = session
        self.adapters = adapters

    @cached_property
    def accounts(self) -> AccountService:
        return AccountService(self.session, self.adapters.hasher)

    @cached_property
    def logins(self) -> LoginService:
        return LoginService(self.session, self.adapters.hasher, self.adapters.settings.refresh_days)

    @cached_property
    def files(self) -> FileService:
        return FileService(self.session, self.adapters.storage, self.adapters.settings)

    @cached_property
    def jobs(self) -> JobService:
        return JobService(self.session, self.adapters.hints, self.adapters.settings)

    @cached_property
    def deliveries(self) -> DeliveryService:
        return DeliveryService(self.session, self.jobs, self.adapters.settings)

    @cached_property
    def reports(self) -> ReportService:
        return ReportService(self.session, self.jobs)

    @cached_property
    def profiles(self) -> ProfileService:
        return ProfileService(self.session, self.jobs)

    @cached_property
    def schedules(self) -> ScheduleService:
        made = ScheduledReports(self.session, self.reports, self.files)
        works = {reports.KIND: made.as_work(), profiles.KIND: profiling(self.profiles)}
        return ScheduleService(self.session, self.deliveries, works)

    @cached_property
    def imports(self) -> ImportService:
        return ImportService(self.session, self.jobs, self.rejects)

    @cached_property
    def corrections(self) -> CorrectionService:
        return CorrectionService(self.session, self.jobs, self.imports)

    @cached_property
    def erasures(self) -> ErasureService:
        return ErasureService(self.session, self.adapters.storage, self.rejects)

    @cached_property
    def rejects(self) -> RejectsService:
        return RejectsService(self.session, self.adapters.storage, self.files)

    @cached_property
    def copying(self) -> CopyingService:
        return CopyingService(self.session, self.adapters.database)

    @cached_property
    def staging(self) -> StagingService:
        return StagingService(self.session, self.adapters.database)

    @cached_property
    def operations(self) -> OperationService:
        return OperationService(self.session, self.jobs)

    @cached_property
    def clients(self) -> ClientService:
        return ClientService(self.session, self.jobs)

    @cached_property
    def events(self) -> EventService:
        return EventService(InSession(self.session), self.adapters.intake.memory)

    @cached_property
    def views(self) -> ViewService:
        return ViewService(self.session, self.jobs)

    @cached_property
    def etl(self) -> EtlService:
        return EtlService(self.session, self.jobs, self.imports)

    @cached_property
    def indicators(self) -> IndicatorService:
        return IndicatorService(self.session, self.adapters.settings.business_time_zone)

    @cached_property
    def alert_subscriptions(self) -> AlertSubscriptionService:
        return AlertSubscriptionService(self.session, self.deliveries)

    @cached_property
    def stores(self) -> StoreService:
        return StoreService(self.session, self.adapters.storage)

    @cached_property
    def backtests(self) -> BacktestService:
        return BacktestService(self.session, self.jobs)

    @cached_property
    def housekeeping(self) -> HousekeepingService:
        return HousekeepingService(self.session, self.adapters.storage, self.adapters.settings, self.files)


def adapters() -> Adapters:
    """The running application's adapters."""
    found: Adapters = current_app.extensions[EXTENSION]
    return found


@contextmanager
def services() -> Iterator[Services]:
    """One unit of work: commit on success, roll back on any exception."""
    mine = adapters()
    with mine.database.unit_of_work() as session:
        yield Services(session, mine)
