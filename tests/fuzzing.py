"""Seeded random command lines and files, most of them wrong, and the check that goalmaze survives every one of them.

It survives what it refuses with one line or does as asked. A traceback, an unexpected error, more than `SECONDS` of
work, a longer wait, or more than `BYTES` of memory is a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import math
import os
import random
import resource
import signal
import sys
import tempfile
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import safetensors
from safetensors.numpy import save
from tqdm import tqdm

from goalmaze.agents.loading import load_agent
from goalmaze.agents.training import training_state
from goalmaze.agents.training.log import read_log
from goalmaze.agents.training.state_file import state_digest
from goalmaze.agents.training.training_state import read_state
from goalmaze.agents.zoo import MANIFEST, read_manifest, zoo_folder
from goalmaze.envs.ascii import read_ascii, write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.text_files import read_text
from goalmaze.experiments import cli
from goalmaze.experiments.catalogue import runs
from goalmaze.experiments.catalogue.config import RunsConfig
from goalmaze.experiments.common.run_report import read_report
from goalmaze.experiments.sweeps.plan import read_plan
from goalmaze.experiments.train.command import read_settings
from goalmaze.experiments.train.config import TrainConfig

SECONDS = 20
WAIT = 3
"""Seconds by the clock for each second of work: the machine may be busy with other work."""

BYTES = 2 * 2**30

GOLDEN = Path(__file__).parent / "golden" / "v0.1"
STATES = sorted((GOLDEN / "interrupted").glob("*/state.safetensors"))

NAMES = (
    *("GreenExit", "Corner", "KeysChests", "grid", "impala", "lstm", "stem", "block1", "moved-sign", "none", "sign"),
    *("mean-pattern", "zoo:green-exit", "zoo:corner", "zoo:lstm", "planes", "rgb64", "braid", "ppo", "sb3-dqn"),
)
"""Words that mean something in some place, and are wrong in most."""

WORDS = (
    *("", " ", "-", "--", "-1", "0", "1", "2", "5", "7", "nan", "inf", "-inf", "1e309", "1e-320", "3.5", "0x10"),
    *("99999999999999999999", "9" * 5000, "1_0", "٣", "é", "日本", "😀", "\u202e", "\udcff", "a" * 300, "a" * 5000),
    *(
        "~",
        "~nobody",
        "..",
        ".",
        "/dev/null",
        "/dev/full",
        "/proc/self/mem",
        "zoo:",
        "zoo:../corner",
        "%s",
        "\n",
        "a\nb",
    ),
    *(
        "a=b",
        "=",
        "=1",
        "size=",
        "size=9",
        "size=[[",
        "size=1e999",
        "braid=NaN",
        "braid=0,0.5",
        "x={}",
        "{}",
        "[]",
        "null",
    ),
)
"""Words that are wrong in most places."""

SMALL_NUMBERS = {
    "levels": (1, 4),
    "fit_levels": (50, 60),
    "seed": (0, 9),
    "size": (5, 9),
    "level": (0, 9),
    "decisions": (8, 9),
    "step": (1, 3),
}
"""Option → range in which a command with it takes little time."""

SMALL = {
    "eval": ["--levels", "3"],
    "probe": ["--levels", "3", "--fit-levels", "50", "--sites", "stem"],
    "retarget": ["--levels", "3", "--fit-levels", "8", "--sites", "stem", "--methods", "mean-pattern"],
    "audit": ["--levels", "16", "--tier", "T1"],
    "explain": ["--units", "--sites", "stem", "--levels", "8", "--fit-levels", "16"],
    "families": ["GreenExit", "--size", "5"],
    "networks": ["grid"],
    "render": ["--size", "5"],
}
"""Command that may be right → options with which it takes little time; random ones that follow may override them."""

POSITIONAL = ("agent", "others", "name", "action", "source", "file", "plan", "folder")
"""Fields that are no options; words for them stand among the others."""

HEAVY_FLAGS = (
    "features",
    "grid",
    "choices",
    "hypotheses",
    "benchmark",
    "sleepers",
    "auto",
    "ledger",
    "oracles",
    "full",
    "all",
)

REFUSED = {
    "demo": (["--agent", "no/such/run"], ["--out", "no/such/folder/x.png"], ["--remembering", "zoo:green-exit-early"]),
    "plans": (["--think", "-1"], ["--skip", "nothing"], ["--passes", "0"], ["--fit-levels", "1"]),
    "train": (
        *(
            ["--size", "6"],
            ["--steps", "-5"],
            ["--network", "gird"],
            ["--recipe", "nowhere.toml"],
            ["--set", "seed=-1"],
        ),
        *(
            ["--set", "discount=7"],
            ["--set", "learning_rate=NaN"],
            ["--set", "envs=100000000000"],
            ["--save-every", "nan"],
        ),
    ),
    "sweep": (["--workers", "-1"], ["--save-every", "inf"], ["--workers", "9999999"]),
    "report": (["--levels", "1"], ["--out", "report.txt"], ["--seed", "-3"]),
    "formation": (["--cache", "/dev/null/x"], ["--figures", "/dev/null/x"]),
    "live": (["--port", "70000"], ["--strength", "nan"]),
    "bench": (["--family", "green"],),
    "site": (["--levels", "1"], ["--population-agents", "0"]),
    "zoo": (["verify"],),
    "leakage": (["--levels", "0"], ["--shift", "moved-sing"]),
    "import": (["--family", "Cornr"],),
}
"""Command that would take long → options with which it is refused in any case."""

NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 7, 1e308, math.nan, math.inf, -math.inf, 10**30, -(2**63), 2**31, 0.5, "", "x" * 5000),
    *("\0", "\ud800", "GreenExit", "../x", [], {}, [[]], {"a": {}}, [1, "a", None], {"": 0}, {"size": 7}),
)
"""Values that are wrong in most places of a file."""

RECIPE = {
    "family": "GreenExit",
    "parameters": {"size": 7, "braid": 0.5},
    "observation": "planes",
    "observation_options": {},
    "network": "grid",
    "network_options": {"channels": 4, "blocks": 1},
    "steps": 512,
    "seed": 3,
    "envs": 8,
    "rollout_steps": 8,
    "minibatches": 2,
    "learning_rate": 0.003,
    "discount": 0.9,
    "shaping": 0.3,
    "algorithm": "ppo",
    "algorithm_options": {},
    "imports": ["mine.py"],
}
PLAN = {
    "about": "a question",
    "seeds": [0, 1],
    "shifts": ["none"],
    "train": {
        "family": "Corner",
        "steps": 512,
        "envs": 8,
        "rollout_steps": 8,
        "minibatches": 2,
        "parameters": {"size": 5},
    },
    "dials": {"corner": [1, 3]},
}


class Hang(BaseException):
    """It takes too long, see `limited`. It is no `Exception`, so that no handler takes it for an ordinary error."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise `Hang` after `SECONDS` of work or `WAIT` times as many of waiting, and let large allocations fail."""

    def hang(*_: object) -> None:
        raise Hang

    before = {number: signal.signal(number, hang) for number in (signal.SIGALRM, signal.SIGPROF)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAIT * SECONDS)
    try:
        yield
    finally:
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(timer, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for number, handler in before.items():
            signal.signal(number, handler)


def warm_up() -> None:
    """Compile what the first command of a new checkout compiles, which takes longer than any command may."""
    agent = "zoo:green-exit-early"
    for line in (["eval", agent], ["retarget", agent], ["render", agent, "--out", "warm.html"]):
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main([*line, *SMALL[line[0]]])


def command_line(rng: random.Random) -> list[str]:
    """Return a random command line, which takes little time where it is right."""
    if rng.random() < 0.03:
        return [rng.choice([*NAMES, *WORDS]) for _ in range(rng.randrange(4))]
    command = rng.choice(list(cli.COMMANDS))
    fields = list(dataclasses.fields(cli.COMMANDS[command][0]))
    line = [command]
    if "agent" in {field.name for field in fields} and rng.random() < 0.9:
        line.append(rng.choice(["zoo:green-exit-early", "zoo:corner-early", "zoo:green-exit-early", rng.choice(WORDS)]))
    fields = [field for field in fields if field.name not in (*HEAVY_FLAGS, *POSITIONAL)]
    line += SMALL.get(command, [])
    for field in rng.sample(fields, rng.randrange(min(len(fields), 4) + 1)):
        line += [f"--{field.name.replace('_', '-')}", *_values(rng, field)]
    if rng.random() < 0.2:
        line.insert(rng.randrange(1, len(line) + 1), rng.choice([*NAMES, *WORDS]))
    if rng.random() < 0.3:
        line.append(rng.choice(["--json", "--csv", "--latex", "--markdown", "--traceback"]))
    return line + rng.choice(REFUSED.get(command, ([],)))


def _values(rng: random.Random, field: dataclasses.Field[Any]) -> list[str]:
    """Return what follows an option: nothing for a switch, a small number or a word that is wrong in most places."""
    if field.type == "bool" and rng.random() < 0.9:
        return []
    if field.name in SMALL_NUMBERS and rng.random() < 0.7:
        return [str(rng.randint(*SMALL_NUMBERS[field.name]))]
    if field.name == "out" and rng.random() < 0.7:
        return [rng.choice(["new", "new.html", "new.png", "no/such/x.html", "x" * 300 + ".html"])]
    return [rng.choice([*NAMES, *WORDS]) for _ in range(rng.choice([1, 1, 1, 0, 2]))]


def fault_of_command(arguments: Sequence[str]) -> str | None:
    """Run a command line in this process and return what is wrong with how it ends; None where nothing is."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True) for _ in range(2)]
    try:
        with limited(), contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            try:
                code = cli.main(arguments)
            except SystemExit as error:  # of --help
                code = int(error.code or 0)
    except BaseException as error:  # whatever it is, it has left `main`
        return f"{type(error).__name__}: {error}"
    complaint = typing.cast(io.BytesIO, streams[1].buffer).getvalue().decode("ascii")
    if "unexpected" in complaint or "enough memory" in complaint or "Traceback" in complaint:
        return complaint
    if code not in (0, cli.BAD_INPUT):
        return f"exit code {code}: {complaint}"
    if code and len(complaint.strip().splitlines()) != 1:
        return f"not one line: {complaint}"
    return None


def mutated(rng: random.Random, value: Any) -> Any:
    """Return plain data in which one entry somewhere is missing, new or replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        kind = rng.random()
        if kind < 0.1:
            return {name: one for name, one in value.items() if name != key}
        if kind < 0.2:
            return {**value, rng.choice(["", "x", "learner", "format", "\ud800"]): rng.choice(NASTY)}
        return {**value, key: mutated(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.5:
        index = rng.randrange(len(value))
        return [*value[:index], mutated(rng, value[index]), *value[index + 1 :]]
    return rng.choice(NASTY)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Return bytes with one damage: of an editor, a disk, a transfer or a hostile person."""
    at = rng.randrange(len(content) + 1)
    until = min(len(content), at + rng.randrange(1, 40))
    return rng.choice(
        [
            lambda: content[:at],
            lambda: content[:at] + content[until:],
            lambda: content[:at] + rng.randbytes(until - at) + content[until:],
            lambda: content[:at] + content[at:until] * 3 + content[until:],
            lambda: content[:at] + bytes([rng.randrange(256)]) + content[at:],
            lambda: b"\xef\xbb\xbf" + content,
            lambda: content.replace(b"\n", b"\r\n"),
            lambda: content.decode("latin-1").encode("utf-16"),
            lambda: content.replace(b"0", b"9" * 400, 1),
            lambda: b"[" * 20_000 + content,
            lambda: b'{"a":' * 20_000 + content,
            lambda: b"x = " + b"[" * 5_000 + b"\n" + content,
            lambda: b"",
        ]
    )()


def toml(data: dict[str, Any]) -> str:
    """Return data as TOML, with values that TOML lacks as it may; tables are written inline."""
    return "".join(f"{json.dumps(key)} = {_toml_value(value)}\n" for key, value in data.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(one) for one in value) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def _wrong_text(rng: random.Random, data: Any, write: Callable[[Any], str]) -> bytes:
    """Return a file with data that is wrong once or a few times, or whose bytes are damaged."""
    if rng.random() < 0.3:
        return damaged(rng, write(data).encode())
    for _ in range(rng.choice([1, 1, 2, 3])):
        data = mutated(rng, data)
    return write(data if isinstance(data, dict) else {"x": data}).encode("utf-8", "surrogatepass")


def _recipe(rng: random.Random, folder: Path) -> None:
    is_json = rng.random() < 0.5
    path = folder / ("recipe.json" if is_json else "recipe.toml")
    path.write_bytes(_wrong_text(rng, RECIPE, json.dumps if is_json else toml))
    with contextlib.suppress(GoalmazeError):
        recipe = read_settings(TrainConfig(recipe=path))
        make_family(recipe.family, recipe.parameters)


def _plan(rng: random.Random, folder: Path) -> None:
    path = folder / "plan.toml"
    path.write_bytes(_wrong_text(rng, PLAN, toml))
    with contextlib.suppress(GoalmazeError):
        read_plan(path)


def _manifest(rng: random.Random, folder: Path) -> None:
    path = folder / "manifest.json"
    entries = json.loads(MANIFEST.read_text("utf-8"))
    path.write_bytes(_wrong_text(rng, {name: entries[name] for name in list(entries)[:2]}, json.dumps))
    with contextlib.suppress(GoalmazeError):
        read_manifest(path)


def _state(rng: random.Random, folder: Path) -> None:
    path, original = folder / "state.safetensors", rng.choice(STATES)
    if rng.random() < 0.5:
        path.write_bytes(damaged(rng, original.read_bytes()))
    else:
        path.write_bytes(_forged(rng, original))
    with contextlib.suppress(GoalmazeError):
        read_state(path)


def _forged(rng: random.Random, original: Path) -> bytes:
    """Return a training state with another content and the digest that belongs to it, as an attacker can make it."""
    with safetensors.safe_open(original, framework="np") as file:
        head = json.loads(file.metadata()[training_state.METADATA_KEY])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del head["digest"]
    head = mutated(rng, head)
    if not isinstance(head, dict):
        head = {"format": head}
    head["digest"] = state_digest(head, arrays)
    return save(arrays, {training_state.METADATA_KEY: json.dumps(head)})


def _checkpoint(rng: random.Random, folder: Path) -> None:
    (folder / "checkpoint.safetensors").write_bytes(
        damaged(rng, (STATES[0].parent / "checkpoint.safetensors").read_bytes())
    )
    with contextlib.suppress(GoalmazeError):
        load_agent(str(folder))


def _run_folder(rng: random.Random, folder: Path) -> None:
    """Damage report, recipe and log of a run; a list of runs has to show them all the same."""
    run, original = folder / "runs" / "one", zoo_folder("green-exit-early")
    run.mkdir(parents=True, exist_ok=True)
    for name in ("report.json", "recipe.json"):
        (run / name).write_bytes(_wrong_text(rng, json.loads((original / name).read_text("utf-8")), json.dumps))
    (run / "log.csv").write_bytes(damaged(rng, (original / "log.csv").read_bytes()))
    with contextlib.suppress(OSError, ValueError):
        read_report(run)
    with contextlib.suppress(OSError, ValueError):
        read_log(run)
    runs.run(RunsConfig(folder=folder / "runs")).text()


def _levels(rng: random.Random, folder: Path) -> None:
    family = make_family("GreenExit", {"size": 5})
    path = folder / "levels.txt"
    path.write_bytes(damaged(rng, write_ascii(family.levels(rng.randrange(9), [0, 1])).encode()))
    with contextlib.suppress(GoalmazeError, UnicodeDecodeError):
        read_ascii(read_text(path), family)


FILES: dict[str, Callable[[random.Random, Path], None]] = {
    "recipe": _recipe,
    "plan": _plan,
    "manifest": _manifest,
    "state": _state,
    "checkpoint": _checkpoint,
    "run folder": _run_folder,
    "levels": _levels,
}
"""Kind of file → a function that writes one, wrong in some way, and reads it as goalmaze does."""


def fault_of_file(kind: str, seed: int, folder: Path) -> str | None:
    """Write a file of a kind, wrong in some way, read it, and return what is wrong with how that ends."""
    try:
        with limited():
            FILES[kind](random.Random(f"{kind} {seed}"), folder)
    except BaseException as error:  # whatever it is, no reader may raise it
        return f"{type(error).__name__}: {error}"
    return None


def _reported(what: str, fault: str | None) -> int:
    """Print a fault at once, since a later one may end the process; return the number of faults."""
    if fault is None:
        return 0
    tqdm.write(f"{what}\n    {fault:.1000}")
    return 1


def main() -> int:
    """Run the number of command lines and files that the command line asks for, print faults, and return 1 for any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000, help="number of command lines")
    parser.add_argument("--files", type=int, default=10_000, help="number of files")
    parser.add_argument("--seed", type=int, default=0, help="of both")
    options = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        warm_up()
        for seed in tqdm(range(options.seed, options.seed + options.lines), desc="command lines", disable=None):
            line = command_line(random.Random(seed))
            faults += _reported(f"{seed} {line!r:.600}", fault_of_command(line))
        kinds = list(FILES)
        for seed in tqdm(range(options.seed, options.seed + options.files), desc="files", disable=None):
            kind = kinds[seed % len(kinds)]
            faults += _reported(f"{kind} {seed}", fault_of_file(kind, seed, Path(folder)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{options.lines} command lines, {options.files} files: {faults} faults; {peak:.2f} GiB")
    return int(bool(faults) or peak > BYTES / 2**30)


if __name__ == "__main__":
    sys.exit(main())
