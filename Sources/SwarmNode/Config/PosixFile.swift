import Glibc

/// Why a file could not be used, in one line.
package struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    /// `errno`, or 0 where the system did not fail.
    package let code: Int32

    package init(_ description: String, code: Int32 = 0) {
        self.description = description
        self.code = code
    }

    static func system(_ action: String, _ path: String, _ code: Int32) -> FileError {
        FileError("\(action) \(path): \(reason(code))", code: code)
    }

    private static func reason(_ code: Int32) -> String {
        switch code {
        case ENOENT: "no such file or directory"
        case EACCES, EPERM: "permission denied"
        case EISDIR: "it is a directory"
        case ENOTDIR: "a part of the path is not a directory"
        case EEXIST: "it exists already"
        case ENOSPC: "no space left"
        case EROFS: "the file system is read-only"
        case EMFILE, ENFILE: "too many open files"
        default: "error \(code)"
        }
    }
}

/// Small files by plain system calls: whole reads, and writes that are either complete or not there.
package enum PosixFile {
    /// At most `limit` bytes; a larger file is an error.
    package static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("cannot read", path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let size = chunk.count
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, size) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system("cannot read", path, errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw FileError("\(path) is larger than \(limit) bytes") }
        }
    }

    /// Replaces or makes `path` with `bytes`, mode 0600: a temporary file beside it is written, synchronised and
    /// renamed, so that a crash leaves the old contents or the new.
    package static func writeAtomically(_ path: String, _ bytes: [UInt8]) throws(FileError) {
        let temporary = "\(path).\(getpid()).tmp"
        _ = unsafe unlink(temporary)
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .system("cannot write", path, errno) }
        var failure = writeAll(descriptor, bytes)
        if failure == 0, fsync(descriptor) != 0 { failure = errno }
        close(descriptor)
        if failure == 0, unsafe rename(temporary, path) != 0 { failure = errno }
        guard failure == 0 else {
            _ = unsafe unlink(temporary)
            throw .system("cannot write", path, failure)
        }
        synchroniseDirectory(of: path)
    }

    /// Makes `path` and what is missing above it, mode 0700.
    package static func makeDirectory(_ path: String) throws(FileError) {
        var made = path.hasPrefix("/") ? "" : "."
        for component in path.split(separator: "/") {
            made += "/" + component
            if unsafe mkdir(made, 0o700) != 0 && errno != EEXIST { throw .system("cannot make", made, errno) }
        }
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw .system("cannot use", path, errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError("\(path) is not a directory") }
    }

    /// Takes rights from everybody but the owner; quietly nothing where that is not allowed.
    package static func makePrivate(_ path: String, mode: UInt32) { _ = unsafe chmod(path, mode) }

    /// 0, or the error's code.
    private static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Int32 {
        var written = 0
        while written < bytes.count {
            let start = written
            let count = unsafe bytes.withUnsafeBytes { buffer in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[start...])
                return unsafe write(descriptor, rest.baseAddress, rest.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return errno }
            written += count
        }
        return 0
    }

    private static func synchroniseDirectory(of path: String) {
        let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = unsafe open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}
