import SwarmCore
import SwarmCrypto

/// The certificate of a simulated handshake: a public value in the place of a key pair.
struct SimulatedCertificate: Sendable {
    let publicValue: Bytes32
    let fingerprint: Bytes32

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        publicValue = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        fingerprint = Self.fingerprint(of: publicValue)
    }

    static func fingerprint(of publicValue: Bytes32) -> Bytes32 { publicValue.withSpan { Hash.blake2b256($0) } }
}

/// The secret of a simulated session: tags, checks and exported keys follow from it. Anyone who reads the handshake can
/// compute it; it stands for agreement, not for secrecy.
struct SimulatedSecret: Sendable {
    private let value: Bytes32

    init(clientRandom: Bytes32, serverRandom: Bytes32, client: Bytes32, server: Bytes32) {
        value = Hash.blake2b256 { hash in
            hash.update("mafalda-swarm simulated dtls v1")
            hash.update(clientRandom)
            hash.update(serverRandom)
            hash.update(client)
            hash.update(server)
        }
    }

    /// What Finished carries: the whole handshake as its sender saw it (RFC 5246 §7.4.9, 12 bytes).
    func finished(isServer: Bool, _ transcript: Bytes32) -> [UInt8] {
        let hash = Hash.blake2b256(key: value) { hash in
            hash.update(isServer ? "server finished" : "client finished")
            hash.update(transcript)
        }
        return Array(hash.array.prefix(12))
    }

    /// Of one protected record: 16 bytes, as GCM's.
    func tag(isServer: Bool, type: UInt8, sequence: UInt64, _ content: [UInt8]) -> [UInt8] {
        let hash = Hash.blake2b256(key: value) { hash in
            hash.update(isServer ? "server record" : "client record")
            hash.update(type)
            hash.update(sequence)
            hash.update(content.span)
        }
        return Array(hash.array.prefix(16))
    }

    func exported(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var block: UInt64 = 0
        while bytes.count < count {
            let part = Hash.blake2b256(key: value) { hash in
                hash.update("EXTRACTOR-dtls_srtp")
                hash.update(block)
            }
            bytes += part.array
            block += 1
        }
        return Array(bytes.prefix(count))
    }
}

/// The form of simulated records: DTLS 1.2's headers (RFC 6347 §4.1, §4.2.2), so that demultiplexers and counters see
/// what they would see.
enum SimulatedRecord {
    enum Kind {
        static var changeCipherSpec: UInt8 { 20 }
        static var alert: UInt8 { 21 }
        static var handshake: UInt8 { 22 }
    }

    enum Message: UInt8 {
        case clientHello = 1
        case serverHello = 2
        case clientKeyExchange = 16
        case finished = 20
    }

    static var headerBytes: Int { 13 }
    static var messageHeaderBytes: Int { 12 }
    /// Explicit nonce and tag around a protected record's content.
    static var nonceBytes: Int { 8 }
    static var tagBytes: Int { 16 }

    /// A record in the clear.
    static func plain(_ type: UInt8, sequence: UInt64, _ body: [UInt8]) -> [UInt8] {
        header(type, epoch: 0, sequence: sequence, count: body.count) + body
    }

    /// A record under the session's secret.
    static func sealed(
        _ type: UInt8, sequence: UInt64, _ content: [UInt8], secret: SimulatedSecret, isServer: Bool
    ) -> [UInt8] {
        let nonce = bytes(1 << 48 | sequence, count: 8)
        let tag = secret.tag(isServer: isServer, type: type, sequence: sequence, content)
        let count = nonceBytes + content.count + tagBytes
        return header(type, epoch: 1, sequence: sequence, count: count) + nonce + content + tag
    }

    /// The content of a protected record, nil where it is not the peer's.
    static func open(_ record: Span<UInt8>, secret: SimulatedSecret, isServer: Bool) -> [UInt8]? {
        guard record.count >= headerBytes + nonceBytes + tagBytes else { return nil }
        let word = record.loadUInt64(at: 3)
        guard record.loadUInt64(at: headerBytes) == word else { return nil }
        let end = record.count - tagBytes
        let content = record.extracting((headerBytes + nonceBytes)..<end).copied()
        let tag = secret.tag(isServer: isServer, type: record[0], sequence: word & 0xffff_ffff_ffff, content)
        return record.extracting(end..<record.count).copied() == tag ? content : nil
    }

    /// A handshake message in one fragment.
    static func message(_ kind: Message, number: UInt16, _ payload: [UInt8]) -> [UInt8] {
        let length = bytes(UInt64(payload.count), count: 3)
        return [kind.rawValue] + length + bytes(UInt64(number), count: 2) + [0, 0, 0] + length + payload
    }

    /// The kind and payload of a whole message, nil for anything else.
    static func readMessage(_ body: [UInt8]) -> (kind: Message, payload: [UInt8])? {
        guard body.count >= messageHeaderBytes, let kind = Message(rawValue: body[0]) else { return nil }
        let payload = Array(body[messageHeaderBytes...])
        let length = bytes(UInt64(payload.count), count: 3)
        guard Array(body[1..<4]) == length, Array(body[6..<9]) == [0, 0, 0], Array(body[9..<12]) == length else {
            return nil
        }
        return (kind, payload)
    }

    static func bytes(_ value: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }

    private static func header(_ type: UInt8, epoch: UInt64, sequence: UInt64, count: Int) -> [UInt8] {
        [type, 0xfe, 0xfd] + bytes(epoch << 48 | sequence, count: 8) + bytes(UInt64(count), count: 2)
    }
}
