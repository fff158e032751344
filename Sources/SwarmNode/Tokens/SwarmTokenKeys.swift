import SwarmCore
import SwarmCrypto

/// Where token keys come from. A node that has an operator key checks with nothing else: members hold the swarm
/// secret, and an operator key is there so that members cannot make tokens.
extension TokenKey {
    private static var label: String { "mafalda-swarm token hmac-sha256 v1" }
    private static var fileBytes: Int { 16 << 10 }

    /// The keys of both epochs of the secret, the current one first: that one signs, any of them checks.
    package static func shared(_ secret: SwarmSecret) async -> [TokenKey] {
        var keys = [await hmac(Hash.deriveKey(secret.current, label: label))]
        if let previous = secret.previous { keys.append(await hmac(Hash.deriveKey(previous, label: label))) }
        return keys
    }

    /// The operator's key in a file, private or public.
    package static func operatorKey(file path: String) async throws(FileError) -> TokenKey {
        let pem = String(validating: try PosixFile.read(path, limit: fileBytes), as: UTF8.self)
        do throws(TokenError) {
            return try await operatorKey(pem: pem ?? "")
        } catch {
            throw FileError("\(path): \(error.description)")
        }
    }
}
