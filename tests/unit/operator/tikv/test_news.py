from __future__ import annotations

import pytest

from tikv_operator.tikv.news import News, news_of


@pytest.mark.parametrize(
    ("condition", "old", "new", "news"),
    [
        ("Ready", "", "True/Ready", News("Ready")),
        ("Ready", "", "False/PodNotCreated", None),
        ("Ready", "False/PodNotCreated", "False/PodNotReady", None),
        ("Ready", "False/PodNotReady", "True/Ready", News("Ready")),
        ("Ready", "True/Ready", "False/PodTerminating", News("PodTerminating", warning=True)),
        ("Ready", "True/Ready", "True/Ready", None),
        ("Synced", "True/Synced", "False/PodNotUpToDate", None),
        ("Synced", "", "False/PodNotDeleted", None),
        ("Synced", "True/Synced", "False/ConfigInvalid", News("ConfigInvalid", warning=True)),
        ("Synced", "False/ConfigInvalid", "True/Synced", None),
        ("Suspended", "", "False/Unsuspended", None),
        ("Suspended", "False/Unsuspended", "False/Suspending", News("Suspending")),
        ("Suspended", "False/Suspending", "True/Suspended", News("Suspended")),
        ("Suspended", "True/Suspended", "False/Unsuspended", News("Unsuspended")),
        ("LeadersEvicted", "False/NotEvicted", "False/Evicting", News("EvictingLeaders")),
        ("LeadersEvicted", "False/Evicting", "True/Evicted", News("LeadersEvicted")),
        ("LeadersEvicted", "True/Evicted", "False/NotEvicted", None),
        ("Offlined", "", "False/Processing", News("RemovingStore")),
        ("Offlined", "False/Processing", "False/Canceling", News("KeepingStore")),
        ("Offlined", "False/Processing", "True/Completed", News("StoreRemoved")),
        ("LeadersEvicted", "False/NotEvicted", "False/EvictingByOther", News("EvictingLeaders")),
        ("RestartRequired", "", "True/ConfigNeedsRestart", News("RestartRequired")),
        ("RestartRequired", "True/ConfigNeedsRestart", "True/ConfigNeedsRestart", None),
        ("Running", "True/Running", "False/PodNotRunning", None),
    ],
)
def test_which_changes_are_worth_an_event(condition: str, old: str, new: str, news: News | None) -> None:
    old_status, _, old_reason = old.partition("/")
    status, _, reason = new.partition("/")
    found = news_of(condition, status=status == "True", reason=reason, old_status=old_status, old_reason=old_reason)
    assert found == news
