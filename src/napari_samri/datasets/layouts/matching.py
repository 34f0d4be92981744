"""Images and labels by a key that both names share."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Key = TypeVar("Key", bound=tuple[object, ...])
ADVICE = "Add the missing file, or name the pairs in a CSV."


def by_key(paths: Iterable[Path], key: Callable[[Path], Key | None]) -> dict[Key, list[Path]]:
    """Group paths by a key; those whose key is None are left out."""
    result: dict[Key, list[Path]] = defaultdict(list)
    for path in paths:
        if (found := key(path)) is not None:
            result[found].append(path)
    return dict(result)


def match(
    images: Mapping[Key, list[Path]], labels: Mapping[Key, list[Path]], root: Path
) -> tuple[list[tuple[Key, Path, Path]], list[str]]:
    """Match images with the one label file of the same key; several images may share it.

    Returns
    -------
    list of (key, image, labels)
    list of str
        Problems: images without labels, labels without an image, too many label files.
    """
    matched, problems = [], []
    for key, found in images.items():
        if len(labels.get(key, ())) == 1:
            matched += [(key, image, labels[key][0]) for image in found]
        elif key in labels:
            names = ", ".join(shown(path, root) for path in labels[key])
            problems += [
                f"{shown(image, root)}: {len(labels[key])} label files fit ({names}); expected "
                "one. Name the pairs in a CSV."
                for image in found
            ]
        else:
            problems += [f"{shown(image, root)}: has no labels. {ADVICE}" for image in found]
    for key in labels.keys() - images.keys():
        problems += [
            f"{shown(path, root)}: labels without an image. {ADVICE}" for path in labels[key]
        ]
    return matched, sorted(problems)


def shown(path: Path, root: Path) -> str:
    """Return a path as problems name it: relative to the root."""
    return path.relative_to(root).as_posix()
