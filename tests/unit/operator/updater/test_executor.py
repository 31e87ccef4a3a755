"""The loop, with an actor that only counts. Each row: surge, unavailable, desired, counts, actions, waiting."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tikv_operator.updater.executor import Counts, execute

# O scale out, U update, u scale in updated, o scale in outdated, C clean up
ROWS = """
1 1 3  3 0 0 0  C    done
0 1 3  0 0 0 0  OOO  wait
1 1 3  0 0 0 0  OOO  wait
0 1 0  3 0 0 0  uuuC done
0 1 3  0 3 0 0  U    wait
0 1 3  1 2 0 0  U    wait
0 1 3  2 1 0 0  U    wait
1 0 3  0 3 0 0  O    wait
1 0 3  1 3 0 0  U    wait
1 0 3  2 2 0 0  U    wait
1 0 3  3 1 0 0  oC   done
1 1 3  0 3 0 0  OU   wait
1 1 3  2 2 1 0  U    wait
1 1 3  3 1 1 0  o    wait
1 1 3  2 2 0 0  Uo   wait
2 0 3  0 3 0 0  OO   wait
2 0 3  2 3 0 0  Uo   wait
2 0 3  3 1 0 0  oC   done
0 1 5  0 3 0 0  OO   wait
0 1 5  2 3 0 0  U    wait
0 1 5  3 2 0 0  U    wait
0 1 5  4 1 0 0  U    wait
1 0 5  0 3 0 0  OOO  wait
1 0 5  3 3 0 0  U    wait
1 0 5  4 2 0 0  U    wait
1 0 5  5 1 0 0  oC   done
1 1 5  0 3 0 0  OOO  wait
1 1 5  3 3 0 0  UU   wait
1 1 5  5 1 0 0  oC   done
0 1 3  0 5 0 0  ooU  wait
1 0 3  0 5 0 0  oU   wait
1 0 3  1 3 0 0  U    wait
1 1 3  0 5 0 0  oUU  wait
0 1 3  0 3 0 3  UUU  wait
0 1 3  5 0 5 0  uu   wait
0 1 3  1 4 1 2  oo   wait
0 1 3  1 3 1 2  oU   wait
0 1 3  1 3 1 1  o    wait
0 1 3  1 2 1 2  UU   wait
0 1 3  1 2 1 1  U    wait
0 1 3  1 2 1 0  -    wait
0 1 3  2 1 2 1  U    wait
0 1 3  2 1 2 0  -    wait
0 1 3  2 1 1 1  U    wait
0 1 3  2 1 1 0  -    wait
0 1 3  2 1 0 1  U    wait
0 1 3  2 1 0 0  U    wait
0 1 3  0 3 0 1  U    wait
0 1 3  1 2 1 0  -    wait
0 1 3  0 3 0 2  UU   wait
1 0 1  1 1 0 1  oC   done
1 0 2  2 2 0 2  ooC  done
"""


@dataclass
class CountingActor:
    """Removes unavailable instances first, as the real one does where topology doesn't object."""

    uu: int
    uo: int
    actions: list[str] = field(default_factory=list)

    def scale_out(self) -> None:
        self.actions.append("O")
        self.uu += 1

    def update(self, *, unavailable: bool) -> bool:
        self.actions.append("U")
        if unavailable:
            assert self.uo
            self.uo -= 1
        self.uu += 1
        return True

    def scale_in_update(self, *, unavailable: bool) -> bool:
        self.actions.append("u")
        assert self.uu or not unavailable
        was_unavailable = self.uu > 0
        self.uu -= was_unavailable
        return was_unavailable

    def scale_in_outdated(self) -> bool:
        self.actions.append("o")
        was_unavailable = self.uo > 0
        self.uo -= was_unavailable
        return was_unavailable

    def cleanup(self) -> None:
        self.actions.append("C")


def parameters() -> list[object]:
    rows = [line.split() for line in ROWS.strip().splitlines()]
    return [
        pytest.param(*map(int, row[:7]), "" if row[7] == "-" else row[7], row[8] == "done", id=" ".join(row))
        for row in rows
    ]


@pytest.mark.parametrize(
    ("surge", "unavailable", "desired", "update", "outdated", "uu", "uo", "actions", "done"), parameters()
)
def test_the_table(
    surge: int,
    unavailable: int,
    desired: int,
    update: int,
    outdated: int,
    uu: int,
    uo: int,
    actions: str,
    done: bool,
) -> None:
    actor = CountingActor(uu, uo)
    counts = Counts(update, outdated, uu, uo)
    assert execute(actor, counts, desired=desired, max_surge=surge, max_unavailable=unavailable) is done
    assert "".join(actor.actions) == actions


@given(
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    desired=st.integers(0, 8),
    update=st.integers(0, 8),
    outdated=st.integers(0, 8),
    data=st.data(),
)
def test_the_loop_ends_and_keeps_its_counts_right(
    surge: int, unavailable: int, desired: int, update: int, outdated: int, data: st.DataObject
) -> None:
    uu = data.draw(st.integers(0, update), label="uu")
    uo = data.draw(st.integers(0, outdated), label="uo")
    actor = CountingActor(uu, uo)
    counts = Counts(update, outdated, uu, uo)
    done = execute(actor, counts, desired=desired, max_surge=surge, max_unavailable=unavailable)
    assert (counts.unavailable_update, counts.unavailable_outdated) == (actor.uu, actor.uo)
    assert 0 <= counts.unavailable_update <= counts.update
    assert 0 <= counts.unavailable_outdated <= counts.outdated
    assert len(actor.actions) <= 2 * (desired + update + outdated) + 1
    if done:
        assert (counts.update, counts.outdated, counts.unavailable_update) == (desired, 0, 0)
        assert actor.actions[-1] == "C"
    else:
        assert "C" not in actor.actions
