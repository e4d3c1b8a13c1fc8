"""Confidence intervals, bootstraps and tests.

scipy.stats is used where it is fast enough. Importing it takes 0.85 s of processor time, a sixth of all that
`goalmaze eval` needs, so modules write `import scipy` and let scipy load `scipy.stats` on first use.
"""
