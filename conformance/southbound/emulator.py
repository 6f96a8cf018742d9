"""Starts sushy-emulator. Its fake systems take 1 to 11 s for a change of power, by a throw of dice: here always 1."""

import random
import sys

random.randint = lambda low, _high: low

from sushy_tools.emulator.main import main  # noqa: E402  the dice first

sys.exit(main())
