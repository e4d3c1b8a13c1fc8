"""The interactive page: its files, and what `goalmaze site` and `goalmaze live` compute for it alike."""
