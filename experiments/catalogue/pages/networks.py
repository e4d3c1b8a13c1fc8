"""The page on networks: options, cost, receptive field, and sites with their shapes."""

from __future__ import annotations

import dataclasses
import inspect

import msgspec

from goalmaze.agents.networks import known_networks
from goalmaze.agents.networks.base import Network
from goalmaze.envs.families import make_family
from goalmaze.experiments.catalogue.networks import NetworkSummary, describe_network
from goalmaze.experiments.catalogue.pages import markdown

FAMILY, SIZE = "GreenExit", 9

INTRODUCTION = f"""Each network gives action logits and a value. Figures are for `{FAMILY}` mazes of {SIZE}×{SIZE}
cells; FLOPs are those of one forward pass on one observation. [Networks](../networks.md) explains how they are
measured."""


def page() -> str:
    """Return the page on all networks that come with the package."""
    kinds = [kind for kind in known_networks().values() if kind.__module__.startswith("goalmaze.")]
    family = make_family(FAMILY, {"size": SIZE})
    summaries = {
        kind.name: [describe_network(kind.name, family, kind.modes[0], options) for options in kind.variants]
        for kind in kinds
    }
    rows = [
        [f"[`{one.network}`](#{one.network})", *_figures(one)] for variants in summaries.values() for one in variants
    ]
    headers = ["network", "options", "observation", "memory", "parameters", "MFLOPs", "receptive field", "sites"]
    sections = [section(kind, summaries[kind.name][0]) for kind in kinds]
    return markdown.page("Networks", INTRODUCTION, markdown.table(headers, rows), *sections)


def section(kind: type[Network], default: NetworkSummary) -> str:
    """Return the section on one network, with the sites it has under its default options."""
    options = markdown.table(
        ["option", "default", "values", "meaning"],
        [
            [markdown.code(field.name), markdown.code(field.default), values(field.type), meaning]
            for field, meaning in described(kind.Options)
        ],
    )
    sites = markdown.table(
        ["site", "shape"], [[markdown.code(site), "×".join(map(str, shape))] for site, shape in default.sites.items()]
    )
    module = inspect.getmodule(kind)
    facts = f"Observation modes: {markdown.code(*kind.modes)}. Code: `{kind.__module__}.{kind.__qualname__}`."
    parts = [f"## {kind.name}", markdown.prose(module), markdown.prose(kind), facts, options]
    return "\n\n".join([*parts, "Sites under the default options, in order of depth:", sites])


def described(options: type) -> list[tuple[msgspec.inspect.Field, str]]:
    """Return the options of a network, each with its meaning."""
    info = msgspec.inspect.type_info(options)
    assert isinstance(info, msgspec.inspect.DataclassType)
    meanings = markdown.attributes(options)
    return [(field, meanings.get(field.name, "")) for field in info.fields]


def values(kind: msgspec.inspect.Type) -> str:
    """Return the values that an option may have."""
    if isinstance(kind, msgspec.inspect.LiteralType):
        return markdown.code(*kind.values)
    if isinstance(kind, msgspec.inspect.BoolType):
        return markdown.code(True, False)
    # A number of either kind has the bounds of both.
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    numbers = [one for one in kinds if isinstance(one, msgspec.inspect.IntType | msgspec.inspect.FloatType)]
    least, most = ([getattr(one, bound) for one in numbers] for bound in ("ge", "le"))
    return f"{min(least)} to {max(most)}" if numbers else ""


def _figures(one: NetworkSummary) -> list[object]:
    plain = dataclasses.asdict(one)
    options = markdown.code(*(f"{name}={value}" for name, value in plain["options"].items()))
    field = "whole observation" if one.receptive_field is None else f"{one.receptive_field}×{one.receptive_field}"
    observation = f"{one.mode} {'×'.join(map(str, one.observation))}"
    memory = "yes" if one.recurrent else "no"
    return [options, observation, memory, f"{one.parameters:,}", f"{one.flops / 1e6:,.2f}", field, len(one.sites)]
