"""The catalogue against its published sources, and models that come from elsewhere."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_samri.errors import ModelError
from napari_samri.models import find_model, known_models, register_model, registry
from napari_samri.models.preprocessing import known_preprocessings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAM = "https://dl.fbaipublicfiles.com/segment_anything"
# As their publishers, and projects that pinned them, give them.
SOURCES = {
    "sam-vit-b": (
        f"{SAM}/sam_vit_b_01ec64.pth",
        "sha256:ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    "sam-vit-l": (
        f"{SAM}/sam_vit_l_0b3195.pth",
        "sha256:3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    "sam-vit-h": (
        f"{SAM}/sam_vit_h_4b8939.pth",
        "sha256:a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    "mobilesam": (
        "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        "sha256:6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    ),
    "medicosam": (
        "https://owncloud.gwdg.de/index.php/s/f5Ol4FrjPQWfjUF/download",
        "xxh128:40169f1e3c03a4b67bff58249c176d92",
    ),
    "medsam": ("https://zenodo.org/records/10689643/files/medsam_vit_b.pth", None),
}
BY_HAND = ("samri-box", "samri-bp", "samri-box-zero", "samri-bp-zero")
ARCHITECTURES = {
    "vit_b": {"sam-vit-b", "medsam", "medicosam", *BY_HAND},
    "vit_l": {"sam-vit-l"},
    "vit_h": {"sam-vit-h"},
    "mobile_sam": {"mobilesam"},
    "lite_medsam": {"litemedsam"},
    "starter": {"starter"},
}


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.MODELS, "_registered", [])


@pytest.mark.parametrize("name", SOURCES)
def test_sources_and_digests(name: str) -> None:
    download = find_model(name).download
    assert download is not None
    assert (download.url, download.digest) == SOURCES[name]


@pytest.mark.parametrize("name", BY_HAND)
def test_samri_is_downloaded_by_hand(name: str) -> None:
    model = find_model(name)
    assert model.download is not None
    assert model.download.url is None
    assert model.download.page == "https://espace.library.uq.edu.au/view/UQ:cadac84"
    assert model.score_is_stale


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures(architecture: str) -> None:
    models = known_models().values()
    found = {model.id for model in models if model.architecture == architecture}
    assert found == ARCHITECTURES[architecture]


def test_the_catalogue_is_consistent() -> None:
    models = known_models()
    assert models.keys() == set().union(*ARCHITECTURES.values())
    assert next(iter(models)) == "starter"
    files = [model.download.filename for model in models.values() if model.download]
    assert len(files) == len(set(files))
    assert {model.family for model in models.values()} <= known_preprocessings().keys()
    unavailable = {model.id for model in models.values() if not model.available}
    assert unavailable == set()
    sizes = {m.id: m.download.size for m in models.values() if m.download and m.download.size}
    assert sizes == {"sam-vit-b": 375_042_383, "mobilesam": 40_728_226}


def test_specs_become_json() -> None:
    rows = json.loads(json.dumps([model.as_dict() for model in known_models().values()]))
    digests = {row["id"]: row["download"]["digest"] for row in rows if row["download"]}
    assert digests["sam-vit-b"] == SOURCES["sam-vit-b"][1]


@pytest.mark.parametrize(
    ("typed", "offered"), [("sam-vitb", "sam-vit-b"), ("samri_box", "samri-box"), ("xyzzy", None)]
)
def test_an_unknown_model_offers_near_ones(typed: str, offered: str | None) -> None:
    with pytest.raises(ModelError, match=f"'{typed}'") as caught:
        find_model(typed)
    message = str(caught.value)
    assert all(name in message for name in known_models())
    assert ("Did you mean" in message) is (offered is not None)
    if offered:
        assert offered in message.split("Known models")[0]


def test_registered_models_are_found() -> None:
    mine = replace(find_model("sam-vit-b"), id="mine", title="Mine")
    register_model(mine)
    register_model(mine)
    assert find_model("mine") is mine
    assert list(known_models())[-1] == "mine"


def test_an_id_belongs_to_one_model() -> None:
    with pytest.raises(ModelError, match="sam-vit-b"):
        register_model(replace(find_model("sam-vit-b"), title="Another"))
    assert find_model("sam-vit-b").title == "SAM ViT-B"


PLUGIN = """
from napari_samri.models import Download, ModelSpec

def make(name):
    return ModelSpec(
        id=name, title=name, family="sam", architecture="vit_b", licence="", description="",
        download=Download(filename=f"{name}.pth", url="http://host.invalid/x"),
    )

one = make("plugin-one")
def several():
    return [make("plugin-two"), make("plugin-three")]
thief = make("sam-vit-b")
numbers = [1, make("plugin-four"), "starter"]
text = "abc"
nothing = None
def fails():
    raise RuntimeError("a fault of the plugin")
"""


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., None]:
    """Return a function that installs a package with entry points, as pip would lay it out."""
    module = f"plugin_{abs(hash(request.node.name))}"

    def install(*targets: str) -> None:
        (tmp_path / f"{module}.py").write_text(PLUGIN)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = (f"e{i} = {target.replace('here', module)}" for i, target in enumerate(targets))
        (info / "entry_points.txt").write_text("\n".join(["[napari_samri.models]", *lines, ""]))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(registry.MODELS, "_found", None)  # nothing has been looked for
        request.addfinalizer(lambda: sys.modules.pop(module, None))

    return install


def test_packages_bring_models(install: Callable[..., None]) -> None:
    install("here:one", "here:several")
    models = known_models()
    assert list(models)[-3:] == ["plugin-one", "plugin-two", "plugin-three"]
    assert find_model("plugin-two").download is not None


def test_a_package_cannot_take_the_place_of_a_known_model(install: Callable[..., None]) -> None:
    install("here:thief")
    assert find_model("sam-vit-b").title == "SAM ViT-B"


@pytest.mark.parametrize(
    "broken",
    ["no_such_module:x", "here:absent", "here:fails", "here:text", "here:nothing", "here:numbers"],
)
def test_a_broken_package_does_not_take_ours_down(
    install: Callable[..., None], broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    ours = set(known_models())
    install(broken, "here:one")
    with caplog.at_level(logging.WARNING):
        models = known_models()
    assert ours | {"plugin-one"} <= models.keys()
    assert all(isinstance(name, str) and model.id == name for name, model in models.items())
    assert "entry point" in caplog.text
    assert find_model("plugin-one").title == "plugin-one"
