"""Cards: stored ones of two agents are verified, and every tampering is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from complaints import complaint
from strict_html import Page

import goalmaze as gm
from goalmaze.agents.loading import ZOO_PREFIX
from goalmaze.envs.levels import EVALUATION
from goalmaze.experiments import cli
from goalmaze.experiments.card import verify
from goalmaze.experiments.card.card import Card, card
from goalmaze.experiments.card.document import CardData, Quantity, mark_results, overall, sealed
from goalmaze.experiments.card.example import example_of
from goalmaze.experiments.card.policy import SIDE_CHANNELS, Policy, load_policy
from goalmaze.experiments.card.render import data_of, rendered
from goalmaze.experiments.card.verify import agrees, read_card, verify_card
from goalmaze.experiments.live.settings import read_link
from goalmaze.probes.audit.registry import audit_methods

CUE, GOAL = "zoo:green-exit", "zoo:green-exit-twin"
STORED = Path(__file__).parent.parent / "golden" / "cards"
"""Two cards, made by `goalmaze card AGENT --policy policy.toml --auditor "<script>alert(1)</script>" --out FILE`."""


@pytest.fixture(scope="module")
def cards() -> dict[str, CardData]:
    """Return the stored cards."""
    return {name: read_card(STORED / f"{name.removeprefix(ZOO_PREFIX)}.json") for name in (CUE, GOAL)}


@pytest.fixture(scope="module")
def measured_once() -> Iterator[Mapping[str, Card]]:
    """Let every verification of this module share one measurement of an agent; return what was measured so far."""
    measured: dict[str, Card] = {}

    def once(agent: gm.Agent, policy: Policy) -> Card:
        if agent.name not in measured:
            measured[agent.name] = card(agent, policy)
        assert measured[agent.name].data.policy == policy
        return measured[agent.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "card", once)
        yield measured


@pytest.mark.parametrize(("name", "outcome", "suffix"), [(CUE, "fail", ".html"), (GOAL, "pass", ".md")])
def test_the_stored_cards_of_two_agents_hold(
    name: str,
    outcome: str,
    suffix: str,
    cards: dict[str, CardData],
    measured_once: Mapping[str, Card],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = cards[name]
    assert data.policy == load_policy(STORED / "policy.toml")
    assert [one.outcome for one in data.marks] == ["pass", outcome, "not measured"]
    path = tmp_path / f"card{suffix}"
    path.write_bytes(rendered(data, suffix).encode())
    assert cli.main(["card", "verify", str(path)]) == 0
    assert f"{len(data.results)} quantities were measured again" in " ".join(capsys.readouterr().out.split())
    assert measured_once[name].data.outcome == data.outcome == outcome


def test_the_reader_sees_what_side_channels_predict(cards: dict[str, CardData]) -> None:
    page = rendered(cards[CUE], ".html")
    for name in SIDE_CHANNELS:
        quantity = cards[CUE].results[f"side_channels.{name}"]
        assert quantity.value is not None
        assert quantity.text() in page
        # They know little: an interval of theirs is far wider than that of the audit.
        assert width(quantity) > 2 * width(cards[CUE].results["predicted.preference"])
    assert set(SIDE_CHANNELS) == {name for name, method in audit_methods().items() if method.side_channel}
    assert "side channels predict: " in page


def width(quantity: Quantity) -> float:
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.high - quantity.low


@pytest.mark.parametrize("suffix", [".json", ".md", ".html"])
def test_every_format_holds_the_same_data(suffix: str, cards: dict[str, CardData], tmp_path: Path) -> None:
    data = cards[CUE]
    path = tmp_path / f"card{suffix}"
    path.write_bytes(rendered(data, suffix).encode())
    assert read_card(path) == data
    # A number that is shown and differs from the data is found, as is one in the data itself.
    shown = data.results["distinguishing.preference"].text() if suffix != ".json" else data.digest
    path.write_bytes(path.read_bytes().replace(shown.encode(), b"0.010 [0.000, 0.020]", 1))
    with pytest.raises(gm.GoalmazeError, match="was changed"):
        read_card(path)


def test_texts_of_strangers_run_nowhere(cards: dict[str, CardData]) -> None:
    page = Page(rendered(cards[CUE], ".html"))
    assert page.wrong == []
    assert "<script>alert" not in rendered(cards[CUE], ".html")
    assert "<script>alert" not in rendered(cards[CUE], ".md").split("```json")[0]
    assert data_of(rendered(cards[CUE], ".html"), ".html") is not None


def tampered(data: CardData, **changes: object) -> CardData:
    """Return a card with changes whose digest and outcomes were computed again, as a careful forger would."""
    changed = msgspec.structs.replace(data, **changes)
    marks = mark_results(changed.policy, changed.results)
    return sealed(msgspec.structs.replace(changed, marks=marks, outcome=overall(marks)))


def test_careful_forgeries_are_found_by_measuring_again(
    cards: dict[str, CardData], measured_once: Mapping[str, Card], tmp_path: Path
) -> None:
    data, agent = cards[CUE], gm.load(CUE)
    lowered = data.results | {"distinguishing.preference": Quantity(0.01, 0.0, 0.05, 32)}
    flattered = data.results | {"verified": Quantity(1.0)}
    weights = cards[GOAL].subject.weights_sha256
    forged = {
        "distinguishing.preference is 0.010": tampered(data, results=lowered),
        "verified is 1.000": tampered(data, results=flattered),
        "subject.weights_sha256": tampered(data, subject=msgspec.structs.replace(data.subject, weights_sha256=weights)),
    }
    for words, one in forged.items():
        path = tmp_path / "card.json"
        path.write_bytes(rendered(one, ".json").encode())
        with pytest.raises(gm.GoalmazeError, match=words):
            verify_card(path, agent, read_card(path))
    # The card that nobody forged holds by the same measurement.
    assert verify_card(STORED / "green-exit.json", agent, data).numbers == len(data.results)
    assert set(measured_once) >= {CUE}


def test_a_card_opens_the_level_that_its_rule_chooses_and_no_other(
    cards: dict[str, CardData], measured_once: Mapping[str, Card], tmp_path: Path
) -> None:
    data, agent = cards[CUE], gm.load(CUE)
    example = example_of(agent, "site/index.html", CUE, data.process.seed)
    scene, family = read_link(example.link), agent.family
    assert scene.level is not None
    assert scene.level.level(family).hashes() == family.levels(0, [example.level], "moved-sign", EVALUATION).hashes()

    def with_example(**changes: object) -> CardData:
        process = msgspec.structs.replace(data.process, example=msgspec.structs.replace(example, **changes))
        return tampered(data, process=process)

    def verified(one: CardData, suffix: str) -> int:
        path = tmp_path / f"card{suffix}"
        path.write_bytes(rendered(one, suffix).encode())
        return verify_card(path, agent, read_card(path)).numbers

    for suffix in (".html", ".md", ".json"):
        assert verified(with_example(), suffix) == len(data.results)
    assert f'<a href="{example.link}">' in rendered(with_example(), ".html")
    assert "<a href" not in rendered(data, ".html"), "a card without a page has no link"
    other = example_of(agent, "other/index.html", CUE, data.process.seed).link
    run = "javascript:alert(1)"
    for words, one in {
        "does not lead to its page": with_example(link=other),
        "no address of a page": with_example(page=run, link=f"{run}#scene="),
        "does not open the level": with_example(level=example.level + 1),
    }.items():
        with pytest.raises(gm.GoalmazeError, match=words):
            verified(one, ".html")
    with pytest.raises(gm.GoalmazeError, match="the page cannot run zoo:corner"):
        example_of(gm.load("zoo:corner"), "site/index.html", "zoo:corner", 0)


def test_on_another_machine_numbers_agree_within_their_intervals() -> None:
    reported = Quantity(0.9, 0.8, 0.95, 100)
    assert agrees(reported, Quantity(0.88, 0.78, 0.94, 100))
    assert not agrees(reported, Quantity(0.7, 0.6, 0.8, 100))
    assert not agrees(Quantity(0.5, 0.0, 1.0, 100), Quantity(0.7, 0.6, 0.8, 100))  # an interval made wide
    assert not agrees(Quantity(1.0), Quantity(0.0))
    assert not agrees(Quantity(None), Quantity(0.5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("format = 2\nname = 'a'\n[[marks]]\nname = 'm'\nquantity = 'verified'\nat_least = 1", "format is 2"),
        ("format = 1\nname = 'a'\nmarks = []", "has no marks"),
        ("format = 1\nname = 'a'\n[[marks]]\nname = 'm'\nquantity = 'verified'", "one of at_least and at_most"),
        ("format = 1\nname = 'a'\n[[marks]]\nname = 'm'\nquantity = 'verifyed'\nat_least = 1", "'verifyed'"),
        ("format = 1\nname = 'a'\nlevel = 3\nmarks = []", "level"),
        ("format = 1\nname = 'a'\n[[marks]]\nname = 'm'\nquantity = 'verified'\nat_least = nan", "finite"),
        ("format = ", "policy"),
    ],
)
def test_faults_of_a_policy_are_named_and_no_card_is_written(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_text(text, "utf-8")
    command = ("card", CUE, "--out", str(tmp_path / "card.html"), "--policy", str(tmp_path / "p.toml"))
    assert words in complaint(capsys, *command)
    assert not (tmp_path / "card.html").exists()


def test_the_shipped_policy_is_valid() -> None:
    assert {mark.required for mark in load_policy().marks} == {True, False}
