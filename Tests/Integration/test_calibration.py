"""The simulator against real processes, in brief: what eight nodes send at rest, and how long lookups take them.

`scripts/calibrate` is the whole comparison, with twenty nodes, viewers and relays that are killed.
"""

import pathlib
import subprocess
import sys


def test_eight_real_nodes_behave_as_simulated():
    script = pathlib.Path(__file__).with_name("calibrate.py")
    short = ["--nodes", "8", "--runs", "1", "--seeds", "16", "--settle", "15", "--rest", "30", "--port", "44000"]
    short += ["--streams", "8", "--lookups", "10", "--viewers", "0"]
    done = subprocess.run([sys.executable, script, *short], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("agrees") == 3, done.stdout
