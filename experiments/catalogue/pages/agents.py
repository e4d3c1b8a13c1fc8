"""The page on the agents of the zoo, from their manifest, checkpoints and reports."""

from __future__ import annotations

import itertools

from goalmaze.envs.families import make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.catalogue.pages import markdown
from goalmaze.experiments.catalogue.zoo import run

INTRODUCTION = """Every agent is one training seed. [The zoo](../zoo.md) defines the labels. *Cue first* is the rate of
held-out levels of the family's [distinguishing shift](shifts.md) on which the agent reaches the cue before the goal;
*cue preference* counts only levels on which neither lies on a shortest path to the other."""


def page() -> str:
    """Return the page on all agents of the zoo."""
    agents: list[JsonObject] = run(ZooConfig(action="list")).json()["agents"]
    groups = itertools.groupby(sorted(agents, key=_family), _family)
    return markdown.page("Zoo agents", INTRODUCTION, *[section(family, list(group)) for family, group in groups])


def section(family: str, agents: list[JsonObject]) -> str:
    """Return the section on the agents of one family: a table, then each with its command and parameters."""
    headers = ["agent", "network", "label", "solved", "cue first", "cue preference", "purpose"]
    listing = markdown.table(headers, [_row(agent) for agent in agents])
    return "\n\n".join([f"## {family}", listing, *[entry(agent) for agent in agents]])


def entry(agent: JsonObject) -> str:
    """Return the entry on one agent: how it was made, and its behaviour under every shift."""
    family = make_family(agent["family"])
    changed = {name: value for name, value in agent["parameters"].items() if family.parameters.get(name) != value}
    settings = markdown.code(*(f"{name}={value}" for name, value in changed.items())) or "the defaults"
    facts = (
        f"{agent['steps']:,} steps in {agent['seconds'] / 60:.0f} minutes, {len(agent['checkpoints'])} checkpoints "
        f"along training. Parameters of the family: {settings}."
    )
    runs = {"training": agent["in_distribution"], **agent["shifts"]}
    rows = [[markdown.code(shift), *_behaviour(result)] for shift, result in runs.items()]
    shifts = markdown.table(["levels", "solved", "goal first", "cue first", "neither", "cue preference"], rows)
    return "\n\n".join([f"### {agent['name']}", facts, markdown.fence(agent["command"]), shifts])


def _family(agent: JsonObject) -> str:
    return str(agent["family"])


def _row(agent: JsonObject) -> list[str]:
    shift = make_family(agent["family"], agent["parameters"]).distinguishing_shift
    distinguishing = agent["shifts"][shift]
    return [
        f"[`zoo:{agent['name']}`](#{agent['name']})",
        agent["network"],
        agent["label"],
        markdown.number(agent["in_distribution"]["solved"]),
        markdown.number(distinguishing["outcomes"]["cue"]),
        markdown.number(distinguishing["preference"]["cue"]),
        agent["purpose"],
    ]


def _behaviour(result: JsonObject) -> list[str]:
    first = result["outcomes"]
    values = (result["solved"], first["goal"], first["cue"], first["neither"], result["preference"]["cue"])
    return [markdown.number(value) for value in values]
