import CSwarmShims
import SwarmCore

/// What the operating system refused while a loop or a socket was being set up. Nothing that happens to packets later
/// is an error: that is counted.
package enum EventLoopError: Error, Hashable, CustomStringConvertible {
    /// Another process (or this one) holds the port.
    case portBusy(NetworkAddress)
    /// The port is below the range an unprivileged process may bind.
    case portForbidden(NetworkAddress)
    /// The machine has no such address.
    case addressNotAvailable(NetworkAddress)
    case socket(NetworkAddress, errno: Int32)
    case descriptors(errno: Int32)
    /// The loop watches as many sockets as it may (`LoopLimits.sockets`).
    case tooManySockets
    case thread(name: String, errno: Int32)
    case loop(code: Int32)

    init(binding address: NetworkAddress, errno: Int32) {
        switch errno {
        case SystemError.addressInUse: self = .portBusy(address)
        case SystemError.accessDenied: self = .portForbidden(address)
        case SystemError.addressNotAvailable: self = .addressNotAvailable(address)
        case SystemError.tooManyFiles, SystemError.tooManyFilesInSystem: self = .descriptors(errno: errno)
        default: self = .socket(address, errno: errno)
        }
    }

    /// One line for an operator.
    package var description: String {
        switch self {
        case .portBusy(let address): "udp port \(address.port) on \(address.host) is already in use"
        case .portForbidden(let address): "not allowed to open udp port \(address.port) on \(address.host)"
        case .addressNotAvailable(let address):
            "cannot open udp port \(address.port): this machine has no address \(address.host)"
        case .socket(let address, let errno):
            "cannot open udp port \(address.port) on \(address.host): \(SystemError.text(errno))"
        case .descriptors(let errno): "cannot open a socket: \(SystemError.text(errno))"
        case .tooManySockets: "this thread already has \(LoopLimits.sockets) sockets"
        case .thread(let name, let errno): "cannot start thread \(name): \(SystemError.text(errno))"
        case .loop(let code): "cannot start an event loop: \(SystemError.text(-code))"
        }
    }
}

/// The error numbers this module tells apart (Linux, errno(3)).
enum SystemError {
    static var tryAgain: Int32 { 11 }
    static var outOfMemory: Int32 { 12 }
    static var accessDenied: Int32 { 13 }
    static var invalidArgument: Int32 { 22 }
    static var tooManyFilesInSystem: Int32 { 23 }
    static var tooManyFiles: Int32 { 24 }
    static var inputOutput: Int32 { 5 }
    static var notPermitted: Int32 { 1 }
    static var messageTooLong: Int32 { 90 }
    static var protocolOptionUnknown: Int32 { 92 }
    static var notSupported: Int32 { 95 }
    static var addressInUse: Int32 { 98 }
    static var addressNotAvailable: Int32 { 99 }
    static var networkUnreachable: Int32 { 101 }
    static var noBufferSpace: Int32 { 105 }
    static var connectionRefused: Int32 { 111 }
    static var hostDown: Int32 { 112 }
    static var hostUnreachable: Int32 { 113 }

    static func text(_ errno: Int32) -> String {
        var message: [CChar] = Array(repeating: 0, count: 128)
        var buffer = message.mutableSpan
        unsafe buffer.withUnsafeMutableBufferPointer { bytes in
            unsafe swarm_error_text(errno, bytes.baseAddress, bytes.count)
        }
        let end = message.firstIndex(of: 0) ?? message.count
        return String(decoding: message[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
