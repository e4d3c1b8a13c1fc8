"""A subject hands out what its tier allows, records it, and knows nothing about training."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.planted import planner

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import EVALUATION
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.probes.audit.method import AuditMethod
from goalmaze.probes.audit.pool import AuditPool, Scene, distinguishing_levels, in_audit_part, make_pool, neutral
from goalmaze.probes.audit.registry import audit_methods, methods_up_to
from goalmaze.probes.audit.subject import AuditSubject
from goalmaze.probes.audit.tiers import DISTINGUISHING_COUNTS, TIERS, Tier

OFFERED = (
    {"few", "outputs", "play", "pool"},
    {"activations", "map_sites", "sites"},
    {"gradient", "jacobian", "weights"},
    {"edited_outputs", "path_gradient", "scene_activations", "scene_outputs"},
    {"play_distinguishing"},
)
"""What each tier adds."""

FORBIDDEN = (
    "recipe",
    "log",
    "report",
    "seed",
    "name",
    "checkpoints",
    "checkpoint",
    "reward",
    "rewards",
    "returns",
    "header",
)


@pytest.fixture(scope="module")
def subject() -> AuditSubject:
    # Dials of the training distribution, which no auditor may see.
    family = make_family("GreenExit", {"size": 7, "correlation": 0.25, "mixture": 0.5})
    return AuditSubject(planner(family, {"exit": 1.0}), make_pool(family, levels=16))


def accesses(subject: AuditSubject) -> list[object]:
    return [subject.t0("a"), subject.t1("a"), subject.t2("a"), subject.t3("a"), subject.t4("a")]


@pytest.mark.parametrize("tier", list(Tier))
def test_a_tier_offers_what_the_table_says_and_no_more(tier: Tier, subject: AuditSubject) -> None:
    public = {name for name in dir(accesses(subject)[tier]) if not name.startswith("_")}
    assert public == set().union(*OFFERED[: tier + 1])
    assert set(TIERS) == set(Tier)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_nothing_about_training_is_reached(name: str, subject: AuditSubject) -> None:
    for access in (subject, *accesses(subject)):
        with pytest.raises(AttributeError):
            getattr(access, name)
    access = subject.t4("a")
    for handed_out in (access.outputs(), access.play(), access.play_distinguishing(4)):
        assert not hasattr(handed_out, name)
    assert not hasattr(access.pool.levels, name)


def test_the_dials_of_training_do_not_show(subject: AuditSubject) -> None:
    family = subject.pool.family
    assert (family.parameters["correlation"], family.mixture) == (1.0, 0.0)
    assert neutral(make_family("Corner", {"corner": 5})).parameters["corner"] == 1
    # How strongly a sign shows is part of the observation and stays.
    assert neutral(make_family("GreenExit", {"salience": 1, "braid": 0.5})).parameters["salience"] == 1
    assert neutral(make_family("GreenExit", {"salience": 1, "braid": 0.5})).braid == 0.5


def test_nothing_can_be_added_to_an_access(subject: AuditSubject) -> None:
    with pytest.raises(AttributeError):
        subject.t0("a").recipe = 1  # type: ignore[attr-defined]


def test_an_agent_and_its_twin_are_audited_on_the_same_levels() -> None:
    pools = [make_pool(make_family("GreenExit", {"size": 7, "correlation": one}), levels=32) for one in (0.0, 1.0)]
    assert pools[0].address == pools[1].address
    assert pools[0].levels == pools[1].levels
    assert pools[0].address != make_pool(make_family("GreenExit", {"size": 7}), levels=33).address
    goals, cues = (pools[0].levels.cells(kind) for kind in ("exit", "sign"))
    assert (goals == cues).all()


def test_pools_and_other_levels_share_no_layout(subject: AuditSubject) -> None:
    family = subject.pool.family
    assert in_audit_part(subject.pool.levels).all()
    assert in_audit_part(distinguishing_levels(subject.pool, 8)).all()
    others = family.levels(0, np.arange(400), split=EVALUATION)
    rate = in_audit_part(others).mean()
    assert 0.1 < rate < 0.4
    kept = others.take(~in_audit_part(others))
    walls = {row.tobytes() for row in kept.walls}
    assert not walls & {row.tobytes() for row in subject.pool.levels.walls}


@pytest.mark.parametrize(
    ("family", "scene"),
    [
        ("GreenExit", Scene(drawn=("sign",), at="free")),
        ("GreenExit", Scene(removed=("exit",), drawn=("exit",), at="free")),
        # A corner is a place: with the cheese elsewhere goal and cue differ, whether or not the level lists the corner.
        ("Corner", Scene(removed=("cheese", "corner"), drawn=("cheese",), at="free")),
    ],
)
def test_a_scene_that_separates_goal_and_cue_is_refused(family: str, scene: Scene) -> None:
    pool = make_pool(make_family(family, {"size": 7}), levels=8)
    access = AuditSubject(planner(pool.family, {}), pool).t4("a")
    for ask in (access.scene_outputs, lambda one: access.scene_activations(one, ["map"])):
        with pytest.raises(GoalmazeError, match="separates goal and cue"):
            ask(scene)
    access.scene_outputs(Scene(removed=(pool.family.goal,)))


def test_one_object_alone_may_stand_elsewhere(subject: AuditSubject) -> None:
    scene = Scene(removed=("exit", "sign"), drawn=("sign",), at="free")
    levels = subject.pool.levels_of(scene)
    assert (levels.cells("sign") == subject.pool.free_cells).all()
    assert (levels.cells("sign") != subject.pool.goals).all()


def test_every_access_is_recorded(subject: AuditSubject) -> None:
    fresh = AuditSubject(planner(subject.pool.family, {}), subject.pool)
    assert fresh.accesses.records == ()
    access = fresh.t4("mine")
    access.outputs()
    access.outputs()
    access.scene_outputs(Scene(removed=("sign",)))
    access.play_distinguishing(4)
    records = fresh.accesses.records
    assert [(one.method, str(one.tier), one.levels) for one in records] == [
        ("mine", "T0", 16),
        ("mine", "T0", 16),
        ("mine", "T3", 16),
        ("mine", "T4", 4),
    ]
    assert records[0].inputs == fresh.pool.address
    assert records[2].inputs == f"{fresh.pool.address}: without sign"
    assert fresh.accesses.highest is Tier.T4


@pytest.mark.parametrize("method", audit_methods().values(), ids=lambda one: one.name)
def test_a_method_uses_its_tier_and_nothing_above(method: AuditMethod, subject: AuditSubject) -> None:
    fresh = AuditSubject(planner(subject.pool.family, {"exit": 1.0}), subject.pool)
    result = method.result(fresh)
    if result.measurement is not None:
        assert fresh.accesses.highest is method.tier is result.tier
        assert {one.method for one in fresh.accesses.records} == {method.name}
    else:
        assert fresh.accesses.records == ()


@pytest.mark.parametrize(("levels", "few"), [(8, 8), (16, 16), (40, 16), (512, 128)])
def test_costly_passes_are_made_for_few_levels(levels: int, few: int, subject: AuditSubject) -> None:
    access = AuditSubject(planner(subject.pool.family, {}), make_pool(subject.pool.family, levels=levels)).t2("a")
    assert access.few == few


def test_methods_of_lower_tiers_come_first() -> None:
    tiers = [one.tier for one in methods_up_to(Tier.T2)]
    assert tiers == sorted(tiers)
    assert max(tiers) is Tier.T2


def test_only_some_numbers_of_distinguishing_levels_are_handed_out(subject: AuditSubject) -> None:
    access = subject.t4("a")
    assert [len(access.play_distinguishing(count).steps) for count in DISTINGUISHING_COUNTS] == [1, 4, 16, 64]
    with pytest.raises(GoalmazeError, match="hands out 1, 4, 16, 64"):
        access.play_distinguishing(5)


@pytest.mark.parametrize(
    ("family", "reason"),
    [("Sleeper", "stand apart"), ("Lava", "hold no lava")],
)
def test_families_whose_goal_and_cue_do_not_agree_in_training_are_refused(family: str, reason: str) -> None:
    pool = AuditPool(make_family(family, {"size": 7}).levels(0, count=2))
    with pytest.raises(GoalmazeError, match=reason):
        _ = pool.goal


def test_a_network_of_another_observation_mode_is_refused(subject: AuditSubject) -> None:
    pool = make_pool(subject.pool.family, ObservationSpec("rgb", pixels=2), levels=4)
    network = planner(subject.pool.family, {})
    with pytest.raises(GoalmazeError, match="4 planes in mode planes, the pool has 3 in mode rgb"):
        AuditSubject(network, pool)
    with pytest.raises(GoalmazeError, match="takes 4 planes in mode planes, the pool has 6 in mode planes"):
        AuditSubject(network, make_pool(make_family("ColourShape", {"size": 7}), levels=4))
