"""A picture of rival accounts: how well each tells what the agents do, and whether its chances mean what they say."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.experiments.common.plots import bare, save_figure
from goalmaze.experiments.evaluate.goal_inference import Account, GoalInference, GoalInferences

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
MARKERS = "oDs^vPX"


def draw_accounts(boards: GoalInferences, folder: Path) -> tuple[Path, ...]:
    """Write `accounts.png`, a row of two panels for each agent; return the files.

    Raises:
        GoalmazeError: the file cannot be written.
    """
    looks = looks_of(boards.agents[0])
    figure = Figure(figsize=(10.5, 0.7 + 3.1 * len(boards.agents)), layout="constrained")
    panels = figure.subplots(len(boards.agents), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), board in zip(panels, boards.agents, strict=True):
        _losses(left, board, looks)
        draw_calibrations(right, board, looks)
    path = folder / "accounts.png"
    save_figure(figure, path)
    return (path,)


def looks_of(board: GoalInference) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each account, the same whatever their order."""
    names = sorted(one.name for one in board.accounts)
    return {name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}


def _losses(axes: Axes, board: GoalInference, looks: dict[str, tuple[str, str]]) -> None:
    for y, one in enumerate(board.accounts):
        colour, marker = looks[one.name]
        found = one.log_loss
        spread = [[found.value - found.low], [found.high - found.value]]
        axes.errorbar(found.value, y, xerr=spread, color=colour, marker=marker, capsize=3, markersize=7)
    axes.axvline(board.own.value, color="#555555", linestyle=":", linewidth=1.2)
    axes.text(board.own.value, len(board.accounts) - 0.6, " the agent's own chances", fontsize=8, color="#555555")
    axes.set_yticks(range(len(board.accounts)), [_name(board, one) for one in board.accounts], fontsize=9)
    axes.set_ylim(len(board.accounts) - 0.3, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("log-loss, nats an action; 95 % intervals over levels, not seeds", fontsize=9)
    axes.set_title(f"{board.agent.removeprefix('zoo:')}, {board.shift}: {board.levels} levels", fontsize=10, loc="left")
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    bare(axes)


def _name(board: GoalInference, one: Account) -> str:
    return f"{one.name}{' *' if one.name in board.winners else ''}"


def draw_calibrations(axes: Axes, board: GoalInference, looks: dict[str, tuple[str, str]]) -> None:
    """Draw how often actions were taken against the chance that each account gave them."""
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for one in board.accounts:
        colour, marker = looks[one.name]
        axes.plot(one.calibration.told, one.calibration.taken, color=colour, marker=marker, markersize=5, linewidth=1.1)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("chance told", fontsize=9)
    axes.set_ylabel("how often taken", fontsize=9)
    axes.set_title("calibration (* best, or not told apart)", fontsize=10, loc="left")
    bare(axes)
