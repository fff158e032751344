"""What strangers send: one clear line, or silence; no crash, no growth."""

import random
import socket
import time

import pytest

from conftest import Node, run

GOOD_BUT_EMPTY = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


def test_garbage_on_every_udp_port_is_met_with_silence(swarm):
    node = swarm()
    report = node.node()
    generator = random.Random(7)
    memory, descriptors = node.status_field("VmRSS"), node.descriptors()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(0.3)
        for port in [report["swarm_port"], *report["media_ports"]]:
            for count in range(4000):
                first = bytes([generator.choice([0, 1, 22, 128, 200, 0xC1, 0xC2, 0xC3, 0xC4, 0xD0, count % 256])])
                stranger.sendto(first + generator.randbytes(generator.randrange(1500)), ("127.0.0.1", port))
        with pytest.raises(TimeoutError):
            stranger.recv(2048)
    assert node.node()["id"] == report["id"]
    assert node.descriptors() <= descriptors + 1
    assert node.status_field("VmRSS") < memory + 8 * 1024


def test_garbage_on_the_http_port(swarm):
    node = swarm()
    port = int(node.url.rsplit(":", 1)[1])
    generator = random.Random(3)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
            stranger.sendall(generator.randbytes(400))
    assert node.request("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    "body, status",
    [("", 400), ("hello", 400), (GOOD_BUT_EMPTY, 400), ("v=0\r\n" + "a=x\r\n" * 30_000, 413), ("\0" * 200, 400)],
    ids=["empty", "word", "no media", "too long", "control characters"],
)
def test_bad_offers_are_refused_in_one_line(swarm, body, status):
    node = swarm()
    code, _, text = node.request("POST", "/whip/demo", body, {"Content-Type": "application/sdp"})
    assert code == status, text
    assert 0 < len(text.strip()) < 300 and "\n" not in text.strip()
    assert node.node()["sessions"] == [] and node.stream_names() == []


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("POST", "/whip/", 400),
        ("POST", "/whip/a/../b", 400),
        ("POST", "/whip/a%20b", 400),
        ("POST", "/whep/" + "x" * 300, 400),
        ("GET", "/api/v1/routes/none", 409),
        ("DELETE", "/session/" + "A" * 43, 404),
        ("DELETE", "/session/short", 404),
        ("PUT", "/whip/demo", 405),
        ("GET", "/nowhere", 404),
    ],
)
def test_bad_requests(swarm, method, path, status):
    node = swarm()
    body = GOOD_BUT_EMPTY if method == "POST" else None
    code, _, text = node.request(method, path, body, {"Content-Type": "application/sdp"})
    assert code == status, text


def test_wrong_content_type(swarm):
    assert swarm().request("POST", "/whip/demo", "x", {"Content-Type": "text/plain"})[0] == 415


def test_wrong_swarm_secret_is_met_with_silence(swarm):
    a = swarm()
    stranger = Node(f"{swarm.folder}/stranger", None)
    swarm.nodes.append(stranger)
    stranger.wait_ready()
    # A join string with the stranger's own secret and the first node's key: the prefix before the peers differs.
    import base64

    def decode(key):
        text = key.removeprefix("mfs1:")
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    mixed = bytearray(decode(a.join_key()))
    mixed[1:33] = decode(stranger.join_key())[1:33]
    key = "mfs1:" + base64.urlsafe_b64encode(bytes(mixed)).decode().rstrip("=")
    wrong = Node(f"{swarm.folder}/wrong", key)
    swarm.nodes.append(wrong)
    wrong.wait_ready()
    time.sleep(2)
    assert a.node()["peers"] == 0 and wrong.node()["peers"] == 0


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["run", "--no-such-flag"], 2),
        (["nonsense"], 2),
        (["run", "--join", "mfs1:xyz"], 2),
        (["run", "--http", "not-an-address"], 2),
        (["run", "--port", "70000"], 2),
        (["members", "--api", "http://127.0.0.1:1"], 1),
        (["play", "demo", "--api", "http://127.0.0.1:1"], 1),
        (["play", "not a name"], 2),
        (["check-config", "/nonexistent.yaml"], 1),
    ],
)
def test_bad_commands_say_one_clear_line(arguments, status, tmp_path):
    if arguments[0] == "run":
        arguments = arguments + ["--data-dir", str(tmp_path / "d")]
    result = run(*arguments)
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    first = result.stderr.strip().splitlines()[0]
    assert first and "Fatal" not in result.stderr and "Swift" not in result.stderr


def test_a_busy_port_is_one_clear_line(swarm, tmp_path):
    port = swarm().node()["swarm_port"]
    result = run("run", "--data-dir", tmp_path / "d", "--http", "127.0.0.1:0", "--port", port)
    assert result.returncode == 1 and str(port) in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_a_second_process_on_one_directory_is_refused(swarm):
    node = swarm()
    result = run("run", "--data-dir", node.directory, "--http", "127.0.0.1:0", "--port", "0")
    assert result.returncode == 1 and len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0" * 64])
def test_a_broken_key_file_is_one_clear_line(tmp_path, content):
    node = Node(tmp_path / "d")
    node.wait_ready()
    node.stop()
    keys = [path for path in (tmp_path / "d").iterdir() if path.stat().st_mode & 0o777 == 0o600 and "key" in path.name]
    assert keys, "the key file is 0600"
    keys[0].write_bytes(content)
    result = run("run", "--data-dir", tmp_path / "d", "--http", "127.0.0.1:0", "--port", "0")
    assert result.returncode == 1, result.stderr
    assert keys[0].name in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_public_http_without_tokens_is_refused(tmp_path):
    result = run("run", "--data-dir", tmp_path / "d", "--http", "0.0.0.0:0", "--port", "0")
    assert result.returncode in (1, 2) and "--open" in result.stderr


def test_sigterm_ends_with_status_zero(tmp_path):
    node = Node(tmp_path / "d")
    node.wait_ready()
    assert node.stop() == 0
