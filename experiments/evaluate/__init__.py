"""`goalmaze eval`: behaviour in and out of distribution, goal inference, and a regression of choices."""
