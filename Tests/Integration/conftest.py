"""Real `mafalda` processes on loopback, and real clients, for the tests of this folder."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary() -> str:
    """The release binary that scripts/test has built; MAFALDA names another."""
    named = os.environ.get("MAFALDA")
    return named or str(ROOT / ".build" / "release" / "mafalda")


def wait_until(condition, seconds=15.0, every=0.05, what="condition"):
    """The first true value of `condition()`; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(every)


def run(*arguments, timeout=30, **options):
    """One `mafalda` command, finished."""
    return subprocess.run(
        [binary(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout, **options
    )


class Node:
    """One `mafalda run`, started on ports of the system's choice."""

    def __init__(self, directory, join=None, flags=()):
        self.directory = pathlib.Path(directory)
        self.log_path = self.directory.with_suffix(".log")
        command = [binary(), "run", "--data-dir", str(directory), "--http", "127.0.0.1:0", "--port", "0"]
        if "--workers" not in flags:
            command += ["--workers", "1"]
        if join:
            command += ["--join", join]
        self.log = open(self.log_path, "w")
        self.process = subprocess.Popen(
            command + list(flags), stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        self.url = None

    def wait_ready(self, seconds=20):
        def ready():
            assert self.process.poll() is None, f"the node ended early: {self.output()}"
            return "\nready" in "\n" + self.output()

        wait_until(ready, seconds, what="the node's `ready` line")
        for word in self.output().split():
            if word.startswith("http://127.0.0.1:") and word.endswith("/"):
                self.url = word.rstrip("/")
                break
        assert self.url, self.output()
        self.id = self.get("/api/v1/node")["id"]
        return self

    def output(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def request(self, method, path, body=None, headers=None):
        """Status, headers and text of one request; errors of HTTP are answers too."""
        request = urllib.request.Request(
            self.url + path, method=method, data=body.encode() if isinstance(body, str) else body, headers=headers or {}
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def join_key(self):
        result = run("join-key", "--data-dir", self.directory)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def node(self):
        return self.get("/api/v1/node")

    def stream_names(self):
        return [stream["name"] for stream in self.get("/api/v1/streams?prefix=")["streams"]]

    def route(self, stream):
        """Node ids from the origin to this node, or None where the stream does not come here."""
        status, _, text = self.request("GET", f"/api/v1/routes/{stream}")
        answer = json.loads(text)
        return [hop["node"] for hop in answer["hops"]] if status == 200 and answer["carried"] else None

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def status_field(self, name):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise KeyError(name)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        return self.process.returncode


@pytest.fixture
def swarm():
    """A function that starts nodes: swarm(3, flags={0: ["--max-children", "1"]}) joins them all through the first."""
    folder = tempfile.mkdtemp(prefix="mafalda-test-")
    nodes = []

    def start(count=1, flags=None, join=None):
        first = len(nodes)
        for index in range(first, first + count):
            key = join or (nodes[0].join_key() if nodes else None)
            node = Node(f"{folder}/node{index}", key, (flags or {}).get(index, ()))
            nodes.append(node)
            node.wait_ready()
        if not join:
            wait_until(
                lambda: all(node.node()["peers"] >= len(nodes) - 1 for node in nodes if node.process.poll() is None),
                what="every node to know every other",
            )
        return nodes if count > 1 or first else nodes[0]

    start.folder = folder
    start.nodes = nodes
    yield start
    codes = [node.stop() for node in nodes]
    outputs = [node.output() for node in nodes]
    shutil.rmtree(folder, ignore_errors=True)
    for code, output in zip(codes, outputs):
        # 0 is an orderly end; -9 a test's own kill. Anything else is a crash.
        assert code in (0, -9), f"a node ended with {code}: {output[-2000:]}"


@contextlib.contextmanager
def background(*arguments, log=None):
    """A `mafalda` command that runs until the block ends."""
    process = subprocess.Popen(
        [binary(), *map(str, arguments)], stdout=log or subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def chromium():
    """A headless Chromium (Debian's package) with a fake camera and microphone."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            headless=True,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                "--autoplay-policy=no-user-gesture-required",
                "--allow-loopback-in-peer-connection",
            ],
        )
        yield browser
        browser.close()


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def ffmpeg():
    """A static FFmpeg with the WHIP muxer (Debian 12's has none)."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()
