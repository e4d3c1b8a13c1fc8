"""How runs end that were trained against a reading: other readings, a registered rule, results."""
