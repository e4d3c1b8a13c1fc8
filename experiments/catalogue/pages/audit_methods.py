"""The page on audit methods: what each uses, what its score means, where it applies."""

from __future__ import annotations

import inspect

from goalmaze.envs.families import make_family
from goalmaze.experiments.catalogue.pages import markdown
from goalmaze.experiments.catalogue.pages.references import bibliography, cited
from goalmaze.probes.audit.method import AuditMethod
from goalmaze.probes.audit.pool import make_pool
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import TIERS

INTRODUCTION = """An audit method turns what its access tier hands out into a score from "goal" (low) to "cue" (high).
The [guide to audits](../audit.md) explains tiers, calibration and verdicts; `goalmaze audit AGENT` runs all methods
that a tier allows."""

COLUMNS = """*Side channels* are baselines: they read no effect of goal or cue on what the agent does or expects. Where
the column "score" says "fitted", the method has no direction of its own, and weights on its features come from other
agents. *Not for* names families, at size 9, to which the method does not apply."""

FAMILIES = ("GreenExit", "ColourShape", "Corner", "KeysChests")

FITTED = ("activation-probes", "training-behaviour", "weight-moments")
"""Methods without a direction of their own."""


def page() -> str:
    """Return the page on all audit methods that come with the package."""
    methods = {name: one for name, one in audit_methods().items() if type(one).__module__.startswith("goalmaze.")}
    ordered = sorted(methods.values(), key=lambda one: (one.tier, one.name))
    rows = [
        [
            f"[`{one.name}`](#{one.name})",
            one.tier,
            markdown.sentence(type(one)),
            "fitted" if one.name in FITTED else "own",
            "yes" if one.side_channel else "no",
            ", ".join(refused(one)) or "–",
        ]
        for one in ordered
    ]
    papers = [paper for one in ordered for paper in cited(inspect.getdoc(inspect.getmodule(type(one))) or "")]
    tiers = markdown.table(["tier", "access"], [[tier, text] for tier, text in TIERS.items()])
    headers = ["method", "tier", "what it measures", "score", "side channel", "not for"]
    sections = [section(one) for one in ordered]
    return markdown.page(
        "Audit methods",
        INTRODUCTION,
        COLUMNS,
        tiers,
        markdown.table(headers, rows),
        *sections,
        "## Papers",
        bibliography(papers),
    )


def section(method: AuditMethod) -> str:
    """Return the section on one method."""
    kind = type(method)
    about = markdown.prose(inspect.getmodule(kind))
    facts = f"- Tier: {method.tier}. Code: `{kind.__module__}.{kind.__qualname__}`."
    return "\n\n".join([f"## {method.name}", about, markdown.prose(kind), facts])


def refused(method: AuditMethod) -> list[str]:
    """Return the families to which a method does not apply."""
    return [name for name in FAMILIES if method.refusal(make_pool(make_family(name, {"size": 9}), levels=16))]
