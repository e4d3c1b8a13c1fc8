"""`goalmaze site`: a static page that runs the agents in the browser, without a server or a network."""
