"""Looks through kubeconfig files for everything that can be wrong with them, and says it in one line without secrets.

kubernetes_asyncio does the loading; its own error texts quote whole entries, tokens included. So the files are checked
first: what passes here can fail there only for reasons outside the files.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from controller_runtime.client.errors import ConfigError

__all__ = ["Selection", "select"]

_FILES: Final = (
    ("cluster", "certificate-authority"),
    ("user", "client-certificate"),
    ("user", "client-key"),
    ("user", "tokenFile"),
)
_DATA: Final = (
    ("cluster", "certificate-authority-data"),
    ("user", "client-certificate-data"),
    ("user", "client-key-data"),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The context to use, and what our own code needs from its entries.

    Attributes:
        paths: the files that exist.
        token_file: where the user's token is, if it is in a file.
        renewable: the user authenticates with an exec plugin or an auth provider.
        plugin: the exec plugin's command, or empty.
        impersonation: the headers of `as`, `as-uid`, `as-groups` and `as-user-extra`.
    """

    paths: tuple[Path, ...]
    context: str
    namespace: str
    token_file: Path | None
    renewable: bool
    plugin: str
    impersonation: tuple[tuple[str, str], ...]

    @property
    def source(self) -> str:
        return f"kubeconfig {os.pathsep.join(map(str, self.paths))}, context {self.context!r}"


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Mapping[str, Any]
    path: Path


def select(paths: Sequence[Path], context: str | None) -> Selection:
    """Check the files and find the context.

    Raises:
        ConfigError: see the module docstring.
    """
    existing = tuple(path for path in paths if path.exists())
    if not existing:
        msg = f"kubeconfig {os.pathsep.join(map(str, paths))} does not exist"
        raise ConfigError(msg)
    documents = [(path, _read(path)) for path in existing]
    where = f"kubeconfig {os.pathsep.join(map(str, existing))}"
    current = (document["current-context"] for _, document in documents if document.get("current-context"))
    name = context or next(current, None)
    if not name:
        msg = f"{where}: no context is given, and no current-context is set"
        raise ConfigError(msg)
    contexts = _named(documents, "contexts", "context")
    if name not in contexts:
        msg = f"{where}: no context {name!r}; there is {', '.join(sorted(contexts)) or 'none at all'}"
        raise ConfigError(msg)
    chosen = contexts[name].value
    where = f"{where}, context {name!r}"
    cluster = _referenced(documents, "cluster", chosen, where)
    user = _referenced(documents, "user", chosen, where) if chosen.get("user") else _Entry({}, existing[0])
    server = cluster.value.get("server")
    if not isinstance(server, str) or not server.startswith(("http://", "https://")):
        msg = f"{where}: its cluster has no server URL"
        raise ConfigError(msg)
    _check_files({"cluster": cluster, "user": user}, where)
    token_file = user.value.get("tokenFile") if not user.value.get("token") else None
    return Selection(
        paths=existing,
        context=name,
        namespace=str(chosen.get("namespace") or "default"),
        token_file=_beside(user.path, token_file) if token_file else None,
        renewable="exec" in user.value or "auth-provider" in user.value,
        plugin=_command(user.value.get("exec")),
        impersonation=_impersonation(user.value),
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        msg = f"kubeconfig {path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from None
    except UnicodeDecodeError:
        msg = f"kubeconfig {path} is not text"
        raise ConfigError(msg) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        msg = f"kubeconfig {path} is not valid YAML{line}"
        raise ConfigError(msg) from None
    if not isinstance(document, dict):
        msg = f"kubeconfig {path} is not a mapping"
        raise ConfigError(msg)
    return document


def _named(documents: Sequence[tuple[Path, Mapping[str, Any]]], section: str, inner: str) -> dict[str, _Entry]:
    """Merge a section of all files: of two entries with one name, the first counts."""
    found: dict[str, _Entry] = {}
    for path, document in documents:
        entries = document.get(section) or []
        if not isinstance(entries, list):
            msg = f"kubeconfig {path}: {section} is not a list"
            raise ConfigError(msg)
        names = set()
        for position, entry in enumerate(entries):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                msg = f"kubeconfig {path}: {section}[{position}] has no name"
                raise ConfigError(msg)
            if not isinstance(entry.get(inner) or {}, dict):
                msg = f"kubeconfig {path}: {inner} of {section}[{position}] is not a mapping"
                raise ConfigError(msg)
            if entry["name"] in names:
                msg = f"kubeconfig {path}: two entries {entry['name']!r} in {section}"
                raise ConfigError(msg)
            names.add(entry["name"])
            found.setdefault(entry["name"], _Entry(entry.get(inner) or {}, path))
    return found


def _referenced(
    documents: Sequence[tuple[Path, Mapping[str, Any]]], inner: str, context: Mapping[str, Any], where: str
) -> _Entry:
    name = context.get(inner)
    if not name:
        msg = f"{where} names no {inner}"
        raise ConfigError(msg)
    entries = _named(documents, f"{inner}s", inner)
    if name not in entries:
        msg = f"{where}: no {inner} {name!r}"
        raise ConfigError(msg)
    return entries[name]


def _check_files(entries: Mapping[str, _Entry], where: str) -> None:
    for kind, field in _DATA:
        value = entries[kind].value.get(field)
        if value is None:
            continue
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            msg = f"{where}: {field} of its {kind} is not base64"
            raise ConfigError(msg) from None
    for kind, field in _FILES:
        entry = entries[kind]
        if not entry.value.get(field) or entry.value.get(f"{field}-data"):
            continue
        path = _beside(entry.path, entry.value[field])
        try:
            path.read_bytes()
        except OSError as error:
            msg = f"{where}: {field} {path}: {error.strerror}"
            raise ConfigError(msg) from None


def _beside(kubeconfig: Path, path: Any) -> Path:
    """Resolve a path that is relative to the file that names it."""
    return kubeconfig.absolute().parent / str(path)


def _command(plugin: Any) -> str:
    return str(plugin.get("command") or "") if isinstance(plugin, dict) else ""


def _impersonation(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    if user.get("as"):
        headers.append(("Impersonate-User", str(user["as"])))
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{key}", str(value)) for value in values]
    return tuple(headers)
