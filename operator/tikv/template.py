"""What a TiKV's pod was made from, and whether it must be made again. Pure functions; see `instance.template`."""

from __future__ import annotations

from controller_runtime.api.k8s import Pod
from tikv_operator.api import TiKV, TiKVTemplateSpec
from tikv_operator.instance import template
from tikv_operator.instance.template import RecordedTemplate, TemplateKeys, template_keys
from tikv_operator.tikv.component import TIKV

__all__ = ["TemplateKeys", "recorded_template", "reloadable", "template_keys"]


def recorded_template(pod: Pod) -> RecordedTemplate[TiKVTemplateSpec] | None:
    """Return what the pod was made from; None if it doesn't say, or not in words we understand."""
    return template.recorded_template(TiKVTemplateSpec, pod)


def reloadable(tikv: TiKV, pod: Pod, known: TemplateKeys | None = None) -> bool:
    """Return whether the pod can become what the TiKV says without being recreated.

    Args:
        known: the metadata that comes from templates; only that is compared. None: it isn't known, compare all.

    Raises:
        OverlayInvalid: a quantity in the overlay is malformed.
    """
    return template.reloadable(TIKV, tikv, pod, known)
