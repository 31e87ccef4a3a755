"""ControllerRevisions: what of a group's spec makes a revision, and how the revision is called.

A revision is called after a hash of its data, so two operators that agree on these bytes agree on the revision, and a
take-over restarts nothing. The hash is the 32-bit FNV-1 of the data and of a collision count, written in an alphabet
without vowels. Replicas, `minReadySeconds` and schedule policies are not part of a revision.

All functions are pure.
"""

from __future__ import annotations

from typing import Any, Final

from tikv_operator.common.gojson import go_json
from tikv_operator.common.gotemplate import metadata_tree, template_spec_tree
from tikv_operator.common.instances import Group

__all__ = ["canonical_data", "revision_data", "revision_hash"]

_FNV_OFFSET: Final = 2166136261
_FNV_PRIME: Final = 16777619
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


def revision_data(group: Group) -> bytes:
    """Return the data of the revision that a group's spec amounts to, as JSON with sorted keys."""
    template = {
        "$patch": "replace",
        "metadata": metadata_tree(group.spec.template.metadata),
        "spec": template_spec_tree(group.spec.template.spec),
    }
    spec: dict[str, Any] = {"template": template}
    if group.spec.features:
        spec["features"] = group.spec.features
    return canonical_data({"spec": spec})


def canonical_data(data: Any) -> bytes:
    """Return the data of a revision that was read from the API server in the form of `revision_data`, to compare the two."""
    return go_json(data, sort_maps=True).encode()


def revision_hash(data: bytes, collision_count: int = 0) -> str:
    """Return the hash of a revision's data.

    Args:
        collision_count: how many other revisions were found under the names that lower counts gave.
    """
    digest = _FNV_OFFSET
    for byte in data + str(collision_count).encode():
        digest = (digest * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(digest))
