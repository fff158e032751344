import Glibc
import SwarmCore
import SwarmCrypto
import SwarmNode
import Testing

/// Directories under the system's temporary one, removed when the test ends.
private final class Scratch: Sendable {
    let path: String

    init() throws {
        var entropy = Entropy.system
        path = "/tmp/mafalda-test-\(entropy.uint64())"
        try PosixFile.makeDirectory(path)
    }

    deinit {
        for name in ["key", "secret", "endpoints", "peers", "lock"] {
            _ = unsafe unlink("\(path)/d/\(name)")
            _ = unsafe rmdir("\(path)/d/\(name)")
        }
        _ = unsafe rmdir(path + "/d")
        _ = unsafe rmdir(path)
    }

    func directory() throws -> DataDirectory {
        let directory = try DataDirectory(path: path + "/d", environment: [:])
        try directory.prepare()
        return directory
    }

    func mode(_ name: String) -> UInt32 {
        var status = stat()
        return unsafe stat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o777 : 0
    }

    func write(_ name: String, _ text: String) throws {
        try PosixFile.writeAtomically("\(path)/\(name)", Array(text.utf8))
    }
}

struct DataDirectoryTests {
    @Test(
        arguments: [
            ("/x", [:], "/x"), (nil, ["XDG_STATE_HOME": "/s", "HOME": "/h"], "/s/mafalda"),
            (nil, ["XDG_STATE_HOME": "s", "HOME": "/h"], "/h/.local/state/mafalda"), (nil, [:], nil),
            ("", ["HOME": ""], nil),
        ] as [(String?, [String: String], String?)])
    func resolves(flag: String?, environment: [String: String], path: String?) {
        #expect((try? DataDirectory(path: flag, environment: environment))?.path == path)
    }

    @Test func makesIdentityAndSecretOnce() throws {
        let scratch = try Scratch()
        let directory = try scratch.directory()
        #expect(try directory.loadIdentity() == nil)
        let identity = try directory.loadOrCreateIdentity()
        let secret = try directory.loadOrCreateSecret(joining: nil)
        #expect(try directory.loadOrCreateIdentity().key == identity.key)
        #expect(try directory.loadOrCreateSecret(joining: nil) == secret)
        #expect(scratch.mode("d") == 0o700)
        #expect(scratch.mode("d/key") == 0o600 && scratch.mode("d/secret") == 0o600)
    }

    @Test func keepsTheSecretItJoinedWith() throws {
        let scratch = try Scratch()
        let directory = try scratch.directory()
        let joined = Bytes32(1, 2, 3, 4)
        #expect(try directory.loadOrCreateSecret(joining: joined).current == joined)
        #expect(try directory.loadOrCreateSecret(joining: joined).current == joined)
        let error = #expect(throws: FileError.self) { try directory.loadOrCreateSecret(joining: .zero) }
        #expect(error?.description.contains("another swarm") == true)
        let changed = SwarmSecret(current: Bytes32(9, 9, 9, 9), previous: joined)
        try directory.storeSecret(changed)
        #expect(try directory.loadSecret() == changed)
        #expect(try directory.loadOrCreateSecret(joining: joined) == changed)
    }

    @Test(arguments: [
        ("key", "", "key file is empty"), ("key", "rubbish", "does not start with"),
        ("key", "mafalda-ed25519-seed x", "43 characters"),
        ("key", "\u{0}", "does not start"), ("secret", "rubbish", "not a swarm secret file"),
        ("secret", "mafalda-swarm-secret AAAA", "not a swarm secret file"),
        ("secret", "", "not a swarm secret file"),
    ])
    func refusesCorruptFiles(name: String, text: String, message: String) throws {
        let scratch = try Scratch()
        let directory = try scratch.directory()
        try scratch.write("d/" + name, text)
        let error = #expect(throws: FileError.self) {
            _ = try directory.loadOrCreateIdentity()
            _ = try directory.loadOrCreateSecret(joining: nil)
        }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("\n") == false)
        // Nothing was replaced.
        #expect(try PosixFile.read("\(scratch.path)/d/\(name)", limit: 100) == Array(text.utf8))
    }

    @Test func saysWhatItCannotRead() throws {
        let scratch = try Scratch()
        let directory = try scratch.directory()
        try PosixFile.makeDirectory(scratch.path + "/d/key")
        let error = #expect(throws: FileError.self) { try directory.loadOrCreateIdentity() }
        #expect(error?.description == "cannot read \(scratch.path)/d/key: it is a directory")
    }

    @Test func locksOutASecondProcess() throws {
        let scratch = try Scratch()
        let directory = try scratch.directory()
        do {
            let lock = try directory.lock()
            // flock(2) locks belong to the open file: a second open is as foreign as another process.
            let error = #expect(throws: FileError.self) { try directory.lock() }
            #expect(error?.description == "another mafalda is running with the data directory \(directory.path)")
            _ = lock
        }
        _ = try directory.lock()
    }

    @Test func joinsFromWhatTheNodeWrote() throws {
        let scratch = try Scratch()
        let directory = try scratch.directory()
        #expect(throws: FileError.self) { try directory.joinString() }
        let identity = try directory.loadOrCreateIdentity()
        let secret = try directory.loadOrCreateSecret(joining: nil)
        #expect(throws: FileError.self) { try directory.joinString() }
        let addresses = [NetworkAddress.loopback(port: 7788), NetworkAddress(ipv4: 0xc000_0201, port: 1)]
        try directory.storeEndpoints(addresses)
        let join = try JoinString(parsing: try directory.joinString().text)
        #expect(join.secret == secret.current)
        #expect(join.peers == addresses.map { JoinString.Peer(key: identity.key, address: $0) })
    }

    @Test func remembersPeers() throws {
        let scratch = try Scratch()
        let directory = try scratch.directory()
        #expect(try directory.loadPeers().isEmpty)
        let peers = (1...100).map {
            JoinString.Peer(key: PublicKey(Bytes32(UInt64($0), 0, 0, 0)), address: .loopback(port: UInt16($0)))
        }
        try directory.storePeers(peers)
        #expect(try directory.loadPeers() == Array(peers.prefix(DataDirectory.peerLimit)))
        try scratch.write("d/peers", "rubbish\n\nAAAA 1.2.3.4:5\n")
        #expect(try directory.loadPeers().isEmpty)
    }
}
