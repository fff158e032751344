import SwarmCore

/// The frames inside a media link datagram (PROTOCOL.md, "Media links"). A control frame states its length, so that an
/// unknown one is skipped; a media frame is the last of its datagram and runs to its end.
package enum LinkFrame: Equatable {
    /// Nothing: proves the sender's key and address.
    case open
    case ping(UInt64)
    case pong(UInt64)
    /// The highest counter received and how many were.
    case report(highest: UInt64, received: UInt64)
    /// Low 32 bits of counters that did not arrive, four bytes each.
    case nack(counters: Range<Int>)
    case keyFrameRequest(alias: UInt32, layer: UInt8)
    case pathChallenge(UInt64)
    case pathResponse(UInt64)
    /// The child has everything of the layer below `next` but the holes (low 32 bits, four bytes each); 0 asks for
    /// the media since the last key frame.
    case resume(alias: UInt32, layer: UInt8, epoch: UInt64, next: UInt64, holes: Range<Int>)
    /// The parent's highest sequence of the layer.
    case head(alias: UInt32, epoch: UInt64, layer: UInt8, highest: UInt64)
    case clock(alias: UInt32, layer: UInt8, networkTime: UInt64, timestamp: UInt32)
    case ended(alias: UInt32)
    case media(MediaFrame)
    /// A control frame of a later version.
    case unknown

    package enum Kind {
        package static var open: UInt8 { 0x01 }
        package static var ping: UInt8 { 0x02 }
        package static var pong: UInt8 { 0x03 }
        package static var report: UInt8 { 0x04 }
        package static var nack: UInt8 { 0x05 }
        package static var keyFrameRequest: UInt8 { 0x06 }
        package static var pathChallenge: UInt8 { 0x07 }
        package static var pathResponse: UInt8 { 0x08 }
        package static var resume: UInt8 { 0x09 }
        package static var head: UInt8 { 0x0a }
        package static var clock: UInt8 { 0x0b }
        package static var ended: UInt8 { 0x0c }
        package static var media: UInt8 { 0x80 }
    }
}

/// A media frame's header; extensions and payload by their place in the datagram.
package struct MediaFrame: Equatable {
    package var alias: UInt32
    package var layer: UInt8
    package var epochTag: UInt8
    /// Low 32 bits.
    package var sequence: UInt32
    package var timestamp: UInt32
    package var marker: Bool
    package var place: FramePlace
    /// The low 32 bits of the counter that this frame was lost under, for a repair.
    package var repairedCounter: UInt32?
    package var extensions: Range<Int>
    package var payload: Range<Int>

    /// One byte that tells publications apart; HEAD and RESUME carry the whole epoch.
    package static func tag(ofEpoch epoch: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: Mixer.mix(epoch) >> 56)
    }
}

/// Reads frames front to back; ends at the first malformed one.
package struct LinkFrameIterator {
    private var offset: Int
    private let end: Int
    package private(set) var isMalformed = false

    /// Frames lie in `range` of the datagram.
    package init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    package mutating func next(in datagram: Span<UInt8>) -> LinkFrame? {
        guard offset < end else { return nil }
        if datagram[offset] & LinkFrame.Kind.media != 0 {
            let start = offset
            offset = end
            guard let frame = Self.media(datagram.extracting(start..<end), base: start) else { return fail() }
            return .media(frame)
        }
        // A zero byte is padding.
        if datagram[offset] == 0 {
            while offset < end, datagram[offset] == 0 { offset += 1 }
            return next(in: datagram)
        }
        guard offset + 2 <= end else { return fail() }
        let kind = datagram[offset]
        let start = offset + 2
        let length = Int(datagram[offset + 1])
        guard start + length <= end else { return fail() }
        offset = start + length
        guard let frame = Self.control(kind, datagram.extracting(start..<offset), base: start) else { return fail() }
        return frame
    }

    private mutating func fail() -> LinkFrame? {
        isMalformed = true
        offset = end
        return nil
    }

    private static func control(_ kind: UInt8, _ body: Span<UInt8>, base: Int) -> LinkFrame? {
        var reader = ByteReader(body)
        switch kind {
        case LinkFrame.Kind.open: return .open
        case LinkFrame.Kind.ping: return reader.readUInt64().map { .ping($0) }
        case LinkFrame.Kind.pong: return reader.readUInt64().map { .pong($0) }
        case LinkFrame.Kind.report:
            guard let highest = reader.readVarint(), let received = reader.readVarint() else { return nil }
            return .report(highest: highest, received: received)
        case LinkFrame.Kind.nack:
            guard body.count > 0, body.count % 4 == 0 else { return nil }
            return .nack(counters: base..<(base + body.count))
        case LinkFrame.Kind.keyFrameRequest:
            guard let alias = reader.readAlias(), let layer = reader.readLayer() else { return nil }
            return .keyFrameRequest(alias: alias, layer: layer)
        case LinkFrame.Kind.pathChallenge: return reader.readUInt64().map { .pathChallenge($0) }
        case LinkFrame.Kind.pathResponse: return reader.readUInt64().map { .pathResponse($0) }
        case LinkFrame.Kind.resume:
            guard let alias = reader.readAlias(), let layer = reader.readLayer(), let epoch = reader.readVarint(),
                let next = reader.readVarint(), reader.remaining % 4 == 0
            else { return nil }
            let holes = (base + reader.offset)..<(base + body.count)
            return .resume(alias: alias, layer: layer, epoch: epoch, next: next, holes: holes)
        case LinkFrame.Kind.head:
            guard let alias = reader.readAlias(), let layer = reader.readLayer(), let epoch = reader.readVarint(),
                let highest = reader.readVarint()
            else { return nil }
            return .head(alias: alias, epoch: epoch, layer: layer, highest: highest)
        case LinkFrame.Kind.clock:
            guard let alias = reader.readAlias(), let layer = reader.readLayer(), let time = reader.readUInt64(),
                let timestamp = reader.readUInt32()
            else { return nil }
            return .clock(alias: alias, layer: layer, networkTime: time, timestamp: timestamp)
        case LinkFrame.Kind.ended: return reader.readAlias().map { .ended(alias: $0) }
        default: return .unknown
        }
    }

    private static func media(_ body: Span<UInt8>, base: Int) -> MediaFrame? {
        var reader = ByteReader(body)
        guard let flags = reader.readUInt8(), let alias = reader.readAlias(), let layer = reader.readLayer(),
            let epochTag = reader.readUInt8(), let sequence = reader.readUInt32(), let timestamp = reader.readUInt32()
        else { return nil }
        var repaired: UInt32?
        if flags & MediaFrameFlags.isRepair != 0 {
            guard let counter = reader.readUInt32() else { return nil }
            repaired = counter
        }
        var extensionCount = 0
        if flags & MediaFrameFlags.hasExtensions != 0 {
            guard let count = reader.readUInt8() else { return nil }
            extensionCount = Int(count)
        }
        let start = reader.offset
        guard start + extensionCount <= body.count else { return nil }
        return MediaFrame(
            alias: alias, layer: layer, epochTag: epochTag, sequence: sequence, timestamp: timestamp,
            marker: flags & MediaFrameFlags.marker != 0,
            place: FramePlace(
                startsFrame: flags & MediaFrameFlags.startsFrame != 0,
                startsKeyFrame: flags & MediaFrameFlags.startsKeyFrame != 0),
            repairedCounter: repaired, extensions: (base + start)..<(base + start + extensionCount),
            payload: (base + start + extensionCount)..<(base + body.count))
    }
}

enum MediaFrameFlags {
    static var marker: UInt8 { 0x01 }
    static var startsFrame: UInt8 { 0x02 }
    static var startsKeyFrame: UInt8 { 0x04 }
    static var hasExtensions: UInt8 { 0x08 }
    static var isRepair: UInt8 { 0x10 }
}

extension ByteReader {
    fileprivate mutating func readAlias() -> UInt32? {
        readVarint(limit: UInt64(UInt32.max)).map { UInt32(truncatingIfNeeded: $0) }
    }
    /// Track times four plus encoding, below 64.
    fileprivate mutating func readLayer() -> UInt8? { readUInt8().flatMap { $0 < 64 ? $0 : nil } }
}

/// Frames of ours; each call appends one.
extension ByteWriter {
    @_lifetime(self: copy self)
    package mutating func appendOpen() { appendControl(LinkFrame.Kind.open, count: 0) }

    @_lifetime(self: copy self)
    package mutating func appendWord(_ kind: UInt8, _ value: UInt64) {
        appendControl(kind, count: 8)
        append(value)
    }

    /// Values above a varint's range are cut to it.
    @_lifetime(self: copy self)
    package mutating func appendLinkReport(highest: UInt64, received: UInt64) {
        appendControl(LinkFrame.Kind.report, count: VarInt.byteCount(of: highest) + VarInt.byteCount(of: received))
        appendVarint(min(highest, VarInt.max))
        appendVarint(min(received, VarInt.max))
    }

    @_lifetime(self: copy self)
    package mutating func appendKeyFrameRequest(alias: UInt32, layer: UInt8) {
        appendControl(LinkFrame.Kind.keyFrameRequest, count: VarInt.byteCount(of: UInt64(alias)) + 1)
        appendVarint(UInt64(alias))
        append(layer)
    }

    /// The caller appends `holeCount` low words of missing sequences, at most 48.
    @_lifetime(self: copy self)
    package mutating func appendResumeHead(alias: UInt32, layer: UInt8, epoch: UInt64, next: UInt64, holeCount: Int) {
        precondition(holeCount <= 48, "\(holeCount) holes")
        let fixed = VarInt.byteCount(of: UInt64(alias)) + 1 + VarInt.byteCount(of: epoch) + VarInt.byteCount(of: next)
        appendControl(LinkFrame.Kind.resume, count: fixed + holeCount * 4)
        appendVarint(UInt64(alias))
        append(layer)
        appendVarint(min(epoch, VarInt.max))
        appendVarint(min(next, VarInt.max))
    }

    @_lifetime(self: copy self)
    package mutating func appendHead(alias: UInt32, layer: UInt8, epoch: UInt64, highest: UInt64) {
        let count =
            VarInt.byteCount(of: UInt64(alias)) + 1 + VarInt.byteCount(of: epoch) + VarInt.byteCount(of: highest)
        appendControl(LinkFrame.Kind.head, count: count)
        appendVarint(UInt64(alias))
        append(layer)
        appendVarint(min(epoch, VarInt.max))
        appendVarint(min(highest, VarInt.max))
    }

    @_lifetime(self: copy self)
    package mutating func appendClock(alias: UInt32, layer: UInt8, networkTime: UInt64, timestamp: UInt32) {
        appendControl(LinkFrame.Kind.clock, count: VarInt.byteCount(of: UInt64(alias)) + 13)
        appendVarint(UInt64(alias))
        append(layer)
        append(networkTime)
        append(timestamp)
    }

    @_lifetime(self: copy self)
    package mutating func appendEnded(alias: UInt32) {
        appendControl(LinkFrame.Kind.ended, count: VarInt.byteCount(of: UInt64(alias)))
        appendVarint(UInt64(alias))
    }

    /// The head of a NACK; the caller appends `count` low words of counters, at most 63.
    @_lifetime(self: copy self)
    package mutating func appendLinkNackHead(count: Int) {
        precondition(count <= 63, "\(count) counters")
        appendControl(LinkFrame.Kind.nack, count: count * 4)
    }

    /// A media frame: the last of its datagram.
    @_lifetime(self: copy self)
    package mutating func appendMedia(
        _ packet: StoredPacket, bytes: Span<UInt8>, alias: UInt32, layer: UInt8, epochTag: UInt8,
        repairing counter: UInt64?
    ) {
        var flags = LinkFrame.Kind.media
        if packet.marker { flags |= MediaFrameFlags.marker }
        if packet.place.startsFrame { flags |= MediaFrameFlags.startsFrame }
        if packet.place.startsKeyFrame { flags |= MediaFrameFlags.startsKeyFrame }
        if packet.extensionCount > 0 { flags |= MediaFrameFlags.hasExtensions }
        if counter != nil { flags |= MediaFrameFlags.isRepair }
        append(flags)
        appendVarint(UInt64(alias))
        append(layer)
        append(epochTag)
        append(UInt32(truncatingIfNeeded: packet.sequence))
        append(packet.timestamp)
        if let counter { append(UInt32(truncatingIfNeeded: counter)) }
        if packet.extensionCount > 0 { append(UInt8(truncatingIfNeeded: packet.extensionCount)) }
        append(bytes)
    }

    @_lifetime(self: copy self)
    private mutating func appendControl(_ kind: UInt8, count: Int) {
        append(kind)
        append(UInt8(truncatingIfNeeded: count))
    }
}
