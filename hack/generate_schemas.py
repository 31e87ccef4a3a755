"""Generate `runtime/api/k8s/schemas.json`: built-in types as a CRD may describe them, for fields that hold parts of them.

To add a type, add it to ROOTS and run `make schemas`: that starts the real kube-apiserver, reads what it publishes at
`/openapi/v3`, and writes it down in the words of a CRD.

What is published is written for readers of an API; the schema of a CRD is law. So these are left out:

- descriptions, and hints for strategic merge patches, which custom resources don't have;
- enumerations: a value that the API server of today refuses may be one that the next accepts. TiDB Operator's CRDs have none
  there, either; what is wrong is told when the object that the field goes into is written;
- defaults that nobody declared: the published ones stand at every field that Go always sends, and are its type's zero value. A
  required field that had one could never be missing. A declared default stays (a list that is keyed by it needs it, as the ports
  of a container need their protocol).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from controller_runtime.api.quantity import QUANTITY_PATTERN
from controller_runtime.client.transport import Request
from controller_runtime.envtest import BinaryCluster

Json = dict[str, Any]

ROOTS: Final = ("io.k8s.api.core.v1.PersistentVolumeClaimSpec", "io.k8s.api.core.v1.PodSpec")
DOCUMENT: Final = "/openapi/v3/api/v1"
"""Where the roots are published."""

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "runtime" / "api" / "k8s" / "schemas.json"

KEPT: Final = frozenset(
    {
        "format",
        "required",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
    }
)
LEFT_OUT: Final = frozenset(
    {
        "description",
        "enum",
        "x-kubernetes-patch-merge-key",
        "x-kubernetes-patch-strategy",
        "x-kubernetes-unions",
    }
)
_INT_OR_STRING: Final[Json] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
IN_OTHER_WORDS: Final[Mapping[str, Json]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {**_INT_OR_STRING, "pattern": QUANTITY_PATTERN},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _INT_OR_STRING,
}
"""What a document says with `oneOf`, which a CRD may not."""
UNDECLARED: Final = frozenset(
    {
        ("io.k8s.api.core.v1.AzureDiskVolumeSource", "cachingMode"),
        ("io.k8s.api.core.v1.AzureDiskVolumeSource", "kind"),
    }
)
"""Defaults that name a constant, which TiDB Operator's generator doesn't follow. They would change what its users have stored,
and with it the hash that says whether an instance is up to date."""


class UnknownKeyword(ValueError):
    """A published schema says something of which nobody has decided what it means for a CRD."""


def types_of(document: Json, roots: tuple[str, ...] = ROOTS) -> dict[str, Json]:
    """Return the schemas of the roots and of all that they are made of, by name; parts are still `$ref`s to names.

    Raises:
        UnknownKeyword: a keyword is in none of the tables above; the message says where.
    """
    published = document["components"]["schemas"]
    found: dict[str, Json] = {}
    names = list(roots)
    while names:
        name = names.pop()
        if name not in found:
            found[name] = IN_OTHER_WORDS.get(name) or _written(published[name], name)
            names += _references(found[name])
    return found


def _written(schema: Json, place: str) -> Json:
    """Write a published schema as a CRD says it."""
    written: Json = {}
    for keyword, value in schema.items():
        if keyword in KEPT:
            written[keyword] = value
        elif keyword == "properties":
            written[keyword] = {name: _field(name, schema, place) for name in value}
        elif keyword in ("items", "additionalProperties"):
            written[keyword] = _written(_without_default(value), f"{place}.{keyword}")
        elif keyword == "allOf" and len(value) == 1:  # a reference with something beside it
            written.update(_written(value[0], place))
        elif keyword == "$ref":
            written[keyword] = value.rpartition("/")[2]
        elif keyword == "default":
            written[keyword] = value
        elif keyword not in LEFT_OUT:
            msg = f"{place}: {keyword}"
            raise UnknownKeyword(msg)
    return written


def _field(name: str, owner: Json, place: str) -> Json:
    field = owner["properties"][name]
    declared = name not in owner.get("required", ()) and field.get("default") != {} and (place, name) not in UNDECLARED
    return _written(field if declared else _without_default(field), f"{place}.{name}")


def _without_default(schema: Json) -> Json:
    return {keyword: value for keyword, value in schema.items() if keyword != "default"}


def _references(schema: Json) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"]
    parts = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for part in filter(None, parts):
        yield from _references(part)


async def generate() -> str:
    """Return the text of the file, from a kube-apiserver that is started for it.

    Raises:
        UnknownKeyword: see `types_of`.
    """
    async with BinaryCluster() as cluster:

        async def read(path: str) -> Json:
            answer: Json = orjson.loads((await cluster.transport.request(Request(method="GET", path=path))).body)
            return answer

        version, document = await read("/version"), await read(DOCUMENT)
    return text_of(version["gitVersion"], types_of(document))


def text_of(version: str, types: Mapping[str, Json]) -> str:
    """Return the file's text: a line for each type, so that a new Kubernetes shows as the types that changed."""
    lines = [f"  {json.dumps(name)}: {json.dumps(types[name], sort_keys=True)}" for name in sorted(types)]
    return f'{{"kubernetes": {json.dumps(version)}, "types": {{\n' + ",\n".join(lines) + "\n}}\n"


def main() -> None:
    """Write the file."""
    text = asyncio.run(generate())
    TARGET.write_text(text)
    print(f"{TARGET.relative_to(ROOT)}: {text.count('$ref')} references, {len(text)} bytes")


if __name__ == "__main__":
    main()
