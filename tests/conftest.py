"""What every test needs before torch is imported."""

import os

# As cli/app.py does: waiting threads sleep, or tests crawl on a machine with other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
