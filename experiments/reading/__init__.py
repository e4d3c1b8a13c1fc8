"""What can be read in an agent: by site, by channel and along its training, beside the steering that tests it."""
