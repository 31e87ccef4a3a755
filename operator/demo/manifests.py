"""Manifests from YAML files, as plain dicts, in the order in which they are written.

Reading is strict about what every manifest needs (apiVersion, kind, a name) and leaves the rest to the API server.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ManifestError", "load"]

_MAX_BYTES = 4 * 1024 * 1024


class ManifestError(Exception):
    """A file that is missing, not YAML, or not a Kubernetes manifest; one line for a person."""


def load(paths: Iterable[Path], *, namespace: str = "default") -> list[dict[str, Any]]:
    """Read all manifests of the files; of a folder, its `*.yaml` and `*.yml` files in order of their names.

    A manifest without a namespace gets `namespace`.

    Raises:
        ManifestError: a file cannot be read, or holds something that is no manifest.
    """
    manifests = [manifest for path in paths for file in _files(path) for manifest in _read(file)]
    for manifest in manifests:
        manifest["metadata"].setdefault("namespace", namespace)
    return manifests


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in {".yaml", ".yml"})
    return [file for file in found if file.stem != "kustomization"]


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        if file.stat().st_size > _MAX_BYTES:
            msg = f"{file}: larger than {_MAX_BYTES} bytes"
            raise ManifestError(msg)
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except OSError as error:
        msg = f"{file}: {error.strerror or error}"
        raise ManifestError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{file}: not YAML: {' '.join(str(error).split())}"
        raise ManifestError(msg) from error
    return [
        _checked(document, f"{file}, document {number}")
        for number, document in enumerate(documents, start=1)
        if document is not None
    ]


def _checked(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        msg = f"{where}: not a Kubernetes manifest but {type(document).__name__}"
        raise ManifestError(msg)
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str) or not document[field]:
            msg = f"{where}: {field} is missing"
            raise ManifestError(msg)
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        msg = f"{where}: metadata.name is missing"
        raise ManifestError(msg)
    return document
