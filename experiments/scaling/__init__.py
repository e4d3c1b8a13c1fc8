"""Laws of scale: predict the regret and the preference of large agents from small ones, on rows that were sealed."""
