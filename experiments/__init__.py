"""Questions: configuration in, typed result out; and the command line that asks them."""
