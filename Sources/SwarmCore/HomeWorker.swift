/// Which media worker of a node a stream lives on: a stable hash of its name, the same in every node and every run, so
/// that a child can tell its parent's worker before it asks.
package enum HomeWorker {
    /// The worker in 0..<workers. `workers` below 1 counts as 1.
    package static func index(of stream: StreamName, workers: Int) -> Int {
        guard workers > 1 else { return 0 }
        return Int(hash(stream.text.utf8) % UInt64(workers))
    }

    /// FNV-1a, 64 bits (Fowler, Noll and Vo; RFC 9923). Spreads names over workers; no defence against chosen names.
    package static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes {
            hash ^= UInt64(byte)
            hash = hash &* 0x0000_0100_0000_01b3
        }
        return hash
    }
}
