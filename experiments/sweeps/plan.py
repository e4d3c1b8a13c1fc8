"""Plans of sweeps: a TOML file with a recipe, dials (swept settings) and seeds, expanded into runs."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from goalmaze.agents.devices import DeviceName
from goalmaze.agents.networks import known_networks
from goalmaze.agents.training.algorithms import make_algorithm, make_environments
from goalmaze.agents.training.device_recipe import decided
from goalmaze.agents.training.migration import RECIPE_FIELDS, former_fields
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.extensions import loaded_extensions
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.envs.mazes.carving import ALGORITHMS as MAZE_ALGORITHMS
from goalmaze.envs.text_files import expanded, is_file, read_toml
from goalmaze.experiments.jobs.job import Task
from goalmaze.probes.penalties import shipped as _penalties  # noqa: F401  registers them

SHIPPED = Path(__file__).parent / "plans"
"""The folder of the plans that ship with the package: published results, reproduced."""

NESTED = (
    "parameters",
    "network_options",
    "observation_options",
    "algorithm_options",
    "curriculum_options",
    "penalty",
    "penalty_options",
    "learner_options",
)

"""Fields of a recipe that are tables, the last under its former name; each of their entries can be a dial."""

ARM, AFTER = "arm", "after"
"""The dial of the arms of a plan, and the key of an arm that names the arm that it starts from."""

REFERENCE = ("curriculum", "dr")
"""The dial and its value that thresholds are compared with, where a plan names no other."""

MAX_RUNS = 10_000
"""Largest number of runs; more is taken for a mistake in the dials."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep.

    Attributes:
        name: the name of its file.
        about: its question, in a sentence.
        dials: dial → values, in the order of the file.
        seeds: the training seeds.
        shifts: the shifts under which agents are evaluated; `NO_SHIFT` is the training distribution.
        tasks: the runs, one for every combination of dials and seed.
        threshold: the dial along which half of the seeds become goal-followers somewhere; empty for none.
        reference: another dial and its value, with which thresholds at its other values are compared.
        outcomes: whether readings decide how each run ended, see `goalmaze.experiments.against_readings`.
        marks: rates of solved training episodes; a table says how soon each run passed them.
    """

    name: str
    about: str
    dials: dict[str, list[Any]]
    seeds: tuple[int, ...]
    shifts: tuple[str, ...]
    tasks: tuple[Task, ...]
    threshold: str = ""
    reference: tuple[str, Any] = REFERENCE
    outcomes: bool = False
    marks: tuple[float, ...] = ()

    @property
    def stages(self) -> tuple[tuple[Task, ...], ...]:
        """The runs that start from nothing, then those that start from the agent of one of them."""
        first = tuple(task for task in self.tasks if not task.after)
        return first, tuple(task for task in self.tasks if task.after)


@dataclasses.dataclass(frozen=True)
class _File:
    """The keys of a plan's file; see `Plan`, and `Recipe` for `train`. Values of dials are whatever TOML holds.

    An arm is a table of settings that replace those of `train`, beside `after`, the arm whose agent of the same dials
    and seed it starts from.
    """

    train: JsonObject
    seeds: list[int]
    dials: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    shifts: list[str] = dataclasses.field(default_factory=list)
    about: str = ""
    threshold: str = ""
    reference: dict[str, Any] = dataclasses.field(default_factory=lambda: dict([REFERENCE]))
    arms: dict[str, JsonObject] = dataclasses.field(default_factory=dict)
    outcomes: bool = False
    marks: list[Annotated[float, msgspec.Meta(gt=0, le=1)]] = dataclasses.field(default_factory=list)


def shipped_plans() -> dict[str, Path]:
    """Return the plans that ship with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_plan(name: str) -> Path:
    """Return the file of a plan, given its path or the name of a plan that ships.

    Raises:
        GoalmazeError: there is no such file.
    """
    path = expanded(Path(name))
    if is_file(path):
        return path
    if path.suffix or len(path.parts) > 1:
        raise GoalmazeError(
            f"there is no file {name}; give a TOML file or a plan that ships: {', '.join(shipped_plans())}"
        )
    if name not in shipped_plans():
        raise unknown("sweep", name, shipped_plans())
    return shipped_plans()[name]


def read_plan(
    path: Path, device: DeviceName | None = None, seeds: Sequence[int] | None = None, arms: Sequence[str] = ()
) -> Plan:
    """Read a plan and check, before anything is trained, that each of its runs can be trained.

    Args:
        path: the plan.
        device: the device that the runs are trained on; None for the plan's own, or the CPU where it names none.
        seeds: the training seeds; None for the plan's own.
        arms: arms of the plan, beside those that they start from; all where empty.

    Raises:
        GoalmazeError: the file cannot be read, names something unknown or impossible, has no run, or has a run twice.
    """
    file = _read(path)
    _check_reference(file, path)
    if seeds is not None:
        file = dataclasses.replace(file, seeds=list(seeds))
    if arms:
        file = dataclasses.replace(file, arms=_chosen(file, arms, path))
    # Runs are trained side by side, one thread each.
    base = {"threads": 1, **file.train}
    for name in ("seed", *(name for name in NESTED if not isinstance(base.get(name, {}), Mapping))):
        if name in base:
            raise GoalmazeError(_misplaced(path, name))
    paths = {dial: _path_in_recipe(dial, values, base) for dial, values in file.dials.items()}
    for name, listed in {"seeds": file.seeds, **file.dials}.items():
        if not listed:
            raise GoalmazeError(f"{path}: {name} is an empty list, so there is nothing to train; give it values")
    _check_arms(file, path)
    tasks: list[Task] = []
    for arm, changes in (file.arms or {"": {}}).items():
        for values in itertools.product(*file.dials.values()):
            dials = dict(zip(file.dials, values, strict=True))
            given = {ARM: arm, **dials} if file.arms else dials
            data = _with_dials(_with_arm(base, changes), paths, dials)
            runs = _runs(_complete_recipe(data, path), given, data, file.seeds)
            if AFTER in changes:
                runs = [dataclasses.replace(run, after=_name_of(run, changes[AFTER], tasks)) for run in runs]
            # After the runs have their names. They and all settings are the same on every device.
            name = device or data.get("device", "cpu")
            tasks += [
                dataclasses.replace(run, recipe=dataclasses.replace(decided(run.recipe), device=name)) for run in runs
            ]
    _check_distinct(tasks, path)
    _check_threshold(file, path)
    shifts = _shifts(file, tasks)
    all_dials = {ARM: list(file.arms), **file.dials} if file.arms else file.dials
    return Plan(
        name=path.stem,
        about=file.about,
        dials=all_dials,
        seeds=tuple(file.seeds),
        shifts=shifts,
        tasks=tuple(tasks),
        threshold=file.threshold,
        reference=next(iter(file.reference.items())),
        outcomes=file.outcomes,
        marks=tuple(file.marks),
    )


def _check_arms(file: _File, path: Path) -> None:
    """Refuse an arm that starts from an arm that is not above it, or from one that starts from another."""
    first: list[str] = []
    for arm, changes in file.arms.items():
        if AFTER not in changes:
            first.append(arm)
        elif changes[AFTER] not in first:
            raise unknown(f"arm that starts from nothing, in {path}, above arm {arm}:", str(changes[AFTER]), first)
        for name in ("seed", "start"):
            if name in changes:
                raise GoalmazeError(
                    f"{path}: arm {arm} sets {name}; list seeds in seeds = [...] and use {AFTER} for starts"
                )


def _chosen(file: _File, arms: Sequence[str], path: Path) -> dict[str, JsonObject]:
    """Return some arms of a file and those that they start from."""
    for arm in arms:
        if arm not in file.arms:
            raise unknown(f"arm in {path}:", arm, file.arms)
    starts = {file.arms[arm].get(AFTER) for arm in arms}
    return {arm: changes for arm, changes in file.arms.items() if arm in arms or arm in starts}


def _with_arm(base: ReadonlyJsonObject, changes: ReadonlyJsonObject) -> JsonObject:
    """Return the data of a recipe with the settings of an arm; its tables replace single entries."""
    data = dict(base)
    for name, value in changes.items():
        if name == AFTER:
            # Stands for the folder, which only the sweep knows, where recipes are checked.
            data["start"] = f"{ARM} {value}"
        else:
            nested = name in NESTED and isinstance(value, Mapping)
            data[name] = {**data.get(name, {}), **value} if nested else value
    return data


def _runs(recipe: Recipe, dials: JsonObject, data: ReadonlyJsonObject, seeds: Sequence[int]) -> list[Task]:
    return [_task(dataclasses.replace(recipe, seed=seed), dials, data) for seed in seeds]


def _name_of(run: Task, arm: str, tasks: Sequence[Task]) -> str:
    """Return the name of the run of an arm with the same dials and seed."""
    dials = {**run.dials, ARM: arm}
    return next(one.name for one in tasks if one.dials == dials and one.recipe.seed == run.recipe.seed)


def _check_threshold(file: _File, path: Path) -> None:
    """Refuse a threshold along something that is no dial of numbers."""
    if not file.threshold:
        return
    if file.threshold not in file.dials:
        raise unknown(f"threshold in {path}: dial", file.threshold, file.dials)
    for value in file.dials[file.threshold]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise GoalmazeError(f"{path}: threshold {file.threshold} has the value {value!r}; it needs numbers")


def _check_reference(file: _File, path: Path) -> None:
    """Refuse a reference that the plan does not have."""
    if len(file.reference) != 1:
        raise GoalmazeError(f'{path}: reference names one dial and its value, such as {{ {ARM} = "none" }}')
    if file.reference == dict([REFERENCE]):
        return
    others = {dial: values for dial, values in file.dials.items() if dial != file.threshold}
    others |= {ARM: list(file.arms)} if file.arms else {}
    ((dial, value),) = file.reference.items()
    if dial not in others:
        raise unknown(f"reference in {path}: dial", dial, others)
    if value not in others[dial]:
        raise unknown(f"reference in {path}: value of {dial}", str(value), map(str, others[dial]))


def _misplaced(path: Path, name: str) -> str:
    if name == "seed":
        return f"{path}: seed is given in [train]; list the seeds of all runs in seeds = [...] instead"
    return f"{path}: {name} is not a table; write [train.{name}]"


def _read(path: Path) -> _File:
    try:
        data = read_toml(path)
    except OSError as error:
        raise GoalmazeError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise GoalmazeError(f"{path} is not valid TOML: {error}") from None
    # msgspec ignores unknown keys, but a misspelt one must not silently change an experiment.
    known = [field.name for field in dataclasses.fields(_File)]
    for name in data:
        if name not in known:
            raise unknown(f"key of a sweep in {path}:", name, known)
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise GoalmazeError(f"{path}: {error}") from None
    # Counted before the combinations are built, which could fill the memory.
    runs = len(file.seeds) * max(1, len(file.arms)) * math.prod(len(values) for values in file.dials.values())
    if runs > MAX_RUNS:
        raise GoalmazeError(f"{path} has {runs:,} runs; the most is {MAX_RUNS:,}")
    return file


def _path_in_recipe(dial: str, values: Sequence[object], base: ReadonlyJsonObject) -> tuple[str, ...]:
    """Return the keys of a dial in a recipe: of a field, a parameter of the family or an option of the network."""
    fields = [field.name for field in dataclasses.fields(Recipe) if field.name not in ("seed", *NESTED)]
    former = [name for name in RECIPE_FIELDS if name not in NESTED]
    parts = dial.split(".")
    if len(parts) == 2 and parts[0] in NESTED:
        return tuple(parts)
    if dial == "algorithm" and any(value in MAZE_ALGORITHMS for value in values):
        raise GoalmazeError(
            'dial algorithm names training algorithms; for algorithms that carve mazes write "parameters.algorithm"'
        )
    if dial in (*fields, *former):
        return (dial,)
    families, networks = known_families(), known_networks()
    family, network = str(base.get("family", Recipe.family)), str(base.get("network", Recipe.network))
    for what, name, known in (("family", family, families), ("network", network, networks)):
        if name not in known:
            raise unknown(what, name, known)
    parameters = [field.name for field in dataclasses.fields(families[family])]
    options = [field.name for field in dataclasses.fields(networks[network].Options)]
    if dial in parameters:
        return ("parameters", dial)
    if dial in options:
        return ("network_options", dial)
    raise unknown("dial", dial, [*fields, *parameters, *options])


def _with_dials(
    base: ReadonlyJsonObject, paths: Mapping[str, tuple[str, ...]], dials: ReadonlyJsonObject
) -> JsonObject:
    """Return the data of a recipe with the values of the dials."""
    data = {name: dict(value) if isinstance(value, Mapping) else value for name, value in base.items()}
    for dial, value in dials.items():
        *table, name = paths[dial]
        (data.setdefault(table[0], {}) if table else data)[name] = value
    return data


def _complete_recipe(data: ReadonlyJsonObject, path: Path) -> Recipe:
    """Return a recipe with every parameter of its family, after checking that it can be trained."""
    try:
        recipe = recipe_from(data)
        # Environments and network are built once: that checks every setting as training would.
        mazes = make_environments(recipe)
        make_algorithm(recipe, mazes)
    except GoalmazeError as error:
        raise GoalmazeError(f"{path}: {error}") from None
    return dataclasses.replace(recipe, parameters=mazes.mazes.family.parameters, imports=loaded_extensions())


def _task(recipe: Recipe, dials: JsonObject, given: ReadonlyJsonObject) -> Task:
    """Return a run. Its name is a hash of the settings that the plan gives, without defaults, after dials and seed.

    A plan that uses former names of settings gets them in the names of its runs, which are then those of earlier
    versions: their folders are continued.
    """
    # Only what the plan sets is hashed: a new setting of the recipe with a default must not rename old runs.
    full = dataclasses.asdict(recipe)
    full |= former_fields(full)
    content = {
        name: {key: full[name][key] for key in value} if name in NESTED else full[name] for name, value in given.items()
    }
    text = json.dumps(content | {"seed": recipe.seed}, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    words = [f"{dial.split('.')[-1]}={_word(value)}" for dial, value in dials.items()]
    # File systems allow 255 bytes in a name. The end is kept, because it holds the seed and the hash.
    return Task("-".join([*words, f"seed={recipe.seed}", digest])[-200:], dials, recipe)


def _word(value: object) -> str:
    """Return a value in characters that are safe in the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_.+]+", "_", str(value)).strip("_.") or "empty"


def _check_distinct(tasks: Sequence[Task], path: Path) -> None:
    """Refuse runs that are the same, such as those of the values 0 and 0.0."""
    digests = set()
    for task in tasks:
        digest = task.name.rsplit("-", 1)[-1]
        if digest in digests:
            raise GoalmazeError(f"{path} has run {task.name} twice; name each seed and each value of a dial once")
        digests.add(digest)


def _shifts(file: _File, tasks: Sequence[Task]) -> tuple[str, ...]:
    """Return the shifts of a plan: by default the training distribution and the families' distinguishing shifts."""
    families = [make_family(name) for name in sorted({task.recipe.family for task in tasks})]
    if not file.shifts:
        return tuple(dict.fromkeys([NO_SHIFT, *(family.distinguishing_shift for family in families)]))
    known = {NO_SHIFT, *(shift for family in families for shift in family.shifts)}
    for shift in file.shifts:
        if shift not in known:
            raise unknown("shift", shift, known)
        if file.shifts.count(shift) > 1:
            raise GoalmazeError(f"shift {shift} is named twice; name each once")
    return tuple(file.shifts)
