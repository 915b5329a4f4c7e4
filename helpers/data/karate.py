"""Zachary's karate club, the small graph on which much about graphs was first tried; it ships inside networkx."""

from __future__ import annotations

import torch
from torch import Tensor


def karate_club() -> tuple[Tensor, Tensor]:
    """The 34 members of a karate club, their 78 friendships, and the faction that each joined when the club split.

    (Zachary 1977, An information flow model for conflict and fission in small groups, Journal of Anthropological
    Research 33.) Member 0 is the instructor, "Mr. Hi", and member 33 the officer: the heads of the factions, of 17
    members each. In the study friendships have strengths, which are left out: every edge weighs 1.

    Returns:
        adjacency (34, 34) in torch's default dtype, symmetric, 0 or 1; and faction (34,), bool, True for "Officer".
        On the CPU.
    """
    # imported here, because `import helpers.data` should not wait for it
    import networkx

    club = networkx.karate_club_graph()
    members = range(34)
    adjacency = networkx.to_numpy_array(club, nodelist=members, weight=None)
    faction = [club.nodes[member]["club"] == "Officer" for member in members]
    return torch.tensor(adjacency, dtype=torch.get_default_dtype()), torch.tensor(faction)
