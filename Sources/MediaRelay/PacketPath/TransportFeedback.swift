import SwarmCore

/// Remembers when each transport-wide sequence number arrived and reports it to the sender
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01): what lets a browser estimate its path and ramp up.
package struct TransportFeedbackBuilder: Sendable {
    private static let capacity = 1024
    /// Arrival in nanoseconds, 0 where missing; cell `sequence % capacity`.
    private var arrivals: [UInt64]
    private var unwrapper = SequenceUnwrapper()
    /// The first number the next report covers.
    private var nextToReport: UInt64?
    private var feedbackCount: UInt8 = 0
    /// Whether something arrived since the last report.
    package private(set) var hasNews = false

    package init() { arrivals = Array(repeating: 0, count: Self.capacity) }

    package mutating func arrived(_ sequence: UInt16, at now: MonotonicInstant) {
        let highest = unwrapper.highest
        let number = unwrapper.unwrap(sequence)
        if let highest {
            // Too old to be told from the lap before.
            guard number + UInt64(Self.capacity) > highest else { return }
            if number > highest {
                let skipped = number - highest - 1
                if skipped >= UInt64(Self.capacity) {
                    for index in arrivals.indices { arrivals[index] = 0 }
                } else if skipped > 0 {
                    for lost in (highest + 1)..<number { arrivals[Int(lost % UInt64(Self.capacity))] = 0 }
                }
            }
        }
        arrivals[Int(number % UInt64(Self.capacity))] = max(1, now.nanoseconds)
        if let next = nextToReport {
            // A late one is reported again from there.
            if number < next { nextToReport = number }
        } else {
            nextToReport = number
        }
        hasNews = true
    }

    /// Appends one feedback packet over what arrived since the last; false when there was nothing (left) to say.
    /// Call until it returns false.
    package mutating func append(to writer: inout ByteWriter, sender: UInt32, media: UInt32) -> Bool {
        guard hasNews, let highest = unwrapper.highest, var first = nextToReport else { return false }
        first = max(first, highest >= UInt64(Self.capacity) ? highest - UInt64(Self.capacity) + 1 : 0)
        // The report begins with a number that arrived, whose time is the reference.
        while first <= highest, arrival(first) == 0 { first += 1 }
        guard first <= highest else {
            finish(highest)
            return false
        }
        let reference = arrival(first) / 64_000_000
        var end = first
        var previous = Int64(reference &* 256)
        var deltaBytes = 0
        // As many as one datagram surely holds: two bytes of delta and two bits of status each.
        while end <= highest, end - first < 480 {
            let time = arrival(end)
            if time != 0 {
                let ticks = Int64(time / 250_000)
                let delta = ticks - previous
                guard let _ = Int16(exactly: delta) else { break }
                deltaBytes += (0...255).contains(delta) ? 1 : 2
                previous = ticks
            }
            end += 1
        }
        write(first..<end, reference: reference, deltaBytes: deltaBytes, to: &writer, sender: sender, media: media)
        if end > highest { finish(highest) } else { nextToReport = end }
        return true
    }

    private mutating func finish(_ highest: UInt64) {
        nextToReport = highest + 1
        hasNews = false
    }

    private func arrival(_ number: UInt64) -> UInt64 { arrivals[Int(number % UInt64(Self.capacity))] }

    private mutating func write(
        _ range: Range<UInt64>, reference: UInt64, deltaBytes: Int, to writer: inout ByteWriter, sender: UInt32,
        media: UInt32
    ) {
        let count = Int(range.upperBound - range.lowerBound)
        // Vectors of seven two-bit symbols: plain, and a tenth of the packet at most.
        let chunkCount = (count + 6) / 7
        let bodyBytes = 8 + chunkCount * 2 + deltaBytes
        let padding = (4 - bodyBytes % 4) % 4
        writer.appendRTCPHeader(
            type: RTCPPacket.transportFeedback, count: 15, words: 2 + (bodyBytes + padding) / 4)
        writer.append(sender)
        writer.append(media)
        writer.append(UInt16(truncatingIfNeeded: range.lowerBound))
        writer.append(UInt16(count))
        let head = UInt32(truncatingIfNeeded: reference) & 0xff_ffff
        writer.append(head << 8 | UInt32(feedbackCount))
        feedbackCount &+= 1
        appendChunks(range, reference: reference, to: &writer)
        appendDeltas(range, reference: reference, to: &writer)
        writer.append(repeating: 0, count: padding)
    }

    private func appendChunks(_ range: Range<UInt64>, reference: UInt64, to writer: inout ByteWriter) {
        var previous = Int64(reference &* 256)
        var chunk: UInt16 = 0xc000
        var filled = 0
        for number in range {
            let time = arrival(number)
            var symbol: UInt16 = 0
            if time != 0 {
                let ticks = Int64(time / 250_000)
                symbol = (0...255).contains(ticks - previous) ? 1 : 2
                previous = ticks
            }
            chunk |= symbol << UInt16(12 - filled * 2)
            filled += 1
            if filled == 7 {
                writer.append(chunk)
                chunk = 0xc000
                filled = 0
            }
        }
        if filled > 0 { writer.append(chunk) }
    }

    private func appendDeltas(_ range: Range<UInt64>, reference: UInt64, to writer: inout ByteWriter) {
        var previous = Int64(reference &* 256)
        for number in range {
            let time = arrival(number)
            guard time != 0 else { continue }
            let ticks = Int64(time / 250_000)
            let delta = ticks - previous
            previous = ticks
            if (0...255).contains(delta) {
                writer.append(UInt8(truncatingIfNeeded: delta))
            } else {
                writer.append(UInt16(bitPattern: Int16(truncatingIfNeeded: delta)))
            }
        }
    }
}

/// Reads a transport-wide feedback body (after the two SSRCs), packet by packet.
package struct TransportFeedbackReader {
    package let baseSequence: UInt16
    package let statusCount: Int
    /// In units of 64 ms, signed 24 bits.
    package let referenceTime: Int32
    private let chunkEnd: Int
    private var index = 0
    private var chunkOffset = 8
    private var deltaOffset: Int
    private var chunk: UInt16 = 0
    private var chunkRemaining = 0
    private var chunkLength = 0
    private var ticks: Int64

    /// Nil where the chunks or the deltas overrun the body.
    package init?(_ body: Span<UInt8>) {
        guard body.count >= 8 else { return nil }
        baseSequence = body.loadUInt16(at: 0)
        statusCount = Int(body.loadUInt16(at: 2))
        // A browser reports on at most a few hundred packets at a time; 65,535 in 20 bytes is an attack on our time.
        guard statusCount <= Self.statusLimit else { return nil }
        referenceTime = Int32(bitPattern: body.loadUInt32(at: 4)) >> 8
        ticks = Int64(referenceTime) * 256
        var covered = 0
        var deltaBytes = 0
        var offset = 8
        while covered < statusCount {
            guard offset + 2 <= body.count else { return nil }
            let chunk = body.loadUInt16(at: offset)
            let length = min(Self.length(of: chunk), statusCount - covered)
            guard length > 0 else { return nil }
            if chunk & 0x8000 == 0 {
                deltaBytes += length * Self.deltaBytes(Self.symbol(chunk, 0))
            } else {
                for position in 0..<length { deltaBytes += Self.deltaBytes(Self.symbol(chunk, position)) }
            }
            covered += length
            offset += 2
        }
        guard offset + deltaBytes <= body.count else { return nil }
        chunkEnd = offset
        deltaOffset = offset
    }

    private static var statusLimit: Int { 2048 }

    /// The next packet: its number, and its arrival in ticks of 250 µs, or nil where it did not arrive.
    package mutating func next(in body: Span<UInt8>) -> (sequence: UInt16, arrival: Int64?)? {
        guard index < statusCount else { return nil }
        if chunkRemaining == 0 {
            chunk = body.loadUInt16(at: chunkOffset)
            chunkOffset += 2
            chunkLength = min(Self.length(of: chunk), statusCount - index)
            chunkRemaining = chunkLength
        }
        let symbol = Self.symbol(chunk, chunkLength - chunkRemaining)
        chunkRemaining -= 1
        let sequence = baseSequence &+ UInt16(truncatingIfNeeded: index)
        index += 1
        switch symbol {
        case 1:
            ticks += Int64(body[deltaOffset])
            deltaOffset += 1
            return (sequence, ticks)
        case 2:
            ticks += Int64(Int16(bitPattern: body.loadUInt16(at: deltaOffset)))
            deltaOffset += 2
            return (sequence, ticks)
        default: return (sequence, nil)
        }
    }

    private static func length(of chunk: UInt16) -> Int {
        if chunk & 0x8000 == 0 { return Int(chunk & 0x1fff) }
        return chunk & 0x4000 == 0 ? 14 : 7
    }

    private static func symbol(_ chunk: UInt16, _ position: Int) -> Int {
        if chunk & 0x8000 == 0 { return Int(chunk >> 13 & 3) }
        if chunk & 0x4000 == 0 { return Int(chunk >> UInt16(13 - position) & 1) }
        return Int(chunk >> UInt16(12 - position * 2) & 3)
    }

    private static func deltaBytes(_ symbol: Int) -> Int { symbol == 1 ? 1 : symbol == 2 ? 2 : 0 }
}
