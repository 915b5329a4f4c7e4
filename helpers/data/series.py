"""Two measured series that anyone may use: they lie beside this file, and nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_name("series.npz")
DAYS_A_YEAR = 365.25


def sunspots() -> tuple[Tensor, Tensor]:
    """The yearly mean sunspot numbers from 1700 to 2008, of the (United States') National Geophysical Data Center.

    Public domain, as statsmodels states, from whose data sets they come.

    Returns:
        years (309,), and numbers (309,), an index without unit, one decimal. New tensors on the CPU, in torch's default
        dtype.
    """
    with np.load(FILE) as stored:
        return _tensor(stored["sunspots_year"]), _tensor(_decimal(stored["sunspots_activity"]))


def mauna_loa_co2() -> tuple[Tensor, Tensor]:
    """The weekly mean carbon dioxide in the air at Mauna Loa, Hawaii, from March 1958 to December 2001.

    (Keeling and Whorf 2004, Atmospheric CO₂ concentrations derived from flask air samples at sites in the SIO network,
    Carbon Dioxide Information Analysis Center.) Public domain, as statsmodels states, from whose data sets they come.

    Returns:
        years (2284,), and CO₂ (2284,) in ppm, parts per million by volume, one decimal, NaN in the 59 weeks without a
        value. Weeks are equally spaced: years are those of 365.25 days since the beginning of 1958, at most a day from
        the calendar. New tensors on the CPU, in torch's default dtype; float32 knows the years to about an hour.
    """
    with np.load(FILE) as stored:
        first = np.datetime64(str(stored["co2_first_day"])) - np.datetime64("1958-01-01")
        years = 1958 + (first.astype(int) + stored["co2_day"].astype(np.float64)) / DAYS_A_YEAR
        return _tensor(years), _tensor(_decimal(stored["co2_ppm"]))


def _decimal(values):
    """The values to the one decimal that they were given with: they are stored in float32."""
    return values.astype(np.float64).round(1)


def _tensor(values):
    return torch.from_numpy(values.astype(np.float64)).to(torch.get_default_dtype())
