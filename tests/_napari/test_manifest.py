"""What we contribute to napari, as the installed npe2 understands it."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from tests._napari.conftest import MANIFEST

if TYPE_CHECKING:
    from npe2 import PluginManager, PluginManifest

NPE2 = tuple(int(part) for part in version("npe2").split(".")[:2])
SETTINGS = {
    "model": "starter",
    "device": "auto",
    "prefetch_slices": 8,
    "memory_mb": 1024,
    "autosave": True,
    "largest_component": False,
    "fill_holes": False,
}


def test_the_manifest_loads_without_warnings() -> None:
    from npe2 import PluginManifest

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manifest = PluginManifest.from_file(MANIFEST)
    assert (manifest.name, manifest.display_name) == ("napari-samri", "SAMRI")


def test_the_installed_distribution_has_it() -> None:
    from npe2 import PluginManifest

    assert PluginManifest.from_distribution("napari-samri").display_name == "SAMRI"


def test_every_contribution_is_a_command_that_can_be_imported(manifest: PluginManifest) -> None:
    from npe2.manifest.utils import import_python_name

    contributions = manifest.contributions
    commands = {command.id: command for command in contributions.commands}
    used = [item.command for items in contributions.menus.values() for item in items]
    for kind in ("readers", "writers", "widgets", "sample_data"):
        used += [item.command for item in getattr(contributions, kind)]
    assert set(used) == set(commands)
    for command in commands.values():
        room = command.python_name.split(":")[0]
        if "_qt" not in room:  # needs a Qt binding
            assert callable(import_python_name(command.python_name))


def test_readers_and_writers_are_no_entries_of_the_command_palette(
    manifest: PluginManifest,
) -> None:
    enablement = {command.id: command.enablement for command in manifest.contributions.commands}
    assert enablement["napari-samri.read"] == enablement["napari-samri.write"] == "False"


def test_menus_are_open_to_contributions(manifest: PluginManifest) -> None:
    from napari._app_model.constants._menus import is_menu_contributable

    menus = manifest.contributions.menus
    assert set(menus) == {
        "napari/layers/segment",
        "napari/layers/annotate",
        "napari/file/io_utilities",
    }
    assert all(map(is_menu_contributable, menus))


@pytest.mark.parametrize(
    "name", ["a.nii", "a.nii.gz", "A.NII.GZ", "1.dcm", "a.IMA", "1.2.840.113.7", "1.3.12.2"]
)
def test_names_of_volumes_are_ours(plugins: PluginManager, name: str) -> None:
    [reader] = plugins.iter_compatible_readers([f"folder/{name}"])
    assert reader.command == "napari-samri.read"


@pytest.mark.parametrize("name", ["a.tif", "a.txt", "a", "a.gz", "1.1.7", "a.nii.png"])
def test_other_names_are_not(plugins: PluginManager, name: str) -> None:
    assert not list(plugins.iter_compatible_readers([name]))


def test_the_preferences_page(manifest: PluginManifest) -> None:
    if NPE2 < (0, 9):
        assert not hasattr(manifest.contributions, "configurations")
        return
    [(key, page)] = manifest.contributions.configurations.items()
    assert key == "segment"
    assert {name: item.default for name, item in page.properties.items()} == SETTINGS
    assert all(item.title and item.description for item in page.properties.values())


@pytest.mark.usefixtures("plugins")
def test_napari_makes_settings_of_it() -> None:
    from napari import settings

    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no settings for plugins")
    from napari.settings._plugin_config_generator import plugin_configuration_generator

    model = plugin_configuration_generator()["napari-samri"](config_path=None)
    assert model.segment.model_dump() == SETTINGS
    model.segment.prefetch_slices = 64
    with pytest.raises(ValueError, match="64"):
        model.segment.prefetch_slices = 65


WIDGETS = {
    "napari-samri.segment": ("Segment", "SegmentWidget"),
    "napari-samri.embed": ("Embed", "EmbedWidget"),
    "napari-samri.finetune": ("Fine-tune", "FinetuneWidget"),
}


def test_the_widgets_are_found(manifest: PluginManifest) -> None:
    from npe2.manifest.utils import import_python_name

    widgets = {each.command: each.display_name for each in manifest.contributions.widgets}
    assert widgets == {command: name for command, (name, _) in WIDGETS.items()}
    pytest.importorskip("qtpy.QtWidgets", reason="no Qt binding here", exc_type=ImportError)
    for command in manifest.contributions.commands:
        if command.id in WIDGETS:
            found = import_python_name(command.python_name)
            assert found.__name__ == WIDGETS[command.id][1]
