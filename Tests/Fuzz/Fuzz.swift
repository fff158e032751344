import DHT
import Glibc
import MediaRelay
import Routing
import SwarmCore
import SwarmCrypto

/// What libFuzzer calls; the bodies live in the libraries. `scripts/fuzz` chooses by the environment.
private let body: @Sendable (Span<UInt8>) -> Void = {
    let name = unsafe getenv("MAFALDA_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let body = bodies[name] else { fatalError("no fuzz target named \"\(name)\"") }
    return body
}()

private let bodies: [String: @Sendable (Span<UInt8>) -> Void] = [
    "dht-messages": { DHTFuzz.parse($0) },
    "dht-records": { DHTFuzz.records($0) },
    "dht-store": { DHTFuzz.store($0) },
    "routing": { RoutingFuzz.parse($0) },
    "link": { LinkFuzz.drive($0) },
    "sdp": { SDPFuzz.parse($0) },
]

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    unsafe body(Span(_unsafeElements: UnsafeBufferPointer(start: start, count: count)))
    return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// The build gives every executable's `main` the name of its module; libFuzzer's own stays unused.
@_cdecl("fuzz_main")
func main(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var count = count
    var arguments = unsafe arguments
    return unsafe runDriver(&count, &arguments, testOneInput)
}
