"""`goalmaze train --seeds`: many agents of one recipe in one run folder."""
