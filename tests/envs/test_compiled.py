"""The counter-based random numbers against published values and simple statistics."""

import numpy as np

from goalmaze.envs.jit.counter_rng import below, draw, stream, uniform, uniforms


def test_draws_are_the_published_splitmix64_numbers() -> None:
    rng = np.array([1234567], np.uint64)
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [int(draw(rng)) for _ in published] == published


def test_below_and_uniform_fill_their_range_evenly() -> None:
    rng = np.array([5], np.uint64)
    counts = np.bincount([below(rng, 6) for _ in range(12_000)], minlength=6)
    assert len(counts) == 6
    assert ((counts - 2000) ** 2 / 2000).sum() < 25  # chi-square with 5 degrees of freedom: p < 0.0002
    drawn = np.array([uniform(rng) for _ in range(12_000)])
    assert 0 <= drawn.min() < 0.001
    assert 0.999 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 12_000)


def test_streams_differ_in_each_of_their_four_numbers_and_in_their_order() -> None:
    addresses = [(a, b, c, d) for a in range(4) for b in range(4) for c in range(4) for d in range(4)]
    assert len({int(stream(*address)) for address in addresses}) == len(addresses)


def test_uniforms_of_a_row_do_not_depend_on_the_batch() -> None:
    whole, part = np.empty(100), np.empty(3)
    uniforms(8, np.arange(100), 4, whole)
    uniforms(8, np.array([70, 2, 31]), 4, part)
    assert part.tolist() == whole[[70, 2, 31]].tolist()
    other = np.empty(100)
    uniforms(8, np.arange(100), 5, other)
    assert not np.any(other == whole)
    assert abs(np.corrcoef(whole, other)[0, 1]) < 0.5
