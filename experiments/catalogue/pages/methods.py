"""The page on steering methods: what each fits, what its edits use, where it applies."""

from __future__ import annotations

import inspect

from goalmaze.experiments.catalogue.pages import markdown
from goalmaze.experiments.catalogue.pages.references import Reference, bibliography, cited
from goalmaze.experiments.retarget.oracles import ORACLES
from goalmaze.probes.steering import steering_methods
from goalmaze.probes.steering.base import SteeringMethod

INTRODUCTION = """A steering method fits, on levels of the fitting split, an edit that sends an agent to a given cell.
The [guide to retargeting](../retargeting.md) explains the controls and reports results; `goalmaze retarget AGENT
--ledger` compares all methods on one agent."""

COLUMNS = """*Uses* lists the facts that an edit is given for each level; an edit that used walls or paths could
navigate by itself. *Sites* are "maps" where the method needs one value for each square of the maze, "any" otherwise."""

ORACLE_NOTE = """Oracles use the whole level. They show how much of the behaviour an activation at a site can control,
and are listed separately."""


def page() -> str:
    """Return the page on all steering methods that come with the package."""
    methods = {name: one for name, one in steering_methods().items() if type(one).__module__.startswith("goalmaze.")}
    papers = {name: references(one) for name, one in methods.items()}
    rows = [
        [f"[`{name}`](#{name})", markdown.sentence(type(one)), sites(one), uses(one), _citations(papers[name])]
        for name, one in methods.items()
    ]
    oracles = [[markdown.code(name), markdown.sentence(make)] for name, make in ORACLES.items()]
    return markdown.page(
        "Steering methods",
        INTRODUCTION,
        COLUMNS,
        markdown.table(["method", "what it writes", "sites", "uses", "paper"], rows),
        *[section(one) for one in methods.values()],
        f"## Oracles\n\n{ORACLE_NOTE}",
        markdown.table(["oracle", "what it writes"], oracles),
        "## Papers",
        bibliography(paper for cited_papers in papers.values() for paper in cited_papers),
    )


def section(method: SteeringMethod) -> str:
    """Return the section on one method."""
    kind = type(method)
    facts = [
        f"- Sites: {sites(method)}. Uses: {uses(method)}.",
        f"- Fits: `{inspect.signature(kind.fit).return_annotation}`.",
        f"- Code: `{kind.__module__}.{kind.__qualname__}`.",
    ]
    example = f"goalmaze retarget zoo:green-exit --methods {method.name}"
    about = markdown.prose(inspect.getmodule(kind))
    return "\n\n".join([f"## {method.name}", about, markdown.prose(kind), "\n".join(facts), markdown.fence(example)])


def sites(method: SteeringMethod) -> str:
    """Return where a method applies."""
    return "maps" if method.needs_map else "any"


def uses(method: SteeringMethod) -> str:
    """Return the facts that a method's edits use."""
    return ", ".join(sorted(method.uses)) or "nothing"


def references(method: SteeringMethod) -> list[Reference]:
    """Return the papers that the docstrings of a method cite."""
    kind = type(method)
    return cited(f"{inspect.getdoc(kind)}\n{inspect.getdoc(inspect.getmodule(kind))}")


def _citations(papers: list[Reference]) -> str:
    return ", ".join(paper.citation for paper in papers)
