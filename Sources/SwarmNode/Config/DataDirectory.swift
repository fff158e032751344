import Glibc
import SwarmCore
import SwarmCrypto

/// Where a node keeps its key, the swarm secret and what it learnt, for its owner alone (0700, files 0600).
///
/// `key` (the identity), `secret` (the swarm's), `endpoints` (where this node was last reached, for `join-key`),
/// `peers` (who to ask after a restart), `lock` (held while a node runs).
package struct DataDirectory: Sendable {
    package let path: String

    private static var fileLimit: Int { 64 << 10 }
    /// Peers remembered over a restart: enough that some still live, few enough to ask them all.
    package static var peerLimit: Int { 64 }

    /// `path`, else `$XDG_STATE_HOME/mafalda`, else `~/.local/state/mafalda`. Nothing is made yet.
    package init(path: String?, environment: [String: String]) throws(FileError) {
        if let path, !path.isEmpty {
            self.path = path
        } else if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
            self.path = state + "/mafalda"
        } else if let home = environment["HOME"], !home.isEmpty {
            self.path = home + "/.local/state/mafalda"
        } else {
            throw FileError("no data directory: give --data-dir, or set HOME")
        }
    }

    /// Makes the directory where it is missing.
    package func prepare() throws(FileError) {
        try PosixFile.makeDirectory(path)
        PosixFile.makePrivate(path, mode: 0o700)
    }

    /// Claims the directory for this process, until the lock is let go.
    package func lock() throws(FileError) -> DataDirectoryLock { try DataDirectoryLock(path: file("lock"), in: path) }

    // MARK: Identity

    /// The node's identity, made on first use.
    package func loadOrCreateIdentity() throws(FileError) -> Identity {
        if let identity = try loadIdentity() { return identity }
        var entropy = Entropy.system
        let identity = Identity(from: &entropy)
        try PosixFile.writeAtomically(file("key"), Array(identity.keyFileText.utf8))
        return identity
    }

    /// Nil where no node ever ran here; a file that cannot be read or understood is an error, never replaced.
    package func loadIdentity() throws(FileError) -> Identity? {
        guard let text = try text(of: "key") else { return nil }
        do throws(KeyFileError) {
            return try Identity(keyFileText: text)
        } catch {
            throw FileError("\(file("key")): \(error.description)")
        }
    }

    // MARK: Secret

    private static var secretPrefix: String { "mafalda-swarm-secret " }
    private static var previousPrefix: String { "previous " }

    /// The swarm secret: the one kept here, else `joined` (then kept), else a new one. `joined` must agree with the
    /// one kept.
    package func loadOrCreateSecret(joining joined: Bytes32?) throws(FileError) -> SwarmSecret {
        if let secret = try loadSecret() {
            guard let joined, joined != secret.current, joined != secret.previous else { return secret }
            throw FileError(
                "\(path) belongs to another swarm than the join string; give another --data-dir, or remove "
                    + file("secret")
            )
        }
        var entropy = Entropy.system
        let secret = joined.map { SwarmSecret(current: $0) } ?? SwarmSecret(from: &entropy)
        try storeSecret(secret)
        return secret
    }

    package func loadSecret() throws(FileError) -> SwarmSecret? {
        guard let text = try text(of: "secret") else { return nil }
        let lines = text.split(separator: "\n").map(String.init)
        let wrong = FileError("\(file("secret")): not a swarm secret file")
        guard (1...2).contains(lines.count), let current = Self.secret(lines[0], after: Self.secretPrefix) else {
            throw wrong
        }
        guard lines.count == 2 else { return SwarmSecret(current: current) }
        guard let previous = Self.secret(lines[1], after: Self.previousPrefix) else { throw wrong }
        return SwarmSecret(current: current, previous: previous)
    }

    package func storeSecret(_ secret: SwarmSecret) throws(FileError) {
        var text = Self.secretPrefix + Base64URL.encode(secret.current.array) + "\n"
        if let previous = secret.previous { text += Self.previousPrefix + Base64URL.encode(previous.array) + "\n" }
        try PosixFile.writeAtomically(file("secret"), Array(text.utf8))
    }

    private static func secret(_ line: String, after prefix: String) -> Bytes32? {
        guard line.hasPrefix(prefix) else { return nil }
        return Base64URL.decode(String(line.dropFirst(prefix.count))).flatMap { Bytes32($0) }
    }

    // MARK: Endpoints and peers

    /// Addresses of the swarm socket, best first, one a line.
    package func storeEndpoints(_ addresses: [NetworkAddress]) throws(FileError) {
        let text = addresses.map { "\($0)\n" }.joined()
        try PosixFile.writeAtomically(file("endpoints"), Array(text.utf8))
    }

    package func loadEndpoints() throws(FileError) -> [NetworkAddress] {
        let lines = try text(of: "endpoints")?.split(separator: "\n") ?? []
        return lines.compactMap { NetworkAddress(text: String($0)) }
    }

    /// Peers to ask after a restart, best first, each a key and an address. What does not parse is left out: the file
    /// is a hint.
    package func storePeers(_ peers: [JoinString.Peer]) throws(FileError) {
        let lines = peers.prefix(Self.peerLimit).map { "\(Base64URL.encode($0.key.bytes.array)) \($0.address)\n" }
        try PosixFile.writeAtomically(file("peers"), Array(lines.joined().utf8))
    }

    package func loadPeers() throws(FileError) -> [JoinString.Peer] {
        let lines = try text(of: "peers")?.split(separator: "\n") ?? []
        return lines.prefix(Self.peerLimit).compactMap { line in
            let parts = line.split(separator: " ").map(String.init)
            guard parts.count == 2, let key = Base64URL.decode(parts[0]).flatMap({ Bytes32($0) }),
                let address = NetworkAddress(text: parts[1])
            else { return nil }
            return JoinString.Peer(key: PublicKey(key), address: address)
        }
    }

    /// What the next machine needs: this node's key and the endpoints it wrote when it ran. One line says why not.
    package func joinString() throws(FileError) -> JoinString {
        guard let identity = try loadIdentity(), let secret = try loadSecret() else {
            throw FileError("no node has run with \(path) yet: start one with mafalda run")
        }
        let peers = try loadEndpoints().map { JoinString.Peer(key: identity.key, address: $0) }
        guard let join = JoinString(secret: secret.current, peers: peers) else {
            throw FileError("\(file("endpoints")) names no address: start the node with mafalda run")
        }
        return join
    }

    // MARK: Files

    private func file(_ name: String) -> String { path.hasSuffix("/") ? path + name : path + "/" + name }

    /// Nil where the file is missing.
    private func text(of name: String) throws(FileError) -> String? {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try PosixFile.read(file(name), limit: Self.fileLimit)
        } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw FileError("\(file(name)): not text") }
        return text
    }
}

/// A claim on a data directory (flock(2)): the kernel lets it go when the process ends, however it ends.
package final class DataDirectoryLock: Sendable {
    private let descriptor: Int32

    fileprivate init(path: String, in directory: String) throws(FileError) {
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("cannot open", path, errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // `deinit` closes: every property is set by now.
            throw FileError("another mafalda is running with the data directory \(directory)")
        }
    }

    deinit { close(descriptor) }
}
