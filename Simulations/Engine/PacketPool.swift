import SwarmCore

/// A datagram on its way.
package struct PacketHeader: Sendable {
    /// Index of the node it comes from, for the oracle; the receiver sees `source` only.
    package var from: UInt32
    package var to: UInt32
    package var source: NetworkAddress
    package var destination: NetworkAddress
    package var byteCount: Int
}

/// The bytes of the datagrams in flight: places of four sizes in chunks that are used again, so that a run of hours
/// allocates no more than its busiest moment needed.
@safe package struct PacketPool: ~Copyable {
    private static var sizes: [Int] { [128, 256, 512, Limits.receiveBytes] }
    private static var placesPerChunk: Int { 512 }

    @safe private struct Place {
        var header: PacketHeader
        /// Within a chunk, which outlives it.
        let bytes: UnsafeMutablePointer<UInt8>
    }

    private var places: [Place] = []
    private var chunks: [UnsafeMutablePointer<UInt8>] = unsafe []
    /// Free places by size, used last in first out.
    private var free: [[UInt32]] = Array(repeating: [], count: PacketPool.sizes.count)
    package private(set) var count = 0

    package init() {}

    deinit { for index in unsafe chunks.indices { unsafe chunks[index].deallocate() } }

    /// Keeps a copy of `bytes` (at most `Limits.receiveBytes`) until `remove`.
    package mutating func insert(_ bytes: Span<UInt8>, _ header: PacketHeader) -> UInt32 {
        let kind = Self.kind(of: bytes.count)
        if free[kind].isEmpty { addChunk(kind) }
        let index = free[kind].removeLast()
        places[Int(index)].header = header
        var target = unsafe MutableSpan(_unsafeStart: places[Int(index)].bytes, count: bytes.count)
        target.copy(bytes, to: 0)
        count += 1
        return index
    }

    package func header(_ index: UInt32) -> PacketHeader { places[Int(index)].header }

    /// Hands out the bytes, to be read or decrypted in place.
    package mutating func withBytes<Result>(
        _ index: UInt32, _ body: (inout MutableSpan<UInt8>, PacketHeader) -> Result
    ) -> Result {
        let place = places[Int(index)]
        var bytes = unsafe MutableSpan(_unsafeStart: place.bytes, count: place.header.byteCount)
        return body(&bytes, place.header)
    }

    package mutating func remove(_ index: UInt32) {
        free[Self.kind(of: places[Int(index)].header.byteCount)].append(index)
        count -= 1
    }

    private static func kind(of byteCount: Int) -> Int {
        byteCount <= 128 ? 0 : byteCount <= 256 ? 1 : byteCount <= 512 ? 2 : 3
    }

    private mutating func addChunk(_ kind: Int) {
        let size = Self.sizes[kind]
        let chunk = UnsafeMutablePointer<UInt8>.allocate(capacity: size * Self.placesPerChunk)
        unsafe chunks.append(chunk)
        let none = PacketHeader(from: 0, to: 0, source: .unspecified, destination: .unspecified, byteCount: 0)
        for place in 0..<Self.placesPerChunk {
            free[kind].append(UInt32(places.count))
            unsafe places.append(Place(header: none, bytes: chunk + place * size))
        }
    }
}
