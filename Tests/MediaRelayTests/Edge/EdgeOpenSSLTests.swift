import Foundation
import MediaRelay
import SwarmCore
import Testing

/// The `openssl` tool as an independent DTLS peer, over real sockets: its exported keys must open our SRTP.
@Suite(.serialized, .enabled(if: OpenSSLPeer.isInstalled)) struct EdgeOpenSSLTests {
    @Test(arguments: [
        (DTLSRole.server, "SRTP_AES128_CM_SHA1_80", SRTPProfile.aes128CMSHA1With80BitTag, 1200),
        (.server, "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM", .aes128GCM, 256),
        (.server, "SRTP_AEAD_AES_256_GCM", .aes256GCM, 256),
        (.client, "SRTP_AES128_CM_SHA1_80", .aes128CMSHA1With80BitTag, 1200),
        (.client, "SRTP_AEAD_AES_128_GCM", .aes128GCM, 256),
    ])
    func connectAndAgreeOnKeys(role: DTLSRole, offered: String, profile: SRTPProfile, mtu: Int) async throws {
        let peer = try OpenSSLPeer(
            isServer: role == .client, profiles: offered, exportedBytes: profile.exportedByteCount, mtu: mtu)
        defer { peer.stop() }
        let ours = try DTLSCertificate(at: testNow())
        let configuration = TransportConfiguration(
            iceRole: .lite, local: EdgePair.serverCredentials, remote: EdgePair.clientCredentials,
            remoteFingerprint: peer.fingerprint, dtlsRole: role)
        let end = EdgeEnd(configuration, certificate: ours, address: peer.ourAddress, seed: 1, at: testNow())
        try peer.start()

        let clock = ContinuousClock()
        let start = clock.now
        var isChecked = false
        var milliseconds: Int64 = 0
        while !end.isConnected, !end.hasEnded, milliseconds < 15_000 {
            milliseconds =
                start.duration(to: clock.now).components.seconds * 1000
                + start.duration(to: clock.now).components.attoseconds / 1_000_000_000_000_000
            let now = testNow(milliseconds)
            while let datagram = peer.receive() {
                if !isChecked { check(end, from: peer.theirAddress, at: now) }
                isChecked = true
                end.receive(datagram, from: peer.theirAddress, at: now)
            }
            // As DTLS client we speak first, as soon as the tool listens.
            if role == .client, !isChecked, milliseconds > 300 {
                check(end, from: peer.theirAddress, at: now)
                isChecked = true
            }
            end.advance(to: now)
            for sent in end.takeSent() where sent.bytes[0] > 3 { peer.send(sent.bytes) }
            try await clock.sleep(for: .milliseconds(5))
        }
        try #require(end.isConnected, "\(end.signals) \(peer.output)")

        var exported: [UInt8] = []
        for _ in 0..<200 where exported.isEmpty {
            exported = peer.keyingMaterial
            if exported.isEmpty { try await clock.sleep(for: .milliseconds(20)) }
        }
        let cut = SRTPSessionKeys(profile: profile, exported: exported.span, isServer: role == .client)
        let keys = try #require(cut, "\(peer.output)")
        let theirs = SRTPEnd(keys)
        let (packet, header) = rtpPacket(sequence: 1, ssrc: 2, payload: [1, 2, 3])
        let mine = try #require(end.protectRTP(packet, headerLength: header, index: 1))
        #expect(theirs.unprotectRTP(mine) == packet)
        let other = try #require(theirs.protectRTP(packet, headerLength: header, index: 1))
        #expect(end.receive(other, from: peer.theirAddress, at: testNow(milliseconds)) == packet)
    }

    /// The tool knows no ICE: its address passes a check made here.
    private func check(_ end: EdgeEnd, from source: NetworkAddress, at now: Now) {
        var out = Outbox(byteCapacity: 1024, datagramCapacity: 1)
        out.append(to: source, capacity: STUNWriter.capacity) { writer in
            STUNWriter.begin(.request, STUNTransactionID(high: 1, low: 1), &writer)
            let names = (Array("serv".utf8), Array("clie".utf8))
            STUNWriter.appendUsername(names.0.span, names.1.span, &writer)
            STUNWriter.finish(HMACSHA1Key(EdgePair.serverCredentials.password), &writer)
        }
        let bytes = out.bytes(of: 0).copied()
        end.receive(bytes, from: source, at: now)
    }
}

/// `openssl s_client` or `s_server` with a certificate of its own, and the socket it talks to.
private final class OpenSSLPeer {
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl") }

    let fingerprint: Bytes32
    let ourAddress: NetworkAddress
    let theirAddress: NetworkAddress
    private let folder: URL
    private let socketDescriptor: Int32
    private let process = Process()
    private let outputFile: URL

    init(isServer: Bool, profiles: String, exportedBytes: Int, mtu: Int) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("edge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        outputFile = folder.appendingPathComponent("output")
        let (key, certificate) = (folder.appendingPathComponent("key").path, folder.appendingPathComponent("cert").path)
        _ = try Self.run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=peer",
            "-keyout", key, "-out", certificate, "-days", "2",
        ])
        let text = try Self.run(["x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"])
        fingerprint = try #require(Bytes32(hexBytes(String(text.split(separator: "=").last ?? ""))))
        let (descriptor, ourPort) = try #require(Self.boundSocket())
        let theirPort = try #require(Self.freePort())
        socketDescriptor = descriptor
        ourAddress = .loopback(port: ourPort)
        theirAddress = .loopback(port: theirPort)
        var arguments = isServer ? ["s_server", "-port", "\(theirPort)", "-Verify", "1"] : ["s_client"]
        if !isServer { arguments += ["-connect", "127.0.0.1:\(ourPort)", "-bind", "127.0.0.1:\(theirPort)"] }
        arguments += [
            "-dtls1_2", "-cert", certificate, "-key", key, "-use_srtp", profiles, "-mtu", "\(mtu)",
            "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "\(exportedBytes)",
        ]
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
    }

    func start() throws {
        _ = FileManager.default.createFile(atPath: outputFile.path, contents: nil)
        let output = try FileHandle(forWritingTo: outputFile)
        process.standardOutput = output
        process.standardError = output
        process.standardInput = Pipe()
        try process.run()
    }

    func stop() {
        if process.isRunning { process.terminate() }
        close(socketDescriptor)
        try? FileManager.default.removeItem(at: folder)
    }

    var output: String { (try? String(contentsOf: outputFile, encoding: .utf8)) ?? "" }

    /// What the tool prints after `Keying material: `.
    var keyingMaterial: [UInt8] {
        for line in output.split(separator: "\n") where line.contains("Keying material: ") {
            return hexBytes(String(line.split(separator: ":").last ?? ""))
        }
        return []
    }

    func receive() -> [UInt8]? {
        var buffer: [UInt8] = Array(repeating: 0, count: 2048)
        let count = unsafe recv(socketDescriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count > 0 ? Array(buffer.prefix(count)) : nil
    }

    func send(_ bytes: [UInt8]) {
        var address = Self.socketAddress(port: theirAddress.port)
        unsafe withUnsafePointer(to: &address) { pointer in
            _ = unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe sendto(socketDescriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func socketAddress(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    /// A port that is free and stays so until the tool binds it: the system gives none below 32768 to the many tests that
    /// run beside this one and ask for any.
    private static func freePort() -> UInt16? {
        for _ in 0..<100 {
            guard let (descriptor, port) = boundSocket(port: .random(in: 16_384..<32_768)) else { continue }
            close(descriptor)
            return port
        }
        return nil
    }

    private static func boundSocket(port: UInt16 = 0) -> (Int32, UInt16)? {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = socketAddress(port: port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let done = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard done else {
            close(descriptor)
            return nil
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    private static func run(_ arguments: [String]) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: bytes, as: UTF8.self)
    }
}
