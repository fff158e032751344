"""Kills the middle relay of A → B → C N times; prints the longest gap the viewer at C saw each time: kills.py N."""

import json
import statistics
import subprocess
import sys
import tempfile
import time

from conftest import Node, background, binary, wait_until


def once():
    """Milliseconds of the longest gap of one viewer over one kill."""
    with tempfile.TemporaryDirectory() as folder:
        a = Node(f"{folder}/a", flags=["--max-children", "1"]).wait_ready()
        nodes = [a] + [Node(f"{folder}/{name}", a.join_key()).wait_ready() for name in "bc"]
        _, b, c = nodes
        try:
            wait_until(lambda: all(node.node()["peers"] == 2 for node in nodes), what="the swarm to be complete")
            with background("publish", "demo", "--api", a.url), background("play", "demo", "--api", b.url):
                wait_until(lambda: b.route("demo") == [a.id, b.id], what="B to carry the stream")
                player = subprocess.Popen(
                    [binary(), "play", "demo", "--api", c.url, "--duration", "20", "--json"],
                    stdout=subprocess.PIPE, text=True,
                )  # fmt: skip
                wait_until(lambda: c.route("demo") == [a.id, b.id, c.id], what="the path over B")
                time.sleep(3)
                b.kill()
                result = json.loads(player.communicate(timeout=60)[0])
                return result["longest_gap_ms"]
        finally:
            for node in nodes:
                node.stop()


if __name__ == "__main__":
    gaps = sorted(once() for _ in range(int(sys.argv[1])))
    print(f"{len(gaps)} kills: longest gap p50 {statistics.median(gaps):.0f} ms, max {gaps[-1]:.0f} ms")
