"""Twenty real nodes behind a relay, and the simulator's figures for the same swarm: do they agree?

    calibrate.py [--runs 2] [--seeds 40] [--nodes 20] [--matrix FILE] [--simulate 'PATH simulate'] [--json FILE]

Each run starts NODES `mafalda run` processes at sites drawn once from the matrix, lets them settle, and measures what
they send at rest; how long lookups take, of streams published elsewhere and of names that nobody publishes
(`/api/v1/routes/NAME` at nodes that do not carry them); how long a WHEP offer waits for its answer; how viewers' paths
run, and how long a viewer lacks media when a relay on its path is killed (`mafalda play`). The simulator plays `quiet` and
`calibrate` on the same sites with SEEDS seeds. What is compared is the mean of each round's median; the last column says
whether the two agree within the larger of 10 % and 15 ms (issue 3). Exit status 1 if one does not.
"""

import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import random
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from conftest import background, binary, wait_until
from relayed_swarm import PLANETLAB, Distances, RelayedSwarm

SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=calibration
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 111
a=rtpmap:111 opus/48000/2
"""

OFFER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
{transport}m=video 9 UDP/TLS/RTP/SAVPF 96 98
c=IN IP4 0.0.0.0
a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtpmap:98 VP9/90000
{transport}""".replace(
    "{transport}",
    "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=setup:actpass\na=fingerprint:sha-256 "
    + ":".join(["AB"] * 32)
    + "\n",
)


class Fed:
    """Streams without a picture: one plain RTP packet now and then keeps each of them published."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ports = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.feed, daemon=True)
        self.thread.start()

    def publish(self, node, name, port):
        answer = node.request("POST", f"/api/v1/rtp/{name}", SDP.format(port=port), {"Content-Type": "application/sdp"})
        assert answer[0] == 201, answer
        self.ports.append(port)

    def feed(self):
        sequence = 0
        while not self.ended.wait(5):
            sequence += 1
            for port in list(self.ports):
                header = bytes([0x80, 111]) + sequence.to_bytes(2) + (sequence * 960).to_bytes(4) + port.to_bytes(4)
                self.socket.sendto(header + bytes(40), ("127.0.0.1", port))


def measure_rest(swarm, seconds):
    before = swarm.relay.counts()
    time.sleep(seconds)
    after = swarm.relay.counts()
    packets = sum(map(sum, after["sent"])) - sum(map(sum, before["sent"]))
    scale = seconds * len(swarm.nodes)
    return {
        "datagrams_per_node_second": [packets / scale],
        "bytes_per_node_second": [(after["bytes"] - before["bytes"]) / scale],
        "relay_late_ms_p99": [after["late_ms_p99"]],
    }


def measure_lookups(swarm, fed, chance, streams, rate, seconds):
    """Every lookup is of a stream and from a node drawn for it, no pair twice: nobody answers from memory of its own."""
    origins = {}
    for number in range(streams):
        origin = chance.randrange(len(swarm.nodes))
        fed.publish(swarm.nodes[origin], f"stage/{number}", 43500 + 2 * number)
        origins[f"stage/{number}"] = origin
    time.sleep(10)
    pairs = [(node, name) for name, origin in origins.items() for node in range(len(swarm.nodes)) if node != origin]
    chance.shuffle(pairs)

    def look(node, name):
        begin = time.monotonic()
        status, _, text = swarm.nodes[node].request("GET", f"/api/v1/routes/{name}")
        elapsed = (time.monotonic() - begin) * 1_000
        if name not in origins:
            return "absence_ms", elapsed, status == 409
        return "lookup_ms", elapsed, status == 200 and json.loads(text)["origin"] == swarm.nodes[origins[name]].id

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        running = []
        for number, (node, name) in enumerate(pairs[: int(rate * seconds)]):
            absent = chance.randrange(len(swarm.nodes)), f"absent/{number}"
            for pair in ((node, name), absent):
                running.append(pool.submit(look, *pair))
                time.sleep(chance.uniform(0, 1 / rate))
        results = [one.result() for one in running]
    own = [timed(swarm.nodes[index]) for index in range(len(swarm.nodes)) for _ in range(3)]
    figures = {"http_ms_p50": [statistics.median(own)]}
    for kind, ratio in (("lookup_ms", "lookup_success_ratio"), ("absence_ms", "absence_ratio")):
        times = sorted(elapsed for name, elapsed, right in results if name == kind and right)
        figures[ratio] = [len(times) / sum(name == kind for name, _, _ in results)]
        figures[kind + "_p50"] = [statistics.median(times)] if times else []
        figures[kind + "_p90"] = [times[int(0.9 * len(times))]] if times else []
    return figures


def timed(node):
    """What a question costs that the node answers from its own memory, in ms."""
    begin = time.monotonic()
    node.get("/api/v1/members")
    return (time.monotonic() - begin) * 1_000


def measure_answers(swarm, chance, viewers, rounds):
    """How long a viewer's offer waits at a node drawn for it, while the others' viewers arrive too."""
    medians = []
    for number in range(rounds):
        stream = f"answer-{number}"
        origin = chance.choice(swarm.nodes)
        with background("publish", stream, "--api", origin.url):
            wait_until(lambda: stream in origin.stream_names(), 20, what="the stream to be published")
            time.sleep(5)
            moments = sorted(((chance.uniform(0, 5), chance.choice(swarm.nodes)) for _ in range(viewers)), key=lambda one: one[0])
            begin = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(viewers) as pool:
                running = []
                for moment, node in moments:
                    time.sleep(max(0, begin + moment - time.monotonic()))
                    running.append(pool.submit(offer, node, stream))
                sessions = [one.result() for one in running]
            for node, location, _ in sessions:
                node.request("DELETE", location)
            medians.append(statistics.median(elapsed for _, _, elapsed in sessions))
    return {"answer_ms_p50": medians}


def offer(node, stream):
    begin = time.monotonic()
    status, headers, text = node.request("POST", f"/whep/{stream}", OFFER, {"Content-Type": "application/sdp"})
    elapsed = (time.monotonic() - begin) * 1_000
    assert status == 201, text
    return node, headers["Location"], elapsed


def measure_media(swarm, chance, viewers, rounds):
    """Viewers at nodes drawn for them; then a relay is killed. One value of each figure a round."""
    figures = {}
    for number in range(rounds):
        for name, values in measure_kill(swarm, chance, viewers, f"live-{number}").items():
            figures.setdefault(name, []).extend(values)
    return figures


def measure_kill(swarm, chance, viewers, stream):
    alive = [node for node in swarm.nodes if node.process.poll() is None]
    origin = chance.choice(alive)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    publisher = subprocess.Popen([binary(), "publish", stream, "--api", origin.url], **quiet)
    players = []
    try:
        wait_until(lambda: stream in origin.stream_names(), 20, what="the stream to be published")
        time.sleep(5)
        for _ in range(viewers):
            node = chance.choice(alive)
            command = [binary(), "play", stream, "--api", node.url, "--json"]
            player = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            players.append((node, player))
            time.sleep(chance.uniform(0, 10 / viewers))
        watching = {node.index: node for node, _ in players}.values()
        wait_until(lambda: all(node.route(stream) for node in watching), 30, what="every viewer's node to carry the stream")
        time.sleep(15)
        routes = {node.index: node.route(stream) or [] for node in watching}
        figures = path_figures(swarm, routes)
        relays = sorted({hop for route in routes.values() for hop in route[1:-1]})
        if not relays:
            return figures
        doomed = chance.choice(relays)
        victim = next(node for node in alive if node.id == doomed)
        victim.kill()
        time.sleep(12)
        gaps = {True: [], False: []}
        starts = []
        for node, player in players:
            report = ended(player)
            if node is not victim:
                gaps[victim.id in routes[node.index]].append(report["longest_gap_ms"])
                starts.append(report["time_to_first_key_frame_ms"])
        figures["start_ms_p50"] = [statistics.median(starts)]
        for name, values in (("gap_ms_p50", gaps[True]), ("undisturbed_gap_ms_p50", gaps[False])):
            figures[name] = [statistics.median(values)] if values else []
        return figures
    finally:
        for process in [publisher, *(player for _, player in players)]:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(15)


def ended(player):
    """Ends a player and reads what it says."""
    player.send_signal(signal.SIGTERM)
    return json.loads(player.communicate(timeout=20)[0])


def path_figures(swarm, routes):
    place = {node.id: index for index, node in enumerate(swarm.nodes)}
    along, direct, hops = [], [], []
    for route in routes.values():
        if len(route) < 2:
            continue
        steps = [place[hop] for hop in route]
        along.append(sum(swarm.distances.round_trip(a, b) for a, b in zip(steps, steps[1:])))
        direct.append(swarm.distances.round_trip(steps[0], steps[-1]))
        hops.append(len(steps) - 1)
    figures = {"path_rtt_ms_mean": along, "path_rtt_ms_direct_mean": direct, "path_hops_mean": hops}
    return {name: [statistics.fmean(values)] if values else [] for name, values in figures.items()}


def real_run(options, distances, run):
    chance = random.Random(f"{options.seed}/{run}")
    with tempfile.TemporaryDirectory(prefix="mafalda-calibrate-") as folder:
        flags = ["--max-children", str(options.max_children)]
        swarm = RelayedSwarm(folder, distances, options.nodes, flags=flags, first_port=options.port)
        fed = Fed()
        try:
            swarm.wait_complete()
            time.sleep(options.settle)
            figures = measure_rest(swarm, options.rest)
            figures |= measure_lookups(swarm, fed, chance, options.streams, options.rate, options.lookups)
            if options.viewers:
                figures |= measure_answers(swarm, chance, options.viewers, options.answer_rounds)
                figures |= measure_media(swarm, chance, options.viewers, options.rounds)
            return figures
        finally:
            fed.ended.set()
            swarm.stop()


def simulate(options, matrix, scenario, seed, *changes):
    command = [*shlex.split(options.simulate), scenario, "--nodes", options.nodes, "--seed", seed, "--matrix", matrix]
    command += [*changes, "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    lines = done.stdout.strip().split("\n")
    if not lines[-1].startswith("{"):
        sys.exit(f"{shlex.join(map(str, command))}: exit {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
    return json.loads(lines[-1])


def simulated(options, matrix):
    """The simulator's figures, each a list over the seeds."""
    quiet = ["--set", "join.over=5s", "--set", "join.seeds=1", "--set", "join.contacts=1"]
    quiet += ["--set", "network.ideal=true", "--set", f"settle={options.settle:.0f}s", "--set", f"duration={options.rest:.0f}s"]
    look = ["--set", f"streams.stage.count={options.streams}", "--set", f"lookups.finding.rate={options.rate}/s"]
    look += ["--set", "lookups.missing.of=absent", "--set", f"lookups.missing.rate={options.rate}/s"]
    look += ["--set", f"duration={options.lookups:.0f}s", "--without", "audience", "--without", "relay"]
    figures = {}
    few = range(1, max(2, options.seeds // 8) + 1)  # what hardly differs from seed to seed
    jobs = [("quiet", seed, quiet) for seed in few] + [("calibrate", seed, look) for seed in few]
    media = ["--set", "streams.stage.count=1", "--set", f"viewers.audience.count={options.viewers}", "--without", "finding"]
    media += ["--set", f"max-children={options.max_children}"]
    if options.viewers:
        jobs += [("calibrate", seed, media) for seed in range(1, options.seeds + 1)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: simulate(options, matrix, job[0], job[1], *job[2]), jobs))
    wanted = {
        "rest": ["datagrams_per_node_second", "bytes_per_node_second"],
        "look": ["lookup_ms_p50", "lookup_ms_p90", "lookup_success_ratio", "absence_ms_p50", "absence_ratio"],
        "media": ["answer_ms_p50", "start_ms_p50", "gap_ms_p50", "path_rtt_ms_mean", "path_rtt_ms_direct_mean", "path_hops_mean"],
    }
    for (scenario, _, changes), result in zip(jobs, results):
        kind = "rest" if scenario == "quiet" else "look" if changes is look else "media"
        for name in wanted[kind]:
            if result.get(name) is not None:
                figures.setdefault(name, []).append(result[name])
    return figures


def pooled(runs):
    """Every figure's values over all runs, one a round."""
    figures = {}
    for run in runs:
        for name, values in run.items():
            figures.setdefault(name, []).extend(values)
    return figures


# What issue 3 demands: the larger of a tenth and 15 ms for times, a tenth for packets at rest.
JUDGED = {
    "datagrams_per_node_second": 0, "lookup_ms_p50": 15, "absence_ms_p50": 15, "answer_ms_p50": 15, "gap_ms_p50": 15
}


def compare(real, simulation):
    """Prints the table; returns the names that disagree."""
    wrong = []
    print(f"{'mean over rounds':<28}{'real':>10}{'simulated':>11}{'difference':>12}{'± (1 σ)':>10}")
    for name, samples in simulation.items():
        found = real.get(name, [])
        if not found:
            print(f"{name:<28}{'-':>10}{statistics.fmean(samples):>11.3f}{'not measured':>14}")
            wrong += [name] if name in JUDGED else []
            continue
        value, other = statistics.fmean(found), statistics.fmean(samples)
        error = math.hypot(*(spread(one) for one in (found, samples)))
        verdict = ""
        if name in JUDGED:
            agrees = abs(other - value) <= max(0.1 * value, JUDGED[name])
            verdict = "  agrees" if agrees else "  DIFFERS"
            wrong += [] if agrees else [name]
        print(f"{name:<28}{value:>10.3f}{other:>11.3f}{other - value:>+12.3f}{error:>10.3f}{verdict}")
    return wrong


def spread(values):
    """The standard error of a mean."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2, help="swarms of real processes, each with keys of its own")
    parser.add_argument("--seeds", type=int, default=40, help="simulated swarms")
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--matrix", default=str(PLANETLAB))
    parser.add_argument("--seed", type=int, default=1, help="draws the sites")
    parser.add_argument("--settle", type=float, default=30, help="seconds before anything is measured")
    parser.add_argument("--rest", type=float, default=60, help="seconds of rest that are measured")
    parser.add_argument("--streams", type=int, default=40, help="streams that are looked up")
    parser.add_argument("--rate", type=int, default=4, help="lookups a second")
    parser.add_argument("--lookups", type=int, default=60, help="seconds of lookups")
    parser.add_argument("--viewers", type=int, default=12, help="viewers of one stream; 0: no media")
    parser.add_argument("--rounds", type=int, default=6, help="streams whose relay is killed, in each run")
    parser.add_argument("--answer-rounds", type=int, default=10, help="streams whose viewers' answers are timed, in each run")
    parser.add_argument("--max-children", type=int, default=2, help="nodes that one node feeds: few, so that there are relays")
    parser.add_argument("--port", type=int, default=42000)
    parser.add_argument("--simulate", help="the simulator's command; default: the program under test with `simulate`")
    parser.add_argument("--no-simulation", action="store_true")
    parser.add_argument("--json", help="where the raw figures go")
    parser.add_argument("--measured", help="real figures of an earlier run's --json, instead of new ones")
    options = parser.parse_args()
    options.simulate = options.simulate or f"{shlex.quote(binary())} simulate"
    distances = Distances(options.matrix, options.nodes, options.seed)
    runs = json.loads(pathlib.Path(options.measured).read_text())["real"] if options.measured else []
    for run in range(0 if options.measured else options.runs):
        runs.append(real_run(options, distances, run))
        shown = [f"{name} {statistics.fmean(values):.3f}" for name, values in runs[-1].items() if values]
        print(f"run {run + 1}: " + ", ".join(shown), flush=True)
    simulation = {}
    if not options.no_simulation:
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as matrix:
            matrix.write(distances.csv())
            matrix.flush()
            simulation = simulated(options, matrix.name)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"real": runs, "simulated": simulation}) + "\n")
    sys.exit(1 if compare(pooled(runs), simulation) else 0)


if __name__ == "__main__":
    main()
