import SwarmCore

/// One set of transport keys shared with a peer, from one handshake: 192 bytes, held in place.
struct LinkSession: Sendable {
    /// Names the session to both sides; media links refer to it.
    let epoch: UInt64
    private(set) var mediaSecret: Bytes32
    /// For the responder: the beginning of message 1's ephemeral key and its timestamp, to know copies of it.
    let initiationMark: UInt64
    let initiationTimestamp: UInt64
    /// When message 2 arrived (initiator) or the first transport packet (responder).
    var establishedAt: MonotonicInstant
    private var sendKey: Bytes32
    private var receiveKey: Bytes32
    private(set) var sendCounter: UInt64 = 0
    private var window = LinkWindow()
    /// What the peer writes into packets for us, and we into packets for it. Ours is never zero in a session.
    let localConnection: UInt32
    let remoteConnection: UInt32
    /// Whether this node began the handshake.
    let isInitiator: Bool
    /// Whether something was heard on it while it was the newest or, of an older one, since a newer was established: the
    /// peer still has it.
    private(set) var isHeard = false

    /// `handshake` has mixed in the pre-shared key, so its chaining key is final.
    init(
        _ handshake: borrowing NoiseHandshake, isInitiator: Bool, localConnection: UInt32, remoteConnection: UInt32,
        initiationTimestamp: UInt64, at now: MonotonicInstant, suite: CryptoSuite
    ) {
        let keys = handshake.split()
        sendKey = isInitiator ? keys.initiatorToResponder : keys.responderToInitiator
        receiveKey = isInitiator ? keys.responderToInitiator : keys.initiatorToResponder
        let secret = handshake.sessionSecret(suite)
        epoch = suite.deriveKey(secret, label: "mafalda-swarm session epoch v1").word0
        mediaSecret = suite.deriveKey(secret, label: "mafalda-swarm media secret v1")
        self.isInitiator = isInitiator
        self.localConnection = localConnection
        self.remoteConnection = remoteConnection
        initiationMark = isInitiator ? 0 : handshake.remoteEphemeral.word0
        self.initiationTimestamp = initiationTimestamp
        establishedAt = now
    }

    /// A place without a session.
    private init() {
        epoch = 0
        mediaSecret = .zero
        initiationMark = 0
        initiationTimestamp = 0
        establishedAt = .zero
        sendKey = .zero
        receiveKey = .zero
        localConnection = 0
        remoteConnection = 0
        isInitiator = false
    }

    static var none: LinkSession { LinkSession() }
    var isPresent: Bool { localConnection != 0 }

    /// Appends `message` to `out` as one transport packet.
    mutating func transmit(
        _ message: Span<UInt8>, to address: NetworkAddress, suite: CryptoSuite, into out: inout Outbox
    ) {
        let counter = sendCounter
        sendCounter += 1
        let (key, connection) = (sendKey, remoteConnection)
        out.append(to: address, capacity: message.count + LinkWire.transportOverhead) { writer in
            writer.append(LinkWire.transportType)
            writer.append(connection)
            writer.append(counter)
            writer.append(message)
            writer.append(UInt64(0))
            writer.append(UInt64(0))
            guard !writer.overflowed else { return }
            var packet = writer.written()
            suite.seal(key: key, counter: counter, headerByteCount: LinkWire.transportHeader, packet: &packet)
        }
    }

    enum Opening { case text(Range<Int>, isNewest: Bool), replayed, undecryptable }

    /// Decrypts a transport packet in place. `packet` is at least as long as header and tag.
    mutating func open(_ packet: inout MutableSpan<UInt8>, suite: CryptoSuite) -> Opening {
        let counter = packet.span.loadUInt64(at: 5)
        guard window.isFresh(counter) else { return .replayed }
        guard
            suite.open(
                key: receiveKey, counter: counter, headerByteCount: LinkWire.transportHeader, packet: &packet)
        else { return .undecryptable }
        let isNewest = window.newest.map { counter > $0 } ?? true
        _ = window.accept(counter)
        isHeard = true
        return .text(LinkWire.transportHeader..<(packet.count - CryptoSuite.tagByteCount), isNewest: isNewest)
    }

    /// A newer session was established: whether the peer still has this one is to be seen.
    mutating func isSucceeded() { isHeard = false }

    /// Overwrites the keys where they lie.
    mutating func wipe() {
        sendKey.wipe()
        receiveKey.wipe()
        mediaSecret.wipe()
    }
}

/// A control link carries tens of packets a second, so 192 counters of reordering are seconds; a media link needs, and
/// has, ten times as many.
typealias LinkWindow = SlidingWindow<4>

extension NoiseHandshake {
    /// The root of the secrets that are not Noise's own: BLAKE2b-256 of a label, a zero byte and the chaining key after
    /// the last key agreement. Known to the responder before it writes the payload of message 2.
    func sessionSecret(_ suite: CryptoSuite) -> Bytes32 {
        guard !suite.isCounted else { return chainingKey.first }
        return Hash.blake2b256 { hash in
            hash.update("mafalda-swarm session v1")
            hash.update(UInt8(0))
            hash.update(chainingKey)
        }
    }
}
