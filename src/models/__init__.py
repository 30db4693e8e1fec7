"""Imports every model, so that the metadata is complete."""

from src.models.accounts import Account, ApiKey, LoginThrottle, TokenFamily
from src.models.alert_rules import AlertRule, AlertRuleRevision, AlertRuleVersion, AlertSweep, AlertWatch
from src.models.alert_subscriptions import AlertSubscription
from src.models.alerts import Alert, AlertNote
from src.models.atendimentos import Angel, Atendimento, Polo
from src.models.audit import AuditEntry
from src.models.base import Base
from src.models.clients import Client
from src.models.deliveries import Delivery, WebhookSecret
from src.models.event_imports import EventImportChunk
from src.models.events import Event, EventHighWater, EventOrder
from src.models.files import File
from src.models.idempotency import IdempotencyKey
from src.models.imports import Import, ImportChange
from src.models.indicators import AngelRollup, ClientRollup, MonthRollup, PoloRollup
from src.models.jobs import Job
from src.models.operations import Operation
from src.models.processes import Process
from src.models.recipes import Recipe, RecipeVersion
from src.models.reports import Report
from src.models.rules import RuleSet, RuleSetVersion
from src.models.schedules import Schedule, ScheduleRun
from src.models.stores import Store
from src.models.transactions import Transaction, TransactionKey
from src.models.views import ViewRefresh

__all__ = [
    "Account",
    "Alert",
    "AlertNote",
    "AlertRule",
    "AlertRuleRevision",
    "AlertRuleVersion",
    "AlertSubscription",
    "AlertSweep",
    "AlertWatch",
    "Angel",
    "AngelRollup",
    "ApiKey",
    "Atendimento",
    "AuditEntry",
    "Base",
    "Client",
    "ClientRollup",
    "Delivery",
    "Event",
    "EventHighWater",
    "EventImportChunk",
    "EventOrder",
    "File",
    "IdempotencyKey",
    "Import",
    "ImportChange",
    "Job",
    "LoginThrottle",
    "MonthRollup",
    "Operation",
    "Polo",
    "PoloRollup",
    "Process",
    "Recipe",
    "RecipeVersion",
    "Report",
    "RuleSet",
    "RuleSetVersion",
    "Schedule",
    "ScheduleRun",
    "Store",
    "TokenFamily",
    "Transaction",
    "TransactionKey",
    "ViewRefresh",
    "WebhookSecret",
]
