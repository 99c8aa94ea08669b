"""
Many images in one
==================

``vl_imarray`` and ``vl_imarraysc`` of VLFeat put images side by side: as they are, or each scaled from black to
white by itself.
"""

# sphinx_gallery_alt = "Sixteen tiles: waves whose contrast grows from left to right and from top to bottom"
import numpy as np

from pyconvnet import view

i, j = np.mgrid[:24, :24] / 24
waves = np.stack(
    [0.5 + 0.5 * k / 16 * np.sin(6 * i + k * j) for k in range(1, 17)], axis=-1
)
view.picture(view.vl_imarray(waves, spacing=2), vmin=0, vmax=1).figure

# %%
# Each tile scaled by itself: contrast no longer tells them apart, and shapes are easier to see.

# sphinx_gallery_alt = "The same sixteen tiles, all from black to white"
view.picture(view.vl_imarraysc(waves, spacing=2)).figure

# %%
# All scaled alike, in a layout of two rows:

# sphinx_gallery_alt = "The sixteen tiles in two rows of eight, with their contrast"
view.picture(view.vl_imarraysc(waves, uniform=True, spacing=2, layout=(2, 8))).figure

# %%
# Images in colour are height x width x 3 x number.

# sphinx_gallery_alt = "Four tiles in colour: red to green, with more and more blue"
colours = np.stack(
    [np.dstack([i, j, np.full_like(i, k / 3)]) for k in range(4)], axis=-1
)
view.picture(view.vl_imarray(colours, spacing=2, layout=(1, 4))).figure
