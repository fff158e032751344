import SwarmCore

/// One set of transport keys shared with a peer, from one handshake.
struct LinkSession: Sendable {
    /// Names the session to both sides; media links refer to it.
    let epoch: UInt64
    let mediaSecret: Bytes32
    /// Whether this node began the handshake.
    let isInitiator: Bool
    /// What the peer writes into packets for us, and we into packets for it.
    let localConnection: UInt32
    let remoteConnection: UInt32
    /// For the responder: what message 1 carried, to know copies of it.
    let initiationEphemeral: Bytes32
    let initiationTimestamp: UInt64
    /// When message 2 arrived (initiator) or the first transport packet (responder).
    var establishedAt: MonotonicInstant

    private let sendKey: Bytes32
    private let receiveKey: Bytes32
    private(set) var sendCounter: UInt64 = 0
    private var window = ReplayWindow()
    private let suite: CryptoSuite

    /// `handshake` has mixed in the pre-shared key, so its chaining key is final.
    init(
        _ handshake: NoiseHandshake, isInitiator: Bool, localConnection: UInt32, remoteConnection: UInt32,
        initiationTimestamp: UInt64, at now: MonotonicInstant, suite: CryptoSuite
    ) {
        let keys = handshake.split()
        sendKey = isInitiator ? keys.initiatorToResponder : keys.responderToInitiator
        receiveKey = isInitiator ? keys.responderToInitiator : keys.initiatorToResponder
        let secret = handshake.sessionSecret
        epoch = Hash.deriveKey(secret, label: "mafalda-swarm session epoch v1").word0
        mediaSecret = Hash.deriveKey(secret, label: "mafalda-swarm media secret v1")
        self.isInitiator = isInitiator
        self.localConnection = localConnection
        self.remoteConnection = remoteConnection
        initiationEphemeral = isInitiator ? .zero : handshake.remoteEphemeral
        self.initiationTimestamp = initiationTimestamp
        establishedAt = now
        self.suite = suite
    }

    /// Appends `message` to `out` as one transport packet.
    mutating func transmit(_ message: Span<UInt8>, to address: NetworkAddress, into out: inout Outbox) {
        let counter = sendCounter
        sendCounter += 1
        let (key, connection, suite) = (sendKey, remoteConnection, suite)
        out.append(to: address, capacity: message.count + LinkWire.transportOverhead) { writer in
            writer.append(LinkWire.transportType)
            writer.append(connection)
            writer.append(counter)
            writer.append(message)
            writer.append(repeating: 0, count: CryptoSuite.tagByteCount)
            guard !writer.overflowed else { return }
            var packet = writer.written()
            let header = TransportHeader(packet.span)
            var text = packet._mutatingExtracting(LinkWire.transportHeader..<packet.count)
            suite.seal(key: key, counter: counter, additionalData: header.bytes.span, inPlace: &text)
        }
    }

    enum Opening { case text(Range<Int>, isNewest: Bool), replayed, undecryptable }

    /// Decrypts a transport packet in place. `packet` is at least as long as header and tag.
    mutating func open(_ packet: inout MutableSpan<UInt8>) -> Opening {
        let counter = packet.span.loadUInt64(at: 5)
        guard window.isFresh(counter) else { return .replayed }
        let header = TransportHeader(packet.span)
        let end = packet.count
        var text = packet._mutatingExtracting(LinkWire.transportHeader..<end)
        guard suite.open(key: receiveKey, counter: counter, additionalData: header.bytes.span, inPlace: &text) else {
            return .undecryptable
        }
        let isNewest = window.newest.map { counter > $0 } ?? true
        _ = window.accept(counter)
        return .text(LinkWire.transportHeader..<(end - CryptoSuite.tagByteCount), isNewest: isNewest)
    }
}

/// A copy of a transport packet's header: associated data that may not overlap the text being changed.
private struct TransportHeader {
    var bytes = InlineArray<13, UInt8>(repeating: 0)

    init(_ packet: Span<UInt8>) {
        for index in 0..<13 { bytes[index] = packet[index] }
    }
}

extension NoiseHandshake {
    /// The root of the secrets that are not Noise's own: BLAKE2b-256 of a label, a zero byte and the chaining key after
    /// the last key agreement. Known to the responder before it writes the payload of message 2.
    var sessionSecret: Bytes32 {
        Hash.blake2b256 { hash in
            hash.update("mafalda-swarm session v1")
            hash.update(UInt8(0))
            hash.update(chainingKey)
        }
    }
}
