"""What is particular to one kind of instance: names, folders inside of its pod, and what restarts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tikv_operator.api import PDTemplateSpec, TiKVTemplateSpec

__all__ = ["CONFIG_FILE", "CONFIG_VOLUME", "DATA_MOUNT", "TLS_VOLUME", "InstanceComponent"]

CONFIG_VOLUME: Final = "ti-config"
CONFIG_FILE: Final = "config.toml"

DATA_MOUNT: Final = "data"
"""The type of a volume's mount that holds a component's data."""

TLS_VOLUME: Final = "ti-tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceComponent:
    """See the module docstring.

    Attributes:
        name: the component as names, labels and its container call it, e.g. `tikv`.
        image: what runs where the user names none.
        config: the folder of its configuration file.
        data: the folder of its data, where the user names none.
        tls: the folder of its certificates.
        template: the type of the part of its spec that comes from its group.
        restarting_features: features that a running pod can't take over.
        in_place: fields of the template that never restart a pod, besides those that no component's pod is restarted for.
        ports: the ports that its server has where the user names none.
    """

    name: str
    image: str
    config: str
    data: str
    tls: str
    template: type[TiKVTemplateSpec | PDTemplateSpec]
    restarting_features: frozenset[str]
    in_place: tuple[str, ...] = ()
    ports: Mapping[str, int]

    @property
    def config_file(self) -> str:
        return f"{self.config}/{CONFIG_FILE}"

    @property
    def tls_ca(self) -> str:
        return f"{self.tls}/ca.crt"

    @property
    def tls_cert(self) -> str:
        return f"{self.tls}/tls.crt"

    @property
    def tls_key(self) -> str:
        return f"{self.tls}/tls.key"
