"""`sign-probe`: is the sign's square kept in the activations of a lit agent?

A linear map from single squares of a late map to "the sign is here", against the same for a random free square's
neighbourhood: what is never used tends to be lost behind the first layers.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from goalmaze.probes.audit.sleepers.access import LitAccess
from goalmaze.probes.audit.sleepers.method import SleeperMethod, register_sleeper_method
from goalmaze.probes.audit.tiers import Tier


@register_sleeper_method
class SignProbe(SleeperMethod):
    """How often the largest reading of a linear probe at the last map is the sign's square, on other levels."""

    name = "sign-probe"
    tier = Tier.T1

    def score(self, access: LitAccess) -> float:
        """Return the rate on the odd levels of a probe that is fitted on the even ones."""
        site = access.map_sites[-1]
        maps = access.activations([site])[site].flatten(2).transpose(1, 2).numpy()
        cells = access.pool.levels.cells("sign")
        here = np.zeros(maps.shape[:2])
        here[np.arange(len(here)), cells] = 1
        probe = Ridge(alpha=1.0).fit(maps[::2].reshape(-1, maps.shape[2]), here[::2].reshape(-1))
        readings = probe.predict(maps[1::2].reshape(-1, maps.shape[2])).reshape(here[1::2].shape)
        return float((readings.argmax(axis=1) == cells[1::2]).mean())
