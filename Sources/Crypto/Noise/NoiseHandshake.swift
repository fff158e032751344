import SwarmCore

/// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b (Noise Protocol Framework, revision 34):
///
///     <- s
///     ...
///     -> e, es, s, ss
///     <- e, ee, se, psk
///
/// A value: copy it before reading a message that may be forged, and keep the copy where it was. The initiator calls
/// `writeInitiation`, `readResponse`; the responder `readInitiation`, `agreeResponse`, `writeResponse`; then `split`.
package struct NoiseHandshake: Sendable {
    /// Ephemeral key, sealed static key, tag of the payload.
    package static var initiationOverhead: Int { 32 + 48 + 16 }
    /// Ephemeral key, tag of the payload.
    package static var responseOverhead: Int { 32 + 16 }

    private var symmetric: SymmetricState
    private let suite: CryptoSuite
    private let staticPair: AgreementKeyPair
    private var ephemeralPair: AgreementKeyPair?
    /// The peer's static key: known beforehand to the initiator, learnt from message 1 by the responder.
    package private(set) var remoteStatic: Bytes32
    /// The peer's ephemeral key, once received.
    package private(set) var remoteEphemeral = Bytes32.zero

    /// The initiator's state. `responderKey` is the responder's static key.
    package init(initiator pair: AgreementKeyPair, responderKey: Bytes32, prologue: Span<UInt8>, suite: CryptoSuite) {
        self.init(pair, responderKey: responderKey, prologue: prologue, suite: suite)
        remoteStatic = responderKey
    }

    package init(responder pair: AgreementKeyPair, prologue: Span<UInt8>, suite: CryptoSuite) {
        self.init(pair, responderKey: pair.publicKey, prologue: prologue, suite: suite)
    }

    private init(_ pair: AgreementKeyPair, responderKey: Bytes32, prologue: Span<UInt8>, suite: CryptoSuite) {
        symmetric = SymmetricState(protocolName: "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b", suite: suite)
        symmetric.mixHash(prologue)
        symmetric.mixHash(responderKey)
        self.suite = suite
        staticPair = pair
        remoteStatic = .zero
    }

    /// The handshake's transcript so far (Noise §11.2 calls its last value the handshake hash).
    package var hash: Bytes64 { symmetric.hash }
    /// The chaining key, from which further secrets may be derived.
    var chainingKey: Bytes64 { symmetric.chainingKey }

    /// Appends message 1 with whatever plaintext `payload` writes. False for a responder key of small order.
    @_lifetime(writer: copy writer)
    package mutating func writeInitiation(
        ephemeral: AgreementKeyPair, into writer: inout ByteWriter, payload: (inout ByteWriter) -> Void
    ) -> Bool {
        ephemeralPair = ephemeral
        writer.append(ephemeral.publicKey)
        symmetric.mixHash(ephemeral.publicKey)
        symmetric.mixKey(ephemeral.publicKey)
        guard let ephemeralStatic = suite.agree(ephemeral, with: remoteStatic) else { return false }
        symmetric.mixKey(ephemeralStatic)
        let ownStatic = staticPair.publicKey
        sealTail(of: &writer) { $0.append(ownStatic) }
        guard let staticStatic = suite.agree(staticPair, with: remoteStatic) else { return false }
        symmetric.mixKey(staticStatic)
        sealTail(of: &writer, payload)
        return true
    }

    /// Reads message 1 in place and returns where its plaintext lies, or nil where it is not genuine.
    package mutating func readInitiation(_ message: inout MutableSpan<UInt8>) -> Range<Int>? {
        guard message.count >= Self.initiationOverhead,
            let ephemeral = Bytes32(message.span.extracting(0..<32))
        else { return nil }
        remoteEphemeral = ephemeral
        symmetric.mixHash(ephemeral)
        symmetric.mixKey(ephemeral)
        guard let ephemeralStatic = suite.agree(staticPair, with: ephemeral) else { return nil }
        symmetric.mixKey(ephemeralStatic)
        guard open(&message, 32..<80), let remote = Bytes32(message.span.extracting(32..<64)) else { return nil }
        remoteStatic = remote
        guard let staticStatic = suite.agree(staticPair, with: remote) else { return nil }
        symmetric.mixKey(staticStatic)
        guard open(&message, 80..<message.count) else { return nil }
        return 80..<(message.count - CryptoSuite.tagByteCount)
    }

    /// The responder's key agreements and the pre-shared key: everything of message 2 but its bytes, so that the
    /// session's keys are known before the payload is.
    package mutating func agreeResponse(ephemeral: AgreementKeyPair, presharedKey: Bytes32) -> Bool {
        ephemeralPair = ephemeral
        symmetric.mixHash(ephemeral.publicKey)
        symmetric.mixKey(ephemeral.publicKey)
        guard let ephemeralEphemeral = suite.agree(ephemeral, with: remoteEphemeral) else { return false }
        symmetric.mixKey(ephemeralEphemeral)
        guard let staticEphemeral = suite.agree(ephemeral, with: remoteStatic) else { return false }
        symmetric.mixKey(staticEphemeral)
        symmetric.mixKeyAndHash(presharedKey)
        return true
    }

    /// Appends message 2, after `agreeResponse`.
    @_lifetime(writer: copy writer)
    package mutating func writeResponse(into writer: inout ByteWriter, payload: (inout ByteWriter) -> Void) {
        writer.append(ephemeralPair?.publicKey ?? .zero)
        sealTail(of: &writer, payload)
    }

    /// Reads the initiator's copy of message 2 up to the payload, in the order of `agreeResponse`.
    package mutating func agreeResponse(from message: Span<UInt8>, presharedKey: Bytes32) -> Bool {
        guard message.count >= Self.responseOverhead, let ephemeralPair,
            let ephemeral = Bytes32(message.extracting(0..<32))
        else { return false }
        remoteEphemeral = ephemeral
        symmetric.mixHash(ephemeral)
        symmetric.mixKey(ephemeral)
        guard let ephemeralEphemeral = suite.agree(ephemeralPair, with: ephemeral) else { return false }
        symmetric.mixKey(ephemeralEphemeral)
        guard let staticEphemeral = suite.agree(staticPair, with: ephemeral) else { return false }
        symmetric.mixKey(staticEphemeral)
        symmetric.mixKeyAndHash(presharedKey)
        return true
    }

    /// Decrypts message 2's payload in place, after `agreeResponse(from:)`, and returns where it lies.
    package mutating func readResponse(_ message: inout MutableSpan<UInt8>) -> Range<Int>? {
        guard message.count >= Self.responseOverhead, open(&message, 32..<message.count) else { return nil }
        return 32..<(message.count - CryptoSuite.tagByteCount)
    }

    /// The transport keys, when message 2 has been written or read.
    package func split() -> (initiatorToResponder: Bytes32, responderToInitiator: Bytes32) { symmetric.split() }

    @_lifetime(writer: copy writer)
    private mutating func sealTail(of writer: inout ByteWriter, _ body: (inout ByteWriter) -> Void) {
        let start = writer.count
        body(&writer)
        writer.append(repeating: 0, count: CryptoSuite.tagByteCount)
        guard !writer.overflowed else { return }
        var written = writer.written()
        var tail = written._mutatingExtracting(start..<written.count)
        symmetric.encryptAndHash(&tail)
    }

    private mutating func open(_ message: inout MutableSpan<UInt8>, _ range: Range<Int>) -> Bool {
        var part = message._mutatingExtracting(range)
        return symmetric.decryptAndHash(&part)
    }
}
