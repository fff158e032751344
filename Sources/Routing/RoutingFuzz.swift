import SwarmCore
import SwarmCrypto

/// Bodies for fuzzers and tests: whatever the bytes, nothing may trap.
package enum RoutingFuzz {
    /// Parses `bytes` as every message and list there is.
    package static func parse(_ bytes: Span<UInt8>) {
        var refusals = Counters<RoutingRefusal>()
        var reader = ByteReader(bytes)
        _ = NewsList.read(from: &reader, .real, refusals: &refusals)
        _ = NewsEntry.parse(bytes, .real)
        reader = ByteReader(bytes)
        _ = MemberDescription(from: &reader, .real)
        reader = ByteReader(bytes)
        _ = SubscribeMessage(from: &reader)
        reader = ByteReader(bytes)
        _ = AcceptMessage(from: &reader)
        reader = ByteReader(bytes)
        _ = KeepMessage(from: &reader)
        reader = ByteReader(bytes)
        _ = Advertisement(from: &reader)
    }
}
