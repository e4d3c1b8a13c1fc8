"""The names that help lists are those that the registries know."""

from __future__ import annotations

from pathlib import Path

import pytest

import goalmaze as gm
from goalmaze.agents.training.curricula.registry import known_curricula
from goalmaze.agents.training.curricula.scores.base import known_scores
from goalmaze.agents.training.penalties.registry import known_penalties
from goalmaze.experiments import cli
from goalmaze.experiments.common.choices import CHOICES, names
from goalmaze.probes.decisions.registry import decision_methods
from goalmaze.probes.penalties import shipped as _penalties  # noqa: F401  registers them


def test_help_lists_what_the_registries_know() -> None:
    assert names("families") == [name for name in gm.known_families() if name in names("families")]
    shipped = {name for name, family in gm.known_families().items() if family.__module__.startswith("goalmaze.")}
    assert set(names("families")) == shipped
    assert names("networks") == sorted(
        name for name, network in gm.known_networks().items() if network.__module__.startswith("goalmaze.")
    )
    assert names("methods") == sorted(
        name for name, method in gm.steering_methods().items() if type(method).__module__.startswith("goalmaze.")
    )
    assert names("audit-methods") == sorted(
        name for name, method in gm.audit_methods().items() if type(method).__module__.startswith("goalmaze.")
    )
    assert names("decision-methods") == sorted(decision_methods())
    assert names("curricula") == sorted(known_curricula())
    assert names("penalties") == sorted(known_penalties())
    assert names("scores") == sorted(known_scores())
    assert names("shifts") == [f"{name}: {', '.join(gm.known_families()[name].shifts)}" for name in names("families")]


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_has_help_with_an_example_that_parses(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = cli.COMMANDS[command][0]
    assert config.examples
    with pytest.raises(SystemExit):
        cli.parse([command, "--help"])
    shown = capsys.readouterr().out
    assert all(example in shown for example in config.examples)
    assert all(f"{CHOICES[kind][0]}:" in shown for kind in config.lists)
    assert "{None}" not in shown, "an option shows None instead of its default"
    for example in config.examples:
        words = example.split()[1:]
        # Help of a command lists the commands of two words that begin with it, too.
        longest = " ".join(words[:2]) if " ".join(words[:2]) in cli.COMMANDS else words[0]
        assert longest.split()[0] == command.split()[0]
        assert type(cli.parse(words).config) is cli.COMMANDS[longest][0]


def test_help_of_train_shows_defaults_families_and_networks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parse(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("(default: 300000)", "KeysChests", "impala", "(default: GreenExit)"):
        assert text in shown
