"""The relay that stands between real nodes when the simulator is calibrated: does it keep time, order and accounts?"""

import socket
import struct
import time

import pytest

from relayed_swarm import Distances, PLANETLAB, Relay, announced, bound, build_relay


@pytest.fixture
def relay(tmp_path):
    """A function that starts a relay between nodes of two ports each and gives their sockets: relay(2, ["delay 0 1 40"])."""
    relays, sockets = [], []

    def start(count, lines, port):
        program, _ = build_relay(tmp_path)
        nodes = [f"node {announced(index)} {bound(index)} {port + 10 * index} 2" for index in range(count)]
        configuration = tmp_path / "relay.conf"
        configuration.write_text("\n".join(lines + nodes) + "\n")
        relays.append(Relay(program, configuration, tmp_path / "relay.log"))
        for index in range(count):
            for offset in range(2):
                node = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                node.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
                node.bind((bound(index), port + 10 * index + offset))
                node.settimeout(2)
                sockets.append(node)
        return relays[0], sockets

    yield start
    for node in sockets:
        node.close()
    for one in relays:
        one.stop()


def test_a_path_takes_its_time_and_shows_the_senders_address(relay):
    # 2,000 a second for two seconds, half each way: the relay itself must stay within a millisecond.
    one, sockets = relay(2, ["delay 0 1 40", "delay 1 0 75"], 43100)
    sent, delays = {}, {0: [], 1: []}
    begin = time.monotonic()
    for number in range(4_000):
        due = begin + number / 2_000
        while time.monotonic() < due:
            receive_all(sockets, sent, delays)
        direction = number % 2
        sent[number] = time.monotonic()
        target = (announced(1 - direction), 43110 - 10 * direction + 1)
        sockets[2 * direction].sendto(struct.pack("!I", number), target)
    while time.monotonic() < begin + 2.3:
        receive_all(sockets, sent, delays)
    assert len(delays[0]) == len(delays[1]) == 2_000
    for direction, expected in ((0, 40), (1, 75)):
        found = sorted(delays[direction])
        # Python's own wake-ups are in the tail; the relay reports its own lateness.
        assert expected <= found[0] and found[1_000] < expected + 1
    counts = one.counts()
    assert counts["sent"] == [[2_000, 0], [2_000, 0]] and counts["received"] == [[0, 2_000], [0, 2_000]]
    assert counts["late_ms_p50"] < 1 and counts["lost"] == counts["overflowed"] == 0


def receive_all(sockets, sent, delays):
    """Takes what has come to the second ports: it must seem to come from the sender's announced address."""
    for place in (1, 3):
        sockets[place].setblocking(False)
        try:
            while True:
                data, source = sockets[place].recvfrom(100)
                number = struct.unpack("!I", data)[0]
                direction = number % 2
                assert place == 3 - 2 * direction and source == (announced(direction), 43100 + 10 * direction)
                delays[direction].append((time.monotonic() - sent[number]) * 1_000)
        except BlockingIOError:
            pass


def test_loss_and_bursts_come_as_asked(relay):
    one, sockets = relay(2, ["seed 3", "loss 0.02 0.02", "burst 0.5 0.5 5 80"], 43200)
    got = 0
    sockets[2].setblocking(False)
    for number in range(20_000):
        sockets[0].sendto(struct.pack("!I", number), (announced(1), 43210))
        if number % 20 == 19:
            time.sleep(0.002)
            got += count_waiting(sockets[2])
    time.sleep(0.3)
    got += count_waiting(sockets[2])
    counts = one.counts()
    assert counts["lost"] + got == 20_000 and counts["overflowed"] == 0
    # 2 % outside bursts, half within the 1/17 of time that is in one: 4.8 %, of some thirty bursts in two seconds.
    assert 0.02 < counts["lost"] / 20_000 < 0.09


def count_waiting(node):
    count = 0
    try:
        while True:
            node.recv(100)
            count += 1
    except BlockingIOError:
        return count


def test_jitter_has_its_spread_and_keeps_the_order(relay):
    one, sockets = relay(2, ["jitter 0.19 100", "delay 0 1 50"], 43300)
    delays, numbers = [], []
    for number in range(1_500):
        sockets[0].sendto(struct.pack("!Id", number, time.monotonic()), (announced(1), 43310))
        time.sleep(0.002)
        sockets[2].setblocking(False)
        try:
            while True:
                got, begun = struct.unpack("!Id", sockets[2].recv(100))
                numbers.append(got)
                delays.append((time.monotonic() - begun) * 1_000)
        except BlockingIOError:
            pass
    mean = sum(delays) / len(delays)
    deviation = (sum((value - mean) ** 2 for value in delays) / len(delays)) ** 0.5
    assert numbers == sorted(numbers) and len(numbers) > 1_400
    assert 45 < mean < 58 and 0.12 < deviation / mean < 0.27


def test_clients_pass_at_once_each_by_a_socket_of_its_own(relay):
    one, sockets = relay(1, ["delay 0 0 500"], 43400)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    seen = set()
    for index, client in enumerate(clients):
        client.settimeout(2)
        begin = time.monotonic()
        client.sendto(b"%d" % index, (announced(0), 43401))
        data, source = sockets[1].recvfrom(100)
        sockets[1].sendto(data + b"!", source)
        answer, answerer = client.recvfrom(100)
        assert answer == b"%d!" % index and answerer == (announced(0), 43401)
        assert time.monotonic() - begin < 0.2
        seen.add(source)
        client.close()
    assert len(seen) == 3 and one.counts()["clients"] == 3


def test_distances_are_drawn_from_a_matrix():
    distances = Distances(PLANETLAB, 20, seed=1)
    assert all(distances.round_trip(a, b) == distances.round_trip(b, a) > 0 for a in range(20) for b in range(a))
    medians = sorted(distances.round_trip(a, b) for a in range(20) for b in range(a))
    assert 80 < medians[95] < 200
    assert distances.csv().count("\n") == 20
    assert Distances(PLANETLAB, 20, seed=1).csv() == distances.csv() != Distances(PLANETLAB, 20, seed=2).csv()
