"""Gaps: rules that fire when nothing comes are swept, by any number of schedulers, each gap once."""

import logging
from functools import partial

from sqlalchemy.orm import Session

from src.database import after_commit
from src.domain.alerts import Gap, Rule
from src.repositories.alert_rules import AlertRuleRepository
from src.repositories.gaps import GapRepository, Silence

log = logging.getLogger("src.events")


class GapService:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.rules = AlertRuleRepository(session)
        self.gaps = GapRepository(session)

    def sweep(self) -> bool:
        """Raise the alerts that are due and note how far was looked; answers whether there may be more.

        A scheduler that dies in between leaves no trace, and the next one begins where the last had ended.
        """
        _, asked = self.rules.asked()
        swept = [(rule, rule.check) for rule in asked.rules if isinstance(rule.check, Gap)]
        if not swept or not self.gaps.take_turn():
            return False
        has_more = False
        for rule, check in swept:
            if self.rules.hold(rule):
                silences, is_busy = self.gaps.sweep(rule, check)
                has_more = has_more or is_busy
                after_commit(self.session, partial(_tell, rule, silences))
        return has_more


def _tell(rule: Rule, silences: list[Silence]) -> None:
    for silence in silences:
        told = {"client": silence.client, "t": silence.t, "code": rule.code, "version": rule.version}
        log.warning("alert", extra=told | {"causes": [silence.t], "is_shadow": rule.is_shadow})
