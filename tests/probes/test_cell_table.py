"""Cell tables: against known weights, scikit-learn's ridge regression, and goals that are really moved."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape, Site
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.context import FitContext
from goalmaze.probes.controls import untrained_above
from goalmaze.probes.edits import cell_table as tables
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.cell_table import CellTable, cell_design, fit_cell_table
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.training_batch import draw_training_batch
from goalmaze.probes.steering import cell_table, find_method
from goalmaze.probes.targets import draw_targets

SIDE = 7
CELLS = SIDE**2
EXIT, SIGN = 2, 3
"""The planes of goal and cue."""


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """It has no options."""


@register_network
class PlantedNetwork(Network):
    """Site `features` [B, H*W], a linear map of the observation; the logits are bilinear in it and the agent's cell.

    `planted` sets the weights so that `features` is the exit's cell one-hot and the logits point straight towards it.
    """

    name = "planted-table-for-tests"
    Options = NoOptions

    def __init__(self, shape: Shape, options: NoOptions | None = None) -> None:
        super().__init__()
        self.shape, self.options = shape, options or NoOptions()
        self.features = nn.Linear(shape.planes * CELLS, CELLS, bias=False)
        self.policy = nn.Bilinear(CELLS, CELLS, shape.actions, bias=False)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        planes = observation.float().flatten(2)
        logits = self.policy(planes[:, 1], self.features(planes.flatten(1)))
        return logits, logits[:, 0]

    def sites(self) -> tuple[Site, ...]:
        return (Site("features", CELLS, is_map=False),)


def planted(family: Family) -> NetworkPolicy:
    network = make_network("planted-table-for-tests", Shape.seeing(make_view(family)))
    row, column = torch.arange(CELLS) // SIDE, torch.arange(CELLS) % SIDE
    down, right = (place[None] - place[:, None] for place in (row, column))
    weights = torch.zeros(CELLS, 4, CELLS)
    weights[:, EXIT] = torch.eye(CELLS)
    with torch.no_grad():
        network.get_submodule("features").weight.copy_(weights.flatten(1))
        way = torch.stack([-down, right, down, -right]).clamp(-1, 1)
        network.get_submodule("policy").weight.copy_(1.5 * way)
    return NetworkPolicy(network)


def fit_context(policy: NetworkPolicy, family: Family, levels: int = 48, effort: float = 1.0) -> FitContext:
    return FitContext(policy, family.levels(7, np.arange(levels), split="fitting"), effort=effort)


def impala(family: Family) -> NetworkPolicy:
    torch.manual_seed(0)
    network = make_network("impala", Shape.seeing(make_view(family)))
    nn.init.orthogonal_(network.get_submodule("fc_policy").weight, 30.0)
    return NetworkPolicy(network)


def probabilities(policy: NetworkPolicy, levels: LevelBatch, table: CellTable | None = None) -> np.ndarray:
    """Return the probabilities at the start, under a table's edit that moves the goal to targets drawn from seed 0."""
    targets = draw_targets(levels, 0)
    edits = [] if table is None else [table.edit(GoalMove.on(levels, targets))]
    with applied(policy, edits):
        return policy.probabilities(np.arange(len(levels)), observations_of(policy, levels), levels.start)


def test_the_table_of_a_linear_site_equals_its_weights(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "RIDGE", 1e-9)
    policy = planted(family)
    weight = nn.init.normal_(policy.network.get_submodule("features").weight).reshape(CELLS, 4, CELLS)
    learned = fit_context(policy, family)
    found = fit_cell_table(learned, "features")
    seen = np.unique(np.concatenate([cells for _, places in tables.goal_placements(learned) for cells in places]))
    assert set(seen) == set(np.flatnonzero(learned.levels.free().any(axis=0))), "48 mazes show every cell that is free"
    highest = torch.tensor(make_view(family).highest).reshape(4, -1).amax(dim=1).float()
    expected = (highest[EXIT] * weight[:, EXIT] + highest[SIGN] * weight[:, SIGN]).T.detach()
    torch.testing.assert_close(found.at_target[seen], expected[seen], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.at_goal, found.at_target)
    assert not found.rectified


def test_a_cell_without_a_goal_gets_the_entry_of_its_row_and_column(family: Family) -> None:
    policy = planted(family)
    effect = torch.randn(2, SIDE, CELLS, generator=torch.Generator().manual_seed(0))
    expected = (effect[0][:, None] + effect[1][None]).flatten(0, 1)
    weights = torch.zeros(CELLS, 4, CELLS)
    weights[:, EXIT] = expected.T
    with torch.no_grad():
        policy.network.get_submodule("features").weight.copy_(weights.flatten(1))
    learned = fit_context(policy, family, 96)
    found = fit_cell_table(learned, "features").at_target
    pillars = [row * SIDE + column for row in (2, 4) for column in (2, 4)]
    assert not learned.levels.free()[:, pillars].any()
    torch.testing.assert_close(found[pillars], expected[pillars], atol=0.1, rtol=0)
    assert (found[pillars] - expected[pillars].flip(0)).abs().max() > 1


def test_the_regression_equals_scikit_learns(family: Family) -> None:
    policy = impala(family)
    learned, site = fit_context(policy, family), "embedder.block2.res1"
    present, absent, cells = [], [], []
    for some, places in tables.goal_placements(learned):
        for place in places:
            present.append(some.activations(some.levels.with_goal_and_cue_at(place), site))
            absent.append(some.activations(some.levels.without_goal_and_cue(), site))
            cells.append(place)
    difference = (torch.cat(present) - torch.cat(absent)).flatten(1).double().numpy()
    design = cell_design(SIDE, SIDE).double().numpy()
    # one penalty for all, which is theirs, is ours where a column is scaled up by as much as it is penalised less
    scaled = design * np.where(np.arange(design.shape[1]) < 2 * SIDE, tables.ROW_COLUMN_RIDGE**-0.5, 1.0)
    other = Ridge(alpha=tables.RIDGE, fit_intercept=False).fit(scaled[np.concatenate(cells)], difference)
    found = fit_cell_table(learned, site).at_target.flatten(1).numpy()
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(found, scaled @ other.coef_.T, atol=5e-4)


def test_at_a_convolution_it_equals_moving_goal_and_cue_and_shuffled_cells_do_not(
    family: Family, levels: LevelBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "RIDGE", 1e-6)
    policy = impala(family)
    learned, site = fit_context(policy, family), "embedder.block1.conv"
    found = find_method("cell-means").fit(learned, site)
    assert isinstance(found, CellTable)
    moved = levels.with_goal_and_cue_at(draw_targets(levels, 0))
    expected, plain = probabilities(policy, moved), probabilities(policy, levels)
    assert np.abs(plain - expected).max() > 0.2
    np.testing.assert_allclose(probabilities(policy, levels, found), expected, atol=2e-3)
    order = torch.randperm(CELLS, generator=torch.Generator().manual_seed(0))
    shuffled = dataclasses.replace(found, at_target=found.at_target[order], at_goal=found.at_goal[order])
    assert np.abs(probabilities(policy, levels, shuffled) - expected).max() > 0.2
    deep = fit_cell_table(learned, "embedder.hidden")
    assert deep.rectified
    assert np.abs(probabilities(policy, levels, deep) - expected).max() > 0.02


def test_a_table_is_learned_from_zeros_and_steers_only_through_trained_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = make_family("GreenExit", {"size": SIDE, "braid": 1.0})
    policy = planted(family)
    blank = dataclasses.replace(
        fit_cell_table(fit_context(policy, family), "features"),
        at_target=torch.zeros(CELLS, CELLS),
        at_goal=torch.zeros(CELLS, CELLS),
    )
    monkeypatch.setattr(cell_table, "fit_cell_table", lambda context, site: blank)
    monkeypatch.setattr(cell_table, "SCHEDULE", dataclasses.replace(cell_table.SCHEDULE, learning_rate=0.05))
    found = find_method("cell-table").fit(fit_context(policy, family, effort=0.2), "features")
    assert isinstance(found, CellTable)

    def loss(judge: NetworkPolicy, table: CellTable) -> float:
        training_batch = draw_training_batch(
            FitContext(judge, family.levels(9, np.arange(200))), np.random.default_rng(1), 200
        )
        with torch.inference_mode():
            return float(training_batch.loss([table.edit(training_batch.move)]))

    indifferent = float(np.log(4))
    assert loss(policy, blank) > indifferent
    assert loss(policy, found) < 0.7 * indifferent
    order = torch.randperm(CELLS, generator=torch.Generator().manual_seed(0))
    shuffled = dataclasses.replace(found, at_target=found.at_target[order], at_goal=found.at_goal[order])
    assert loss(policy, shuffled) > indifferent
    untrained = NetworkPolicy(untrained_above(policy.network, "features", 0))
    assert loss(untrained, found) > indifferent


@pytest.mark.parametrize("name", ["cell-means", "cell-table", "unaligned-vector"])
@pytest.mark.parametrize("site", ["embedder.block2.conv", "embedder.block3.res2", "embedder.hidden"])
def test_they_work_where_there_is_no_map_of_squares(name: str, site: str, family: Family, levels: LevelBatch) -> None:
    policy = impala(family)
    found = find_method(name).fit(fit_context(policy, family, effort=0.005), site)
    targets, plain = draw_targets(levels, 0), probabilities(policy, levels)
    for strength, changes in ((0.0, False), (1.0, True)):
        edit = found.edit(GoalMove.on(levels, targets), strength)  # type: ignore[union-attr]
        with applied(policy, [dataclasses.replace(edit, first_steps=1)]):
            assert np.array_equal(probabilities(policy, levels), plain) != changes
    np.testing.assert_array_equal(probabilities(policy, levels), plain)


def test_where_there_is_no_goal_nothing_is_subtracted(levels: LevelBatch) -> None:
    table = CellTable("features", torch.ones(CELLS, CELLS), torch.full((CELLS, CELLS), 5.0), SIDE, SIDE, False)
    goals = levels.cells("exit").copy()
    goals[0] = ABSENT
    edit = table.edit(GoalMove(goals, draw_targets(levels, 0), SIDE, SIDE), 2.0)
    context = EditContext.at_start(np.arange(2))
    changed = edit(torch.zeros(2, CELLS), context)
    assert changed[:, 0].tolist() == [2.0, -8.0]
    assert dataclasses.replace(edit, rectified=True)(torch.zeros(2, CELLS), context)[:, 0].tolist() == [2.0, 0.0]


def test_what_does_not_fit_is_refused_by_name(family: Family, levels: LevelBatch) -> None:
    policy, goals, targets = planted(family), levels.cells("exit"), draw_targets(levels, 0)
    table = fit_cell_table(fit_context(policy, family, 8), "features")
    with pytest.raises(GoalmazeError, match="'features' is for mazes of 7x7, these are 9x9; fit it at this size"):
        table.edit(GoalMove(goals, targets, 9, 9))
    with pytest.raises(GoalmazeError, match=f"level 0: target at cell {CELLS} is outside"):
        table.edit(GoalMove(goals, np.full(len(levels), CELLS, np.int32), SIDE, SIDE))
    with pytest.raises(GoalmazeError, match="level 3: there is no target"):
        table.edit(GoalMove(goals, np.where(np.arange(len(levels)) == 3, ABSENT, targets), SIDE, SIDE))
    edit = table.edit(GoalMove(goals, targets, SIDE, SIDE))
    for site, complaint in (
        ("embedder.block1.conv", f"is for {CELLS} channels, the site has 16"),
        ("nowhere", "unknown site of network impala 'nowhere'"),
    ):
        with (
            pytest.raises(GoalmazeError, match=complaint),
            applied(impala(family), [dataclasses.replace(edit, site=site)]),
        ):
            pass
    with pytest.raises(GoalmazeError, match=r"has shape \(49,\), the activation of a level \(49, 2\); make it for"):
        edit(torch.zeros(3, CELLS, 2), EditContext.at_start(np.arange(3)))
    with pytest.raises(GoalmazeError, match=f"is for {len(levels)} levels, level 99 is being played"):
        edit(torch.zeros(1, CELLS), EditContext.at_start(np.array([99])))
