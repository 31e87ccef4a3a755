"""How the leader of PD hands over before its server goes."""

from __future__ import annotations

from collections.abc import Iterable

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from controller_runtime.task import Result, retry, wait
from tikv_operator.api import PD
from tikv_operator.common import names
from tikv_operator.common.keys import ANNOTATION_DEFER_DELETE, LABEL_INSTANCE_REVISION
from tikv_operator.common.pods import is_terminating, ready_since
from tikv_operator.pd.tasks.state import PDContext
from tikv_operator.pdclient import Member, Members, PDError, PDHandle

__all__ = ["hand_over"]


async def hand_over(ctx: PDContext, handle: PDHandle, members: Members, healthy: frozenset[str]) -> Result:
    """Ask PD to let another server lead; return what is to be waited for.

    Candidates are members that are healthy, whose pods are ready and stay. Of those, one that is up to date comes first, so that
    leadership moves no more often than it must; then one with a higher priority of the user's; then the longest ready. It must
    have loaded its regions, as far as it can be asked: a leader that hasn't would answer nobody for a while.
    """
    for candidate, pod in await _candidates(ctx, members, healthy):
        if not await _has_loaded(ctx, handle, candidate):
            continue
        await handle.client.transfer_leader(candidate.name)
        handle.hurry(members=True)
        handle.refresh(members=True)
        message = f"leadership of pd goes from {ctx.key.name} to {candidate.name}"
        ctx.events.normal(ctx.instance, "TransferringLeader", message)
        return wait(f"leadership is being transferred to {candidate.name}, whose pod {pod} is ready")
    handle.hurry(members=True)
    ctx.problem("NoTransferee", "no healthy transferee available: no other pd is ready to lead")
    return retry(ctx.settings.requeue, "no healthy transferee available")


async def _candidates(ctx: PDContext, members: Members, healthy: frozenset[str]) -> list[tuple[Member, str]]:
    ranked = []
    by_name = {member.name: member for member in members.members if member.id in healthy}
    for peer in ctx.peers:
        member = by_name.get(peer.metadata.name)
        if member is None or peer.key == ctx.key or _goes(peer):
            continue
        pod = await ctx.client.find(Pod, ObjectKey(peer.metadata.namespace, names.pd_pod_name(peer.metadata.name)))
        since = ready_since(pod)
        if pod is None or since is None or is_terminating(pod):
            continue
        label = LABEL_INSTANCE_REVISION
        outdated = pod.metadata.labels.get(label) != peer.metadata.labels.get(label) or _differs(ctx, peer)
        ranked.append((outdated, -member.leader_priority, since, peer.metadata.name, member, pod.metadata.name))
    return [(member, pod) for *_, member, pod in sorted(ranked, key=lambda entry: entry[:4])]


def _goes(peer: PD) -> bool:
    return peer.metadata.deletion_timestamp is not None or ANNOTATION_DEFER_DELETE in peer.metadata.annotations


def _differs(ctx: PDContext, peer: PD) -> bool:
    """Whether a peer's group is going to restart it, too: it isn't at the revision this one is moved to."""
    own, other = ctx.instance.metadata.labels, peer.metadata.labels
    if own.get("pingcap.com/group") != other.get("pingcap.com/group"):
        return False
    return own.get(LABEL_INSTANCE_REVISION) != other.get(LABEL_INSTANCE_REVISION)


async def _has_loaded(ctx: PDContext, handle: PDHandle, member: Member) -> bool:
    """Ask a server whether it has loaded its regions. One that can't be asked is judged by its health alone."""
    urls: Iterable[str] = member.client_urls
    for url in urls:
        try:
            return await handle.client.member_ready(url, member.version)
        except PDError as error:
            ctx.log.debug("a pd server cannot be asked whether it is ready", member=member.name, error=error.message)
    return True
