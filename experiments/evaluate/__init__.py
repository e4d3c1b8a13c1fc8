"""`goalmaze eval`: behaviour in and out of distribution, goal inference, decision regression."""
