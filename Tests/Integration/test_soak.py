"""Joins and leaves leave nothing behind."""

import os
import re

from conftest import background, run, wait_until

JOINS = int(os.environ.get("MAFALDA_SOAK_JOINS", "2000"))

OFFER = "\r\n".join([
    "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1",
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 0.0.0.0", "a=rtcp-mux", "a=mid:0", "a=recvonly", "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass",
    "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=rtcp-mux", "a=mid:1", "a=recvonly", "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass",
    "a=rtpmap:111 opus/48000/2", "",
])  # fmt: skip


def test_two_thousand_joins_and_leaves(swarm):
    a, b = swarm(2)
    with background("publish", "demo", "--api", a.url):
        wait_until(lambda: "demo" in b.stream_names(), what="the stream to be known at B")

        def join_and_leave(count):
            for _ in range(count):
                status, headers, text = b.request("POST", "/whep/demo", OFFER, {"Content-Type": "application/sdp"})
                assert status == 201, text
                path = re.sub(r"^https?://[^/]+", "", headers["Location"])
                assert b.request("DELETE", path)[0] == 200

        # Viewers that really connect: DTLS, SRTP and all.
        result = run("play", "demo", "--api", b.url, "--viewers", "50", "--duration", "2", "--json", timeout=60)
        assert result.returncode == 0, result.stderr
        join_and_leave(JOINS // 10)
        figures = lambda: (b.status_field("VmRSS"), b.status_field("Threads"), b.descriptors())  # noqa: E731
        memory, threads, descriptors = figures()
        join_and_leave(JOINS - JOINS // 10)
        result = run("play", "demo", "--api", b.url, "--viewers", "50", "--duration", "2", "--json", timeout=60)
        assert result.returncode == 0, result.stderr
        wait_until(lambda: b.node()["viewers"] == 0, what="the last session to end")
        after = figures()
        assert after[0] < memory + 6 * 1024, f"memory grew from {memory} to {after[0]} KiB"
        assert after[1] <= threads and after[2] <= descriptors + 1
    wait_until(lambda: b.node()["streams"] == 0 and b.node()["links"] == [], 30, what="the branch to be cut")
