"""Counterparts of procgen-tools (Mini et al., 2023), with edits that prove they acted instead of hook patches.

| procgen-tools | here |
|---|---|
| `vfield.vector_field`, `patch_utils.compare_patched_vfields` | `vector_fields.vector_field`, `field_change` |
| `patch_utils.cheese_diff_values` with `get_values_diff_patch` | `vectors.cheese_vector`, `top_right_vector` |
| `patch_utils.get_channel_pixel_patch` | `pixels.ClampPixel`, `pixel_of` |
| `patch_utils.get_zero_patch`, `get_mean_patch` | `probes.edits.channels.zero_ablation`, `mean_ablation` |
| `patch_utils.get_random_patch` | `probes.edits.patches.resample_ablation` |
| `patch_utils.get_multiply_patch` | `probes.edits.channels.MultiplyChannels` |
| the retargetability heat maps of the paper | `retargetability.retargetability`, `heat_map` |
"""
