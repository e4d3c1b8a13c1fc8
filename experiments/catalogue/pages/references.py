"""The papers that docstrings cite, as "Mini et al. (2023)" or "(Holm, 1979)"."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from goalmaze.envs.errors import GoalmazeError


@dataclasses.dataclass(frozen=True)
class Reference:
    """A paper.

    Attributes:
        authors: as in a citation.
        year: of publication.
        title: of the paper.
        venue: where it was published.
        url: of the paper, where there is a free one.
    """

    authors: str
    year: int
    title: str
    venue: str
    url: str = ""

    @property
    def citation(self) -> str:
        """Authors and year, as a Markdown link where the paper is online."""
        text = f"{self.authors} ({self.year})"
        return f"[{text}]({self.url})" if self.url else text

    @property
    def entry(self) -> str:
        """The paper as an entry of a list, in Markdown."""
        return f"{self.citation}: *{self.title}*. {self.venue}."


def _arxiv(number: str) -> str:
    return f"https://arxiv.org/abs/{number}"


REFERENCES = (
    Reference(
        "Belrose et al.", 2023, "LEACE: Perfect linear concept erasure in closed form", "NeurIPS", _arxiv("2306.03819")
    ),
    Reference(
        "Bush et al.",
        2025,
        "Interpreting Emergent Planning in Model-Free Reinforcement Learning",
        "ICLR",
        _arxiv("2504.01871"),
    ),
    Reference(
        "Cunningham et al.",
        2023,
        "Sparse Autoencoders Find Highly Interpretable Features in Language Models",
        "ICLR 2024",
        _arxiv("2309.08600"),
    ),
    Reference(
        "Espeholt et al.",
        2018,
        "IMPALA: Scalable Distributed Deep-RL with Importance Weighted Actor-Learner Architectures",
        "ICML",
        _arxiv("1802.01561"),
    ),
    Reference(
        "Geiger et al.",
        2024,
        "Finding Alignments Between Interpretable Causal Variables and Distributed Neural Representations",
        "CLeaR",
        _arxiv("2303.02536"),
    ),
    Reference("Guez et al.", 2019, "An investigation of model-free planning", "ICML", _arxiv("1901.03559")),
    Reference(
        "Hewitt and Liang",
        2019,
        "Designing and Interpreting Probes with Control Tasks",
        "EMNLP",
        _arxiv("1909.03368"),
    ),
    Reference("Holm", 1979, "A Simple Sequentially Rejective Multiple Test Procedure", "Scandinavian J. of Statistics"),
    Reference(
        "Langosco et al.",
        2022,
        "Goal Misgeneralization in Deep Reinforcement Learning",
        "ICML",
        _arxiv("2105.14111"),
    ),
    Reference(
        "Mini et al.",
        2023,
        "Understanding and Controlling a Maze-Solving Policy Network",
        "arXiv",
        _arxiv("2310.08043"),
    ),
    Reference("Sundararajan et al.", 2017, "Axiomatic Attribution for Deep Networks", "ICML", _arxiv("1703.01365")),
    Reference(
        "Taufeeque et al.",
        2024,
        "Planning in a recurrent neural network that plays Sokoban",
        "arXiv",
        _arxiv("2407.15421"),
    ),
    Reference("Wilson", 1927, "Probable Inference, the Law of Succession, and Statistical Inference", "J. of the ASA"),
)

_CITATION = re.compile(r"([A-Z][\w-]+)(?: et al\.,? \(?| and [A-Z][\w-]+,? \(?|, )(\d{4})\b")


def cited(text: str) -> list[Reference]:
    """Return the papers that a text cites, in order and each once.

    Raises:
        GoalmazeError: a paper is not among `REFERENCES`.
    """
    known = {(one.authors.split()[0], one.year): one for one in REFERENCES}
    # A dictionary keeps the order and drops repetitions.
    papers: dict[Reference, None] = {}
    for author, year in _CITATION.findall(text):
        if (author, int(year)) not in known:
            raise GoalmazeError(f"a docstring cites {author} {year}: add the paper to REFERENCES in {__name__}")
        papers[known[author, int(year)]] = None
    return list(papers)


def bibliography(papers: Iterable[Reference]) -> str:
    """Return a list of papers in Markdown, by author; each once."""
    return "\n".join(f"- {paper.entry}" for paper in sorted(set(papers), key=lambda one: (one.authors, one.year)))
