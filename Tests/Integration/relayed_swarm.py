"""Real `mafalda run` processes with a network between them: every datagram from node to node passes `delay_relay`.

The relay delays and drops by a matrix of round-trip times, as the simulator's network does, so that both can be asked
the same questions (calibrate.py).
"""

import json
import math
import os
import pathlib
import random
import subprocess
import time

from conftest import Node, binary, wait_until

SOURCES = pathlib.Path(__file__).with_name("relay")
PLANETLAB = pathlib.Path(__file__).resolve().parents[2] / "Sources/CSimulationData/data/planetlab490_rtt_ms_median.csv"


def build_relay(folder):
    """Compiles the relay and the library that moves a node behind it; returns both paths."""
    relay, library = pathlib.Path(folder) / "delay_relay", pathlib.Path(folder) / "bind_address.so"
    strict = ["cc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*strict, "-o", relay, SOURCES / "delay_relay.c", "-lm"], check=True)
    subprocess.run([*strict, "-shared", "-fPIC", "-o", library, SOURCES / "bind_address.c", "-ldl"], check=True)
    return relay, library


class Distances:
    """Round-trip times in ms between `count` nodes, each at a site of its own drawn from a matrix file."""

    def __init__(self, path, count, seed):
        rows = [line.split(",") for line in pathlib.Path(path).read_text().split("\n") if line.strip()]
        chance = random.Random(seed)
        sites = chance.sample(range(len(rows)), count)
        self.sites = [[float(rows[a][b]) for b in sites] for a in sites]
        # The way to the site, as the simulator draws it: lognormal, median 0.5 ms, sigma 0.8.
        self.ways = [0.5 * math.exp(chance.gauss(0, 0.8)) for _ in sites]

    def one_way(self, a, b):
        return 0 if a == b else self.sites[a][b] / 2 + (self.ways[a] + self.ways[b]) / 2

    def round_trip(self, a, b):
        return self.one_way(a, b) + self.one_way(b, a)

    def csv(self):
        """The sites alone: the simulator adds ways of its own."""
        return "".join(",".join(f"{value:.3f}" for value in row) + "\n" for row in self.sites)


class Relay:
    """The running relay."""

    def __init__(self, program, configuration, log):
        self.process = subprocess.Popen(
            [program, configuration], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "w"), text=True
        )
        assert self.process.stdout.readline() == "ready\n", pathlib.Path(log).read_text()

    def counts(self):
        """Datagrams by node and port since the start, and how late the relay was since the last call."""
        self.process.stdin.write("counts\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


class RelayedNode(Node):
    """A node behind the relay. `index` gives its addresses: it announces 127.1.x.y and listens on 127.2.x.y."""

    def __init__(self, folder, index, port, library, join=None, flags=()):
        self.index = index
        self.directory = pathlib.Path(folder) / f"node{index}"
        self.log_path = self.directory.with_suffix(".log")
        self.log = open(self.log_path, "w")
        command = [binary(), "run", "--data-dir", self.directory, "--http", "127.0.0.1:0", "--port", port, "--workers", 1]
        command += ["--announce", announced(index)] + (["--join", join] if join else []) + list(flags)
        environment = os.environ | {"LD_PRELOAD": str(library), "RELAY_BIND_ADDRESS": bound(index)}
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
        )
        self.url = None


def announced(index):
    return f"127.1.{index // 250}.{index % 250 + 1}"


def bound(index):
    return f"127.2.{index // 250}.{index % 250 + 1}"


class RelayedSwarm:
    """`count` nodes that join one after the other through the first, within `join_seconds`."""

    def __init__(self, folder, distances, count, network=(), flags=(), first_port=42000, join_seconds=5):
        self.distances = distances
        self.nodes = []
        relay, library = build_relay(folder)
        lines = list(network)
        for index in range(count):
            lines.append(f"node {announced(index)} {bound(index)} {first_port + 10 * index} 2")
        for a in range(count):
            lines += [f"delay {a} {b} {distances.one_way(a, b):.4f}" for b in range(count) if a != b]
        configuration = pathlib.Path(folder) / "relay.conf"
        configuration.write_text("\n".join(lines) + "\n")
        self.relay = Relay(relay, configuration, f"{folder}/relay.log")
        key = None
        for index in range(count):
            node = RelayedNode(folder, index, first_port + 10 * index, library, key, flags)
            self.nodes.append(node)
            if index == 0:
                node.wait_ready()
                key = node.join_key()
            else:
                time.sleep(join_seconds / count)
        for node in self.nodes[1:]:
            node.wait_ready(60)

    def wait_complete(self, seconds=60):
        """Until every node knows every other."""
        others = len(self.nodes) - 1
        wait_until(
            lambda: all(node.node()["peers"] >= others for node in self.nodes), seconds, 0.5, "every node to know every other"
        )

    def stop(self):
        for node in self.nodes:
            node.stop()
        self.relay.stop()
