"""TensorBoard's event files, read back: scalars, pictures, and a resume that hides later steps."""

import cv2
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raydino.tracking import TRACKERS, show_picture


def test_scalars_and_pictures(tmp_path):
    cv2.imwrite(str(tmp_path / "crops.png"), np.full((5, 7, 3), (0, 0, 255), np.uint8))  # red, in OpenCV's order
    tracker = TRACKERS.get("tensorboard")(tmp_path)
    for step in (1, 2, 3):
        tracker.log(step, {"loss": float(step)})
    show_picture([tracker, object()], 3, tmp_path / "crops.png")
    tracker.close()
    resumed = TRACKERS.get("tensorboard")(tmp_path, resume_step=2)
    resumed.log(3, {"loss": 9.0})
    resumed.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 1.0), (2, 2.0), (3, 9.0)]
    (tmp_path / "shown.png").write_bytes(TrackerImages(tmp_path).newest())
    shown = cv2.imread(str(tmp_path / "shown.png"))
    assert shown.shape == (5, 7, 3)
    assert (shown == (0, 0, 255)).all()


class TrackerImages:
    """The pictures of every event file; the resume above hides that of step 3, so files are read one by one."""

    def __init__(self, directory):
        self._files = sorted((directory / "tensorboard").iterdir())

    def newest(self) -> bytes:
        for file in reversed(self._files):
            events = EventAccumulator(str(file))
            events.Reload()
            if "crops" in events.Tags()["images"]:
                return events.Images("crops")[-1].encoded_image_string
        raise AssertionError("no picture was written")
