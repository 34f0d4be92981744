"""Annotate from napari's console, a script or a notebook: what the Segment widget does, in Python.

    python examples/annotate_in_console.py               # with a window
    python examples/annotate_in_console.py --no-window   # without one

The labels are written to `phantom_labels.nii.gz` in the current folder. In napari's console the
viewer is there already: leave out the cell that makes one.
"""

# %% What is needed
import sys
from pathlib import Path

import napari
import numpy as np
from napari.components import ViewerModel
from npe2 import PluginManager

from napari_samri import start_session

WINDOW = "--no-window" not in sys.argv

# %% A viewer
if WINDOW:
    viewer = napari.Viewer()
else:
    PluginManager.instance().discover()  # a window does this by itself
    viewer = ViewerModel()

# %% An image: a made-up head. Of your own: viewer.open("t1.nii.gz", plugin="napari-samri")
image = viewer.open_sample("napari-samri", "phantom")[0]

# %% A session. The model loads in a process of its own; wait() waits until it is there.
annotation = start_session(viewer, image, model="starter")
annotation.wait(300)
session = annotation.session

# %% First object: two boxes on slice 10, first and last pixel (x, y), are two parts of one label
session.set_table(session.document.table.change(1, name="ventricles"))
annotation.go_to(10)
annotation.add_box(66, 61, 78, 102)
annotation.add_box(81, 63, 93, 103)
annotation.wait()
print("ventricles:", np.count_nonzero(session.preview.mask), "pixels")
session.commit()

# %% Next object: a box, and points off the object
session.next_object()
session.set_table(session.document.table.change(2, name="lesion"))
annotation.add_box(45, 50, 57, 64)
annotation.add_points([(43, 57), (60, 57)], sign="negative")
annotation.wait()
print("lesion:", np.count_nonzero(session.preview.mask), "pixels")
session.commit()

# %% Undo and redo go through prompts, commits and labels alike
session.undo()  # the commit: the points and the box are there again
session.undo()  # the points
annotation.wait()
print("lesion without points:", np.count_nonzero(session.preview.mask), "pixels")
session.redo()
session.redo()

# %% The same object on the next slice; a label that is locked is safe meanwhile
session.set_table(session.document.table.change(1, locked=True))
annotation.go_to(11)
annotation.add_box(45, 50, 57, 64)
annotation.wait()
session.commit()

# %% Volumes, and the file: it lies exactly on the image's grid
voxel_mm3 = np.prod(session.volume.spacing_mm)
for label in session.document.table:
    volume_ml = np.count_nonzero(session.labels == label.id) * voxel_mm3 / 1000
    print(f"{label.name}: {volume_ml:.2f} ml")
annotation.save(Path("phantom_labels.nii.gz"))

# %% The labels stay in the viewer
if WINDOW:
    napari.run()
annotation.close()
