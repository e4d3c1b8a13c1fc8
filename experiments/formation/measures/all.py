"""All measures of the study, in the order of its tables."""

from __future__ import annotations

from goalmaze.experiments.formation.measures.audit_score import METHODS, AuditScore
from goalmaze.experiments.formation.measures.base import Measure
from goalmaze.experiments.formation.measures.capability import Capability
from goalmaze.experiments.formation.measures.cue_first import CueFirst, FinalPreference
from goalmaze.experiments.formation.measures.fork_margin import ForkMargin
from goalmaze.experiments.formation.measures.learning_coefficient import LearningCoefficient
from goalmaze.experiments.formation.measures.probe_gap import ProbeGap

PRIMARY, SENSITIVE, COARSE = "drawn-object", "fork-margin", "cue-first"
"""The primary inside measure, the sensitive behaviour it is compared with, and the coarse one."""

COEFFICIENT = LearningCoefficient.name
FINAL = FinalPreference.name
CAPABILITY = Capability.name

INSIDE = (*METHODS, COEFFICIENT)
"""The measures that use training levels and the network alone."""

ALONG_TRAINING = (*METHODS, ProbeGap.name, SENSITIVE, COARSE, CAPABILITY)
"""The measures that are computed at every checkpoint."""


def all_measures() -> list[Measure]:
    """Return every measure."""
    scores = [AuditScore(name) for name in METHODS]
    return [*scores, LearningCoefficient(), ProbeGap(), ForkMargin(), CueFirst(), FinalPreference(), Capability()]
