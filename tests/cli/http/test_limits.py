"""How many connections fit under a limit of descriptors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.limits import (
    CONNECTIONS_MAX,
    FDS_OTHER,
    FDS_PER_CONNECTION,
    PIPES_MAX,
    connections_for,
)


@given(st.integers(0, 2**63))
def test_every_connection_can_open_its_file(fds: int) -> None:
    count = connections_for(fds)
    assert 1 <= count <= CONNECTIONS_MAX
    if count > 1:
        assert count * FDS_PER_CONNECTION + 2 * PIPES_MAX + FDS_OTHER <= fds
