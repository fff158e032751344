"""A stream published at one node is watched at another, over a third."""

import json
import pathlib
import subprocess
import sys

import pytest

from conftest import background, run, wait_until

PUBLISH = pathlib.Path(__file__).with_name("page_publish.js").read_text()
PLAY = pathlib.Path(__file__).with_name("page_play.js").read_text()


def link_bytes(node, peer):
    """Bytes of media sent by `node` to the node with id `peer`."""
    return sum(link["bytes_sent"] for link in node.node()["links"] if link["peer"] == peer.id)


@pytest.fixture
def chain(swarm):
    """Nodes A, B, C where A feeds one node only."""
    return swarm(3, flags={0: ["--max-children", "1"]})


def first_viewer_at(node, stream):
    """A headless viewer at `node`, so that `node` carries the stream."""
    return background("play", stream, "--api", node.url)


def test_chromium_to_chromium_over_a_relay(chain, chromium):
    a, b, c = chain
    publisher, viewer = chromium.new_page(), chromium.new_page()
    redirects = []
    viewer.on("response", lambda answer: redirects.append(answer.url) if 300 <= answer.status < 400 else None)
    publisher.goto(a.url + "/healthz")
    publisher.evaluate(PUBLISH, [a.url, "room/demo"])
    wait_until(lambda: "room/demo" in c.stream_names(), what="the stream to be known at C")
    with first_viewer_at(b, "room/demo"):
        wait_until(lambda: b.route("room/demo") == [a.id, b.id], what="B to carry the stream")
        descriptors = c.descriptors()
        viewer.goto(c.url + "/healthz")
        viewer.evaluate(PLAY, [c.url, "room/demo"])

        def playing(frames, samples):
            stats = viewer.evaluate("window.viewerStats()")
            return stats if stats["framesDecoded"] >= frames and stats["samples"] >= samples else None

        first = wait_until(lambda: playing(10, 10_000), 20, what="the viewer to decode")
        sent = [link_bytes(a, b), link_bytes(b, c)]
        wait_until(lambda: playing(first["framesDecoded"] + 20, first["samples"] + 20_000), what="decoding to go on")
        assert first["remotePort"] in c.node()["media_ports"]
        assert c.route("room/demo") == [a.id, b.id, c.id]
        assert link_bytes(a, b) > sent[0] and link_bytes(b, c) > sent[1]
        assert link_bytes(a, c) == 0
        assert redirects == []
        viewer.evaluate("window.stopPlaying()")
        wait_until(lambda: c.node()["viewers"] == 0, what="the session to end")
        wait_until(lambda: c.route("room/demo") is None, 20, what="the branch to C to be pruned")
        wait_until(lambda: b.node()["children"] == 0, 20, what="B to have no child")
        viewer.close()  # Chromium keeps its HTTP connection until then.
        wait_until(lambda: c.descriptors() <= descriptors, what="C to close its descriptors")


def test_ffmpeg_publishes_by_whip_and_aiortc_plays(chain, ffmpeg):
    a, b, c = chain
    publisher = subprocess.Popen(
        [ffmpeg, "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30",
         "-f", "lavfi", "-i", "sine", "-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-tune",
         "zerolatency", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "libopus", "-ar", "48000", "-ac", "2", "-f", "whip",
         a.url + "/whip/obs"],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_until(lambda: "obs" in c.stream_names(), 20, what="FFmpeg's stream to be known at C")
        with first_viewer_at(b, "obs"):
            wait_until(lambda: b.route("obs") == [a.id, b.id], what="B to carry the stream")
            script = pathlib.Path(__file__).with_name("aiortc_client.py")
            player = subprocess.run(
                [sys.executable, script, "play", c.url + "/whep/obs", "12"], capture_output=True, text=True, timeout=60
            )
            assert player.returncode == 0, player.stdout + player.stderr
            assert c.node()["sessions"] == [] or c.node()["viewers"] == 0
    finally:
        publisher.terminate()
        publisher.wait(10)
    wait_until(lambda: "obs" not in c.stream_names(), 60, what="the ended stream to be forgotten")


def test_aiortc_publishes_and_chromium_plays(chain, chromium):
    a, _, c = chain
    script = pathlib.Path(__file__).with_name("aiortc_client.py")
    publisher = subprocess.Popen([sys.executable, script, "publish", a.url + "/whip/py", "30"])
    try:
        wait_until(lambda: "py" in c.stream_names(), 20, what="the stream to be known at C")
        viewer = chromium.new_page()
        viewer.goto(c.url + "/healthz")
        viewer.evaluate(PLAY, [c.url, "py"])
        wait_until(lambda: viewer.evaluate("window.viewerStats()")["framesDecoded"] >= 30, 20, what="decoding")
    finally:
        publisher.terminate()
        publisher.wait(10)


def test_plain_rtp_enters_the_swarm(swarm, ffmpeg, tmp_path):
    from conftest import free_udp_port

    a, b = swarm(2)
    video, audio = free_udp_port(), free_udp_port()
    description = tmp_path / "stream.sdp"
    publisher = subprocess.Popen(
        [ffmpeg, "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f",
         "lavfi", "-i", "sine", "-map", "0:v", "-c:v", "libvpx", "-deadline", "realtime", "-g", "25", "-f", "rtp",
         f"rtp://127.0.0.1:{video}?pkt_size=1200", "-map", "1:a", "-c:a", "libopus", "-ar", "48000", "-ac", "2", "-f", "rtp",
         f"rtp://127.0.0.1:{audio}?pkt_size=1200", "-sdp_file", str(description)],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_until(lambda: description.exists() and "a=rtpmap" in description.read_text(), what="FFmpeg's SDP file")
        status, headers, text = a.request(
            "POST", "/api/v1/rtp/camera", description.read_text(), {"Content-Type": "application/sdp"}
        )
        assert status == 201, text
        result = run("play", "camera", "--api", b.url, "--duration", "5", "--json")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["viewers_with_media"] == 1
        assert a.request("DELETE", headers["Location"])[0] == 200
    finally:
        publisher.terminate()
        publisher.wait(10)


def test_kill_of_the_middle_relay_heals(chain):
    a, b, c = chain
    with background("publish", "demo", "--api", a.url), first_viewer_at(b, "demo"):
        wait_until(lambda: b.route("demo") == [a.id, b.id], what="B to carry the stream")
        with background("play", "demo", "--api", c.url):
            wait_until(lambda: c.route("demo") == [a.id, b.id, c.id], what="the path over B")
            b.kill()

            def received():
                return next((s["packets_sent"] for s in c.node()["sessions"] if s["role"] == "viewer"), 0)

            wait_until(lambda: c.route("demo") == [a.id, c.id], 20, what="C to find another parent")
            before = received()
            wait_until(lambda: received() > before + 50, 10, what="the same session to receive again")
            assert c.node()["viewers"] == 1


def test_fifty_viewers_cost_one_copy_per_link(swarm):
    a, b = swarm(2)
    with background("publish", "demo", "--api", a.url):
        wait_until(lambda: "demo" in b.stream_names(), what="the stream to be known at B")
        result = run("play", "demo", "--api", b.url, "--viewers", "50", "--duration", "6", "--json", timeout=60)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["viewers_with_media"] == 50
        link = next(link for link in a.node()["links"] if link["peer"] == b.id)
        assert link["frames_first_sent"] > 200
        assert link["frames_first_sent_twice"] == 0
