// Publishes Chromium's fake camera and microphone by WHIP. Arguments: [base URL, stream].
async ([base, stream]) => {
    const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });
    const connection = new RTCPeerConnection();
    for (const track of media.getTracks()) connection.addTransceiver(track, { direction: "sendonly", streams: [media] });
    await connection.setLocalDescription();
    const answer = await fetch(`${base}/whip/${stream}`, {
        method: "POST",
        headers: { "Content-Type": "application/sdp" },
        body: connection.localDescription.sdp,
    });
    if (answer.status !== 201) throw new Error(`WHIP ${answer.status}: ${await answer.text()}`);
    const location = new URL(answer.headers.get("Location"), base).href;
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    window.publisher = connection;
    window.stopPublishing = async () => {
        await fetch(location, { method: "DELETE" });
        connection.close();
    };
}
