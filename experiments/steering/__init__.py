"""Retargeting measured: the benchmark, the automatic search, the ledger of methods and their pictures."""
