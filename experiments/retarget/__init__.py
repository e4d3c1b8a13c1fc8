"""`goalmaze retarget`: comparison, benchmark, automatic search and ledger of steering methods."""
