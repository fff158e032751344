// The node's page: publishes to this node by WHIP (RFC 9725), plays from it by WHEP, and shows what happens.
// In order: helpers, the session, the test pattern, statistics, the player, the publisher, the swarm, start.

const $ = (id) => document.getElementById(id);
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const query = new URLSearchParams(location.search);
/** Relative to the page, so that the node may live below a path of a proxy. */
const nodeURL = (path) => new URL(path, document.baseURI.split(/[?#]/)[0]);
const shortID = (id) => (id && id.length > 8 ? `${id.slice(0, 4)}…${id.slice(-2)}` : id || "?");

/** For tests and the console: everything shown, as numbers. */
const mafalda = { errors: [], stats: { player: { state: "idle" }, publisher: { state: "idle" } } };
window.mafalda = mafalda;

function fail(where, error) {
  const text = error instanceof Error ? error.message : String(error);
  mafalda.errors.push(`${where}: ${text}`);
  if (mafalda.errors.length > 50) mafalda.errors.shift();
  return text;
}

const token = () => $("token").value.trim();
const authorisation = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

// The session -------------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, text, retryAfterSeconds) { super(text); Object.assign(this, { status, retryAfterSeconds }); }
}

/** One RTCPeerConnection, negotiated by one POST, ended by one DELETE. */
class Session {
  constructor(kind, name) {
    this.endpoint = nodeURL(`${kind}/${name.split("/").map(encodeURIComponent).join("/")}`);
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.url = null;
    this.closed = false;
  }

  /** Sends the offer and takes the answer; throws Refused with the node's own words. */
  async negotiate() {
    await this.connection.setLocalDescription(await this.connection.createOffer());
    let response;
    try {
      response = await fetch(this.endpoint, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", ...authorisation() },
        body: this.connection.localDescription.sdp,
      });
    } catch {
      throw new Refused(0, "the node does not answer");
    }
    const text = await response.text();
    if (response.status !== 201) {
      const wait = Number(response.headers.get("Retry-After")) || 0;
      throw new Refused(response.status, text.trim() || `status ${response.status}`, wait);
    }
    this.url = new URL(response.headers.get("Location"), response.url).href;
    if (this.closed) return this.end();
    await this.connection.setRemoteDescription({ type: "answer", sdp: text });
  }

  /** Resolves when the connection has failed or the node has closed it. */
  lost() {
    return new Promise((resolve) => {
      const check = () => {
        const state = this.connection.connectionState;
        const transport = this.connection.getReceivers().concat(this.connection.getSenders()).find((x) => x.transport);
        if (state === "failed" || state === "closed" || transport?.transport.state === "closed") resolve();
      };
      this.connection.addEventListener("connectionstatechange", check);
      for (const end of this.connection.getTransceivers()) {
        end.receiver.transport?.addEventListener("statechange", check);
        end.sender.transport?.addEventListener("statechange", check);
      }
      check();
    });
  }

  end() {
    this.closed = true;
    this.connection.close();
    if (this.url) fetch(this.url, { method: "DELETE", headers: authorisation(), keepalive: true }).catch(() => {});
    this.url = null;
  }
}

// The test pattern --------------------------------------------------------------------------------------------

/** Colour bars, a sweep, a frame counter, and a chord with a tick every second: motion and sound anybody can judge. */
class TestPattern {
  constructor() {
    this.canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
    this.frame = 0;
    this.started = performance.now();
    this.timer = setInterval(() => this.draw(), 1000 / 30);
    this.draw();
    this.audio = new AudioContext({ sampleRate: 48000 });
    const sink = this.audio.createMediaStreamDestination();
    const gain = new GainNode(this.audio, { gain: 0.06 });
    gain.connect(sink);
    for (const frequency of [220, 277.18, 329.63]) {
      const voice = new OscillatorNode(this.audio, { frequency });
      voice.connect(gain);
      voice.start();
    }
    this.tick = new GainNode(this.audio, { gain: 0 });
    this.tick.connect(sink);
    const bell = new OscillatorNode(this.audio, { frequency: 880 });
    bell.connect(this.tick);
    bell.start();
    // Browsers start audio only after a gesture; video does not wait for it.
    this.resume = () => this.audio.resume();
    addEventListener("pointerdown", this.resume, { once: true });
    this.resume().catch(() => {});
    this.stream = this.canvas.captureStream(30);
    this.stream.addTrack(sink.stream.getAudioTracks()[0]);
  }

  draw() {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    const seconds = (performance.now() - this.started) / 1000;
    const colours = ["#d8d8d4", "#d6c648", "#4cc3c7", "#57b35c", "#c057ad", "#cf4b3c", "#3f5fc0"];
    colours.forEach((colour, index) => {
      context.fillStyle = colour;
      context.fillRect(Math.floor((index * width) / 7), 0, Math.ceil(width / 7), height * 0.72);
    });
    context.fillStyle = "#141716";
    context.fillRect(0, height * 0.72, width, height);
    context.fillStyle = "#e2553f";
    context.fillRect((seconds * 160) % width, height * 0.72, 6, height * 0.06);
    const [x, y, radius] = [width * 0.82, height * 0.36, height * 0.2];
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = "#141716e6";
    context.fill();
    context.beginPath();
    context.moveTo(x, y);
    context.arc(x, y, radius * 0.9, -Math.PI / 2, -Math.PI / 2 + (seconds % 1) * 2 * Math.PI);
    context.fillStyle = "#f4f3ef";
    context.fill();
    context.fillStyle = "#f4f3ef";
    context.font = "600 46px ui-monospace, monospace";
    context.fillText(String(this.frame).padStart(7, "0"), 24, height * 0.93);
    context.font = "20px ui-monospace, monospace";
    context.fillText(new Date().toISOString().slice(11, 23), width - 170, height * 0.92);
    if (this.frame % 30 === 0 && this.tick) this.ring();
    this.frame += 1;
  }

  ring() {
    const now = this.audio.currentTime;
    this.tick.gain.cancelScheduledValues(now);
    this.tick.gain.setValueAtTime(0.2, now);
    this.tick.gain.exponentialRampToValueAtTime(0.0001, now + 0.12);
  }

  stop() {
    clearInterval(this.timer);
    removeEventListener("pointerdown", this.resume);
    this.stream.getTracks().forEach((track) => track.stop());
    this.audio.close();
  }
}

async function openSource(source) {
  if (source === "pattern") {
    const pattern = new TestPattern();
    return { stream: pattern.stream, stop: () => pattern.stop() };
  }
  if (!navigator.mediaDevices) throw new Error("the browser gives camera and screen only to https:// and localhost");
  const wanted = { video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } }, audio: true };
  const devices = navigator.mediaDevices;
  const stream = await (source === "screen" ? devices.getDisplayMedia(wanted) : devices.getUserMedia(wanted));
  return { stream, stop: () => stream.getTracks().forEach((track) => track.stop()) };
}

// Statistics --------------------------------------------------------------------------------------------------

/** Turns growing counters into rates. */
class Rate {
  constructor() { this.last = null; }
  perSecond(value, milliseconds) {
    const last = this.last;
    this.last = { value, milliseconds };
    if (!last || milliseconds <= last.milliseconds) return 0;
    return Math.max(0, ((value - last.value) * 1000) / (milliseconds - last.milliseconds));
  }
}

const sum = (rows, key) => rows.reduce((total, row) => total + (row[key] || 0), 0);

/** The figures of one connection, from getStats(). */
async function measure(connection, rates) {
  const rows = [...(await connection.getStats()).values()];
  const of = (type, kind) => rows.filter((row) => row.type === type && (!kind || row.kind === kind));
  const transport = of("transport").find((row) => row.selectedCandidatePairId);
  const pair = rows.find((row) => row.id === transport?.selectedCandidatePairId)
    || of("candidate-pair").find((row) => row.selected || (row.nominated && row.state === "succeeded"));
  const remote = rows.find((row) => row.id === pair?.remoteCandidateId);
  const local = rows.find((row) => row.id === pair?.localCandidateId);
  const [videoIn, audioIn] = [of("inbound-rtp", "video"), of("inbound-rtp", "audio")];
  const [inbound, outbound] = [of("inbound-rtp"), of("outbound-rtp")];
  const video = videoIn[0] || of("outbound-rtp", "video")[0] || {};
  const now = performance.now();
  const received = sum(inbound, "packetsReceived");
  const lost = sum(inbound, "packetsLost");
  const emitted = sum(videoIn, "jitterBufferEmittedCount");
  const bufferRate = rates.buffer.perSecond(sum(videoIn, "jitterBufferDelay"), now);
  const emittedRate = rates.emitted.perSecond(emitted, now);
  return {
    framesDecoded: sum(videoIn, "framesDecoded"),
    framesEncoded: sum(of("outbound-rtp", "video"), "framesEncoded"),
    keyFramesDecoded: sum(videoIn, "keyFramesDecoded"),
    freezeCount: sum(videoIn, "freezeCount"),
    width: video.frameWidth || 0,
    height: video.frameHeight || 0,
    framesPerSecond: video.framesPerSecond || 0,
    audioSamples: sum(audioIn, "totalSamplesReceived"),
    audioConcealedSamples: sum(audioIn, "concealedSamples"),
    audioEnergy: sum(audioIn, "totalAudioEnergy"),
    bytesReceived: sum(inbound, "bytesReceived"),
    bytesSent: sum(outbound, "bytesSent"),
    packetsReceived: received,
    packetsSent: sum(outbound, "packetsSent"),
    packetsLost: lost,
    lossRatio: received + lost > 0 ? Math.max(0, lost) / (received + lost) : 0,
    remoteLossRatio: of("remote-inbound-rtp", "video")[0]?.fractionLost ?? null,
    nackCount: sum(inbound, "nackCount") + sum(outbound, "nackCount"),
    pliCount: sum(inbound, "pliCount") + sum(outbound, "pliCount"),
    bitrate: rates.bytes.perSecond(sum(inbound, "bytesReceived") + sum(outbound, "bytesSent"), now) * 8,
    roundTripMs: pair?.currentRoundTripTime !== undefined ? pair.currentRoundTripTime * 1000 : null,
    bufferMs: emittedRate > 0 ? (bufferRate / emittedRate) * 1000 : null,
    remoteAddress: remote?.address ?? remote?.ip ?? null,
    remotePort: remote?.port ?? null,
    localPort: local?.port ?? null,
  };
}

const newRates = () => ({ bytes: new Rate(), buffer: new Rate(), emitted: new Rate() });

function bits(perSecond) {
  if (!perSecond) return "–";
  return perSecond >= 1e6 ? `${(perSecond / 1e6).toFixed(2)} Mb/s` : `${Math.round(perSecond / 1e3)} kb/s`;
}
const milliseconds = (value) => (value === null || value === undefined ? "–" : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`);
const percent = (ratio) => (ratio === null || ratio === undefined ? "–" : `${(ratio * 100).toFixed(ratio > 0 && ratio < 0.01 ? 2 : 1)} %`);

// The player --------------------------------------------------------------------------------------------------

const player = {
  name: null, attempt: 0, session: null, rates: newRates(), spark: [],

  show(state, message) {
    mafalda.stats.player.state = state;
    mafalda.stats.player.stream = this.name;
    $("stage").dataset.state = state;
    $("stage-message").textContent = message || "";
    $("stage-badge").hidden = state !== "live";
    $("stage-badge").textContent = this.name || "";
    $("watch-button").textContent = this.name ? "Stop" : "Watch";
    $("watch-button").classList.toggle("stop", Boolean(this.name));
    swarm.mark();
  },

  /** Plays `name` until told otherwise: waits for a stream that is not live, comes back after a failure. */
  async play(name) {
    this.stop();
    this.name = name;
    $("watch-name").value = name;
    const attempt = ++this.attempt;
    const current = () => attempt === this.attempt;
    this.show("busy", `Connecting to ${name}`);
    while (current()) {
      let wait = 2;
      try {
        await this.once(name, current);
        if (current()) this.show("busy", "The connection ended. Trying again");
        wait = 1;
      } catch (error) {
        if (!current()) return;
        const text = fail("play", error);
        wait = error.retryAfterSeconds || 3;
        if (error.status === 409) this.show("busy", `${name} is not live. Waiting for it`);
        else if (error.status === 0 || error.status >= 500) this.show("busy", `${text}. Trying again`);
        else return this.show("error", text);
      } finally {
        if (current()) this.release();
      }
      if (current()) await sleep(wait * 1000);
    }
  },

  async once(name, current) {
    const session = new Session("whep", name);
    this.session = session;
    this.rates = newRates();
    this.spark = [];
    const stream = new MediaStream();
    session.connection.addTransceiver("video", { direction: "recvonly" });
    session.connection.addTransceiver("audio", { direction: "recvonly" });
    session.connection.addEventListener("track", ({ track }) => {
      stream.addTrack(track);
      if (!current()) return;
      if ($("player").srcObject !== stream) $("player").srcObject = stream;
      this.start();
    });
    await session.negotiate();
    if (!current()) return session.end();
    this.show("busy", "Waiting for the first picture");
    await session.lost();
  },

  /** With sound where the browser lets us, else muted and with a button. */
  async start() {
    const video = $("player");
    try {
      await video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return;
      video.muted = true;
      await video.play().catch(() => {});
    }
    $("unmute").hidden = !video.muted;
  },

  release() {
    this.session?.end();
    this.session = null;
    $("player").srcObject = null;
    $("unmute").hidden = true;
  },

  stop() {
    this.attempt += 1;
    this.name = null;
    this.release();
    $("route").hidden = true;
    for (const id of ["resolution", "fps", "bitrate", "loss", "rtt", "buffer"]) $(`f-${id}`).textContent = "–";
    $("spark-line").setAttribute("points", "");
    this.show("idle", "Pick a stream, or publish one.");
  },

  async refresh() {
    const session = this.session;
    if (!session || session.closed) return;
    const figures = await measure(session.connection, this.rates);
    if (session !== this.session) return;
    Object.assign(mafalda.stats.player, figures, { connection: session.connection.connectionState, sessionURL: session.url });
    const isLive = figures.framesDecoded > 0 || figures.audioSamples > 0;
    if (isLive && $("stage").dataset.state !== "live") { this.show("live"); swarm.refreshRoute(); }
    $("f-resolution").textContent = figures.width ? `${figures.width} × ${figures.height}` : "–";
    $("f-fps").textContent = figures.framesPerSecond ? `${Math.round(figures.framesPerSecond)} fps` : "–";
    $("f-bitrate").textContent = bits(figures.bitrate);
    $("f-loss").textContent = figures.packetsReceived ? percent(figures.lossRatio) : "–";
    $("f-rtt").textContent = milliseconds(figures.roundTripMs);
    $("f-buffer").textContent = milliseconds(figures.bufferMs);
    this.spark = [...this.spark, figures.bitrate].slice(-60);
    const top = Math.max(1, ...this.spark) * 1.15;
    const points = this.spark.map((value, index) => `${600 - (this.spark.length - 1 - index) * (600 / 59)},${46 - (value / top) * 44}`);
    $("spark-line").setAttribute("points", points.join(" "));
  },
};

// The publisher -----------------------------------------------------------------------------------------------

const publisher = {
  name: null, attempt: 0, session: null, source: null, rates: newRates(),

  show(state, message, isError = false) {
    Object.assign(mafalda.stats.publisher, { state, stream: this.name });
    $("publish-status").textContent = message || "";
    $("publish-status").classList.toggle("error", isError);
    $("publish-button").textContent = this.name ? "Stop" : "Go live";
    $("publish-button").classList.toggle("stop", Boolean(this.name));
    for (const input of $("publish-form").querySelectorAll("input")) input.disabled = Boolean(this.name);
    $("preview").hidden = !this.source;
  },

  async publish(name, kind) {
    this.stop();
    this.name = name;
    const attempt = ++this.attempt;
    const current = () => attempt === this.attempt;
    this.show("busy", kind === "pattern" ? "Starting" : "Waiting for the browser's permission");
    try {
      const source = await openSource(kind);
      if (!current()) return source.stop();
      this.source = source;
    } catch (error) {
      if (!current()) return;
      this.name = null;
      const text = fail("publish", error);
      return this.show("error", error.name === "NotAllowedError" ? "The browser did not allow it." : text, true);
    }
    $("preview-video").srcObject = this.source.stream;
    $("preview-video").play().catch(() => {});
    this.source.stream.getVideoTracks()[0]?.addEventListener("ended", () => { if (current()) this.stop(); });
    while (current()) {
      let wait = 1;
      try {
        await this.once(name, current);
        if (current()) this.show("busy", "The connection ended. Trying again");
      } catch (error) {
        if (!current()) return;
        const text = fail("publish", error);
        wait = error.retryAfterSeconds || 3;
        if (error.status === 0 || error.status >= 500) this.show("busy", `${text}. Trying again`);
        else { this.stop(); return this.show("error", text, true); }
      } finally {
        if (current()) { this.session?.end(); this.session = null; }
      }
      if (current()) await sleep(wait * 1000);
    }
  },

  async once(name, current) {
    const session = new Session("whip", name);
    this.session = session;
    this.rates = newRates();
    this.show("busy", "Connecting");
    const stream = this.source.stream;
    for (const track of [...stream.getVideoTracks(), ...stream.getAudioTracks()]) {
      if (track.kind === "video" && "contentHint" in track) track.contentHint = "motion";
      session.connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    }
    await session.negotiate();
    if (!current()) return session.end();
    await session.lost();
  },

  stop() {
    this.attempt += 1;
    this.name = null;
    this.session?.end();
    this.session = null;
    this.source?.stop();
    this.source = null;
    $("preview-video").srcObject = null;
    this.show("idle", "");
  },

  async refresh() {
    const session = this.session;
    if (!session || session.closed) return;
    const figures = await measure(session.connection, this.rates);
    if (session !== this.session) return;
    const connection = session.connection.connectionState;
    Object.assign(mafalda.stats.publisher, figures, { connection, sessionURL: session.url });
    if (connection === "connected" && mafalda.stats.publisher.state !== "live") this.show("live", "");
    const parts = [
      figures.width ? `${figures.width} × ${figures.height}` : null,
      figures.framesPerSecond ? `${Math.round(figures.framesPerSecond)} fps` : null,
      figures.bitrate ? bits(figures.bitrate) : null,
      figures.remoteLossRatio !== null ? `${percent(figures.remoteLossRatio)} lost` : null,
      figures.roundTripMs !== null ? `${milliseconds(figures.roundTripMs)} round trip` : null,
    ];
    $("preview-figures").textContent = parts.filter(Boolean).join(" · ");
  },
};

// What the swarm knows ----------------------------------------------------------------------------------------

const element = (tag, className, ...children) => {
  const made = Object.assign(document.createElement(tag), { className });
  made.append(...children);
  return made;
};

const swarm = {
  node: null, streams: [], scheduled: null, events: null,

  async get(path) {
    const response = await fetch(nodeURL(path), { headers: authorisation() });
    if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => ({}))).error || `status ${response.status}`);
    return response.json();
  },

  async refresh() {
    try {
      const [node, list] = await Promise.all([this.get("api/v1/node"), this.get("api/v1/streams")]);
      this.node = node;
      this.streams = list.streams;
      this.showNode();
      this.showStreams();
    } catch (error) {
      $("node").classList.add("lost");
      $("node").textContent = error.status === 401 ? "this node asks for a token" : "the node does not answer";
    }
    if (player.name) await this.refreshRoute();
  },

  /** Events come in bursts; one refresh serves them all. */
  soon() {
    this.scheduled ??= setTimeout(() => { this.scheduled = null; this.refresh(); }, 200);
  },

  showNode() {
    const peers = this.node.peers === 1 ? "1 peer" : `${this.node.peers} peers`;
    $("node").classList.remove("lost");
    $("node").replaceChildren("node ", element("b", "", shortID(this.node.id)), ` in “${this.node.swarm}” · ${peers} · ${this.node.viewers} watching here`);
  },

  showStreams() {
    $("stream-count").textContent = this.streams.length || "";
    $("streams-empty").hidden = this.streams.length > 0;
    $("streams").replaceChildren(...this.streams.slice(0, 500).map((stream) => {
      const viewers = stream.viewers === 1 ? "1 viewer" : `${stream.viewers} viewers`;
      const codecs = stream.tracks.map((track) => track.codec).join(" + ") || "";
      const button = element("button", "",
        element("span", "name", stream.name), element("span", "viewers", viewers),
        element("span", "detail", codecs ? `${codecs} from ` : "from ", element("b", "", shortID(stream.origin))));
      button.type = "button";
      button.dataset.name = stream.name;
      button.addEventListener("click", () => player.play(stream.name));
      return element("li", "", button);
    }));
    this.mark();
  },

  mark() {
    for (const row of $("streams").querySelectorAll("button")) row.setAttribute("aria-current", row.dataset.name === player.name);
  },

  async refreshRoute() {
    const name = player.name;
    let route = null;
    try {
      route = name ? await this.get(`api/v1/routes/${name}`) : null;
    } catch { /* Not live, or not known here yet. */ }
    if (name !== player.name) return;
    mafalda.stats.player.route = route?.hops.map((hop) => hop.node) ?? null;
    $("route").hidden = !route;
    if (!route) return;
    const items = route.hops.map((hop, index) => {
      const label = hop.node === this.node?.id ? "this node" : index === 0 ? "origin" : "relay";
      const loss = hop.loss_ratio ? ` · ${percent(hop.loss_ratio)}` : "";
      const chip = element("span", "hop", `${label} `, element("b", "", shortID(hop.node)));
      return element("li", "", ...(index > 0 ? [element("span", "edge", `${milliseconds(hop.rtt_ms)}${loss}`)] : []), chip);
    });
    items.push(element("li", "", element("span", "edge", milliseconds(mafalda.stats.player.roundTripMs)), element("span", "hop", "you")));
    $("route-hops").replaceChildren(...items);
  },

  listen() {
    this.events?.close();
    const url = nodeURL("api/v1/events");
    if (token()) url.searchParams.set("token", token());
    this.events = new EventSource(url);
    const names = ["open", "member", "member_removed", "stream", "stream_ended", "route", "sessions"];
    for (const name of names) this.events.addEventListener(name, () => this.soon());
  },
};

// Start -------------------------------------------------------------------------------------------------------

function start() {
  $("token").value = query.get("token") || sessionStorage.getItem("token") || "";
  $("token").addEventListener("change", () => { sessionStorage.setItem("token", token()); swarm.listen(); });
  $("watch-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("watch-name").value.trim();
    if (player.name && (name === player.name || !name)) player.stop();
    else if (name) player.play(name);
  });
  $("watch-name").addEventListener("input", () => {
    const other = player.name && $("watch-name").value.trim() !== player.name;
    $("watch-button").textContent = player.name && !other ? "Stop" : "Watch";
    $("watch-button").classList.toggle("stop", Boolean(player.name) && !other);
  });
  $("publish-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (publisher.name) return publisher.stop();
    const form = new FormData($("publish-form"));
    publisher.publish(String(form.get("stream")).trim(), String(form.get("source")));
  });
  $("unmute").addEventListener("click", () => { $("unmute").hidden = true; $("player").muted = false; });
  addEventListener("pagehide", () => { player.stop(); publisher.stop(); });

  Object.assign(mafalda, {
    play: (name) => { player.play(name); },
    stop: () => player.stop(),
    publish: (name, source = "pattern") => { publisher.publish(name, source); },
    unpublish: () => publisher.stop(),
  });

  swarm.refresh();
  swarm.listen();
  setInterval(() => swarm.refresh(), 5000);
  setInterval(() => {
    player.refresh().catch((error) => fail("figures", error));
    publisher.refresh().catch((error) => fail("figures", error));
  }, 1000);

  if (query.get("publish")) publisher.publish(query.get("publish"), query.get("source") || "pattern");
  if (query.get("play")) player.play(query.get("play"));
}

start();
