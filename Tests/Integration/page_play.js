// Plays a stream by WHEP. Arguments: [base URL, stream].
async ([base, stream]) => {
    const connection = new RTCPeerConnection();
    for (const kind of ["video", "audio"]) connection.addTransceiver(kind, { direction: "recvonly" });
    const video = document.createElement("video");
    video.muted = true;
    video.autoplay = true;
    const sink = new MediaStream();
    connection.ontrack = (event) => {
        sink.addTrack(event.track);
        video.srcObject = sink;
    };
    document.body.append(video);
    await connection.setLocalDescription();
    const answer = await fetch(`${base}/whep/${stream}`, {
        method: "POST",
        headers: { "Content-Type": "application/sdp" },
        body: connection.localDescription.sdp,
    });
    if (answer.status !== 201) throw new Error(`WHEP ${answer.status}: ${await answer.text()}`);
    const location = new URL(answer.headers.get("Location"), base).href;
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    window.viewerStats = async () => {
        const all = [...(await connection.getStats()).values()];
        const inbound = (kind) => all.find((s) => s.type === "inbound-rtp" && s.kind === kind) ?? {};
        const pair = all.find((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded");
        const remote = all.find((s) => s.id === pair?.remoteCandidateId);
        return {
            framesDecoded: inbound("video").framesDecoded ?? 0,
            samples: inbound("audio").totalSamplesReceived ?? 0,
            packetsLost: (inbound("video").packetsLost ?? 0) + (inbound("audio").packetsLost ?? 0),
            remotePort: remote?.port ?? 0,
        };
    };
    window.stopPlaying = async () => {
        await fetch(location, { method: "DELETE" });
        connection.close();
    };
}
