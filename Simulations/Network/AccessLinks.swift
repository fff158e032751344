/// The sending side of an access link or path: one server, and a queue bounded by its longest wait.
///
/// Datagrams are offered in the order of their sending, so the instant at which the link is next free is all its state.
package struct Uplink: Sendable {
    /// 0: unbounded.
    package var nanosecondsPerByte: Double
    private var freeAt: UInt64 = 0

    package init(bitsPerSecond: Double?) {
        nanosecondsPerByte = bitsPerSecond.map { 8_000_000_000 / $0 } ?? 0
    }

    /// When the last bit of `bytes` offered at `now` has left; nil if the queue is full.
    @inline(__always)
    package mutating func admit(_ bytes: Int, at now: UInt64, longestWait: UInt64) -> UInt64? {
        guard nanosecondsPerByte > 0 else { return now }
        let start = max(now, freeAt)
        guard start - now <= longestWait else { return nil }
        freeAt = start + UInt64(Double(bytes) * nanosecondsPerByte)
        return freeAt
    }
}

/// The receiving side of an access link.
///
/// Datagrams are offered in the order of their *sending*, which is not that of their arrival: what comes from afar was
/// sent before what comes from near. One next-free instant would let a datagram wait for another that arrives later.
/// Instead time is cut into bins of 8.4 ms, each with the bytes the link can carry in it, and a datagram takes the
/// first free bytes at or after its arrival. Bytes are conserved bin by bin; a delay is wrong by at most one bin.
package struct Downlink: Sendable {
    /// 2²³ ns.
    private static var binShift: UInt64 { 23 }
    /// 4.3 s ahead of the sending: what arrives later still (a raised latency, the end of a clogging) is not queued.
    private static var binCount: UInt64 { 512 }
    private static var bytesMask: UInt64 { 1 << 28 - 1 }

    package let bitsPerSecond: Double?
    /// Bin number (36 bits) and bytes taken in it (28 bits); a cell of another number is an empty bin.
    private var cells: [UInt64]

    package init(bitsPerSecond: Double?) {
        self.bitsPerSecond = bitsPerSecond
        cells = Array(repeating: 0, count: Int(Self.binCount))
    }

    /// When the last bit of `bytes` has arrived, if the first reaches the link at `arrival` ≥ `now`; nil if it would
    /// wait longer than `longestWait`. `rate` in bits per second replaces the link's own while a fault lowers it.
    package mutating func admit(
        _ bytes: Int, arrivingAt arrival: UInt64, now: UInt64, longestWait: UInt64, rate: Double?
    ) -> UInt64? {
        guard let bitsPerSecond = rate ?? bitsPerSecond else { return arrival }
        let serialization = UInt64(Double(bytes) * 8_000_000_000 / bitsPerSecond)
        let first = arrival >> Self.binShift
        let deadline = arrival + longestWait + serialization
        let last = deadline >> Self.binShift
        guard last - (now >> Self.binShift) < Self.binCount else { return arrival }
        let binBytes = UInt64(bitsPerSecond * 0x1p23 / 8_000_000_000)
        var number = first
        var missing = UInt64(bytes)
        while number <= last {
            let free = binBytes - min(binBytes, used(number))
            if free >= missing { break }
            missing -= free
            number += 1
        }
        guard number <= last else { return nil }
        for full in first..<number { set(full, max(binBytes, used(full))) }
        let usedAfter = used(number) + missing
        set(number, usedAfter)
        let filled = (number << Self.binShift) + UInt64(Double(usedAfter) / Double(binBytes) * 0x1p23)
        return max(arrival + serialization, filled)
    }

    private func used(_ number: UInt64) -> UInt64 {
        let cell = cells[Int(number % Self.binCount)]
        return cell >> 28 == number ? cell & Self.bytesMask : 0
    }

    private mutating func set(_ number: UInt64, _ bytes: UInt64) {
        cells[Int(number % Self.binCount)] = number << 28 | bytes
    }
}
