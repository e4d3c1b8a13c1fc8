"""`goalmaze card verify`: measures a card again."""

from __future__ import annotations

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.card.config import CardVerifyConfig
from goalmaze.experiments.card.verify import CardVerification, read_card, verify_card


def run(config: CardVerifyConfig) -> CardVerification:
    """Verify a card.

    Raises:
        GoalmazeError: the card was changed, or a number differs from the one measured again.
    """
    found = read_card(config.card)
    return verify_card(config.card, load_agent(config.agent or found.subject.agent), found)
