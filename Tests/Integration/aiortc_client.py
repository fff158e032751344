"""An independent WebRTC stack as publisher or player: aiortc_client.py publish|play URL SECONDS.

`play` ends with status 0 once it has decoded 30 video frames and 50 audio frames.
"""

import asyncio
import sys
import urllib.parse

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack


async def exchange(connection, url):
    """POSTs the offer and applies the answer; the session's URL."""
    await connection.setLocalDescription(await connection.createOffer())
    async with aiohttp.ClientSession() as http:
        async with http.post(
            url, data=connection.localDescription.sdp, headers={"Content-Type": "application/sdp"}
        ) as answer:
            text = await answer.text()
            assert answer.status == 201, f"{answer.status}: {text}"
            await connection.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
            return urllib.parse.urljoin(url, answer.headers["Location"])


async def delete(url):
    async with aiohttp.ClientSession() as http:
        async with http.delete(url) as answer:
            assert answer.status == 200, answer.status


async def publish(url, seconds):
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(VideoStreamTrack())
    connection.addTrack(AudioStreamTrack())
    session = await exchange(connection, url)
    await asyncio.sleep(seconds)
    await delete(session)
    await connection.close()


async def play(url, seconds):
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="recvonly")
    connection.addTransceiver("audio", direction="recvonly")
    frames = {"video": 0, "audio": 0}

    async def count(track):
        while True:
            await track.recv()
            frames[track.kind] += 1

    tasks = []
    connection.on("track", lambda track: tasks.append(asyncio.ensure_future(count(track))))
    session = await exchange(connection, url)
    for _ in range(int(seconds * 10)):
        await asyncio.sleep(0.1)
        if frames["video"] >= 30 and frames["audio"] >= 50:
            break
    for task in tasks:
        task.cancel()
    await delete(session)
    await connection.close()
    print(frames)
    return 0 if frames["video"] >= 30 and frames["audio"] >= 50 else 1


if __name__ == "__main__":
    verb, url, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    sys.exit(asyncio.run(publish(url, seconds) if verb == "publish" else play(url, seconds)))
