import Logging
import NIOSSL
import Synchronization

/// The certificate and key of the HTTPS listener: read at the start, and again when the files change, so that a
/// renewal needs no restart. Connections that exist keep what they began with.
package final class TLSFiles: Sendable {
    private struct Loaded {
        var certificate: [UInt8]
        var key: [UInt8]
        var context: NIOSSLContext
    }

    package let certificatePath: String
    package let keyPath: String
    private let loaded: Mutex<Loaded>

    /// Reads both files; throws one line of text where they cannot be read or do not belong together.
    package init(certificatePath: String, keyPath: String) throws(HTTPStartError) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        loaded = Mutex(try Self.load(certificatePath, keyPath))
    }

    package var context: NIOSSLContext { loaded.withLock { $0.context } }

    /// Takes changed files over. A pair that does not fit (a renewal half done) is left for the next time.
    /// Returns whether the context is new.
    @discardableResult
    package func reload() throws(HTTPStartError) -> Bool {
        let certificate = try Self.read(certificatePath)
        let key = try Self.read(keyPath)
        let isSame = loaded.withLock { $0.certificate == certificate && $0.key == key }
        guard !isSame else { return false }
        let fresh = try Self.load(certificatePath, keyPath)
        loaded.withLock { $0 = fresh }
        return true
    }

    /// Looks at the files every few seconds until cancelled.
    func watch(logger: Logger) async {
        var lastFailure = ""
        while (try? await Task.sleep(for: .seconds(5))) != nil {
            do {
                if try reload() { logger.info("certificate reloaded from \(certificatePath)") }
                lastFailure = ""
            } catch {
                if error.description != lastFailure {
                    logger.warning("keeping the old certificate: \(error.description)")
                }
                lastFailure = error.description
            }
        }
    }

    private static func load(_ certificatePath: String, _ keyPath: String) throws(HTTPStartError) -> Loaded {
        let certificate = try read(certificatePath)
        let key = try read(keyPath)
        let chain: [NIOSSLCertificate]
        let privateKey: NIOSSLPrivateKey
        do {
            chain = try NIOSSLCertificate.fromPEMBytes(certificate)
        } catch {
            throw HTTPStartError("\(certificatePath) is not a certificate chain in PEM form")
        }
        do {
            privateKey = try NIOSSLPrivateKey(bytes: key, format: .pem)
        } catch {
            throw HTTPStartError("\(keyPath) is not a private key in PEM form")
        }
        do {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return Loaded(certificate: certificate, key: key, context: try NIOSSLContext(configuration: configuration))
        } catch {
            throw HTTPStartError("\(certificatePath) and \(keyPath) do not belong together")
        }
    }

    /// A chain of certificates has a few kilobytes.
    private static var fileBytes: Int { 1 << 20 }

    private static func read(_ path: String) throws(HTTPStartError) -> [UInt8] {
        do throws(FileError) {
            return try PosixFile.read(path, limit: fileBytes)
        } catch {
            throw HTTPStartError(error.description)
        }
    }
}
