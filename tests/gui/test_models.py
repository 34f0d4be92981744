"""The list of models while a window is open: new ones come, what is chosen stays."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.models import add_tuned, models_changed, remove_tuned
from tests.session.fakes import make_info
from tests.tiny import tiny_tensors
from tests.tuning import make_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gui.conftest import Person

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    # Of napari and its own dependencies, which we cannot mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def settle() -> None:
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    for _ in range(5):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()


def ids(panel: Any) -> list[str]:
    return [panel.models.itemData(i) for i in range(panel.models.count())]


@pytest.fixture
def panel() -> Iterator[Any]:
    from qtpy.QtWidgets import QApplication

    from napari_samri._qt.model_panel import ModelPanel

    application = QApplication.instance() or QApplication([])
    panel = ModelPanel()
    panel.show()
    yield panel
    panel.close()
    panel.deleteLater()
    del application
    settle()


def test_a_model_says_what_it_cannot_do(panel: Any) -> None:
    """Points that were not trained, scores that mean nothing, and what was assumed of its file."""
    info = make_info(takes_points=False, score_is_stale=True, notes="Taken for a MedSAM.")
    panel.show_info(info)
    said = panel.status.text()
    for part in ("not trained with points", "scores mean nothing", "Taken for a MedSAM."):
        assert part in said
    panel.show_info(make_info())
    assert "points" not in panel.status.text()


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    return make_decoder(tmp_path / "best.safetensors", tiny_tensors())


def test_new_models_appear_at_once_and_the_chosen_one_stays(panel: Any, decoder: Path) -> None:
    chosen: list[str] = []
    panel.chosen.connect(chosen.append)
    panel.show_model("/data/mine.pth")
    panel.show_model("sam-vit-b")
    before = ids(panel)
    spec = add_tuned(decoder)
    assert ids(panel) == [*before[:-1], spec.id, "/data/mine.pth"]
    assert panel.models.currentData() == "sam-vit-b"
    # Its base has to be fetched first.
    assert panel.models.itemText(panel.models.findData(spec.id)) == "Knee menisci (download)"
    panel.show_model(spec.id)
    add_tuned(decoder)
    remove_tuned(spec.id)
    # What was chosen is still running, though its file has gone.
    assert panel.models.currentData() == spec.id
    panel.show_model("starter")
    assert chosen == []


def test_models_of_other_processes_appear_when_the_list_opens(panel: Any, decoder: Path) -> None:
    from napari_samri.models import models_dir

    folder = models_dir() / "tuned"
    folder.mkdir(parents=True)
    (folder / "other.safetensors").write_bytes(decoder.read_bytes())
    assert "tuned/other" not in ids(panel)
    panel.models.showPopup()
    settle()
    panel.models.hidePopup()
    assert "tuned/other" in ids(panel)


def test_news_may_come_on_any_thread(panel: Any, decoder: Path) -> None:
    threads = []
    panel.models.model().rowsInserted.connect(lambda *_: threads.append(threading.get_ident()))
    worker = threading.Thread(target=add_tuned, args=(decoder,))
    worker.start()
    worker.join()
    assert "tuned/knee-menisci" not in ids(panel), "changed on a thread that is not the window's"
    settle()
    assert "tuned/knee-menisci" in ids(panel)
    assert set(threads) == {threading.get_ident()}


def test_a_panel_that_has_gone_hears_nothing_and_is_not_kept() -> None:
    from qtpy.QtWidgets import QApplication

    from napari_samri._qt.model_panel import ModelPanel

    application = QApplication.instance() or QApplication([])
    settle()
    models_changed.emit()  # which forgets panels of other tests
    before = len(models_changed)
    panel = ModelPanel()
    assert len(models_changed) == before + 1
    panel.deleteLater()
    settle()
    models_changed.emit()  # Qt's part has gone, Python's has not
    kept = weakref.ref(panel)
    del panel, application
    settle()
    assert kept() is None
    models_changed.emit()
    assert len(models_changed) == before


def test_a_tuned_model_is_used_in_the_segment_widget(person: Person, tmp_path: Path) -> None:
    from dataclasses import replace

    from napari_samri.models.loading import load_model
    from napari_samri.models.tuned import card_of, write_decoder

    image = np.random.default_rng(0).normal(size=(12, 40, 50)).astype(np.float32)
    person.widget.current.use_image(person.viewer.add_image(image, name="image"))
    person.until(lambda: person.annotation.scheduler.info, "the model")
    panel = person.widget.models
    starter = load_model("starter", "cpu")
    card = card_of(starter, title="Knees", objective={"name": "x"}, trains_quality=False)
    path = tmp_path / "best.safetensors"
    write_decoder(path, starter.network.state_dict(), replace(card, epochs=2))
    spec = add_tuned(path)
    person.rest()
    assert panel.models.currentData() == "starter"
    index = panel.models.findData(spec.id)
    assert index >= 0
    panel.models.setCurrentIndex(index)
    panel.models.activated.emit(index)
    person.until(lambda: person.annotation.scheduler.info.title == "Knees", "the tuned model")
    assert panel.models.currentData() == spec.id
    assert "Knees on" in panel.status.text()
