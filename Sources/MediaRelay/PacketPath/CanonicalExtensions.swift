import SwarmCore

/// Which header extension each id of a publisher's session means. Ids are per session: bundled media sections share
/// them (RFC 8843 §9.2 with RFC 8285 §6).
struct PublisherExtensionIDs: Sendable {
    /// Canonical value by the publisher's id, 0 for none.
    private var canonical = InlineArray<256, UInt8>(repeating: 0)

    /// The first meaning of an id stays.
    mutating func add(_ mappings: [ExtensionMapping]) {
        for mapping in mappings where mapping.id != 0 && canonical[Int(mapping.id)] == 0 {
            canonical[Int(mapping.id)] = mapping.header.rawValue
        }
    }

    func header(for id: UInt8) -> HeaderExtension? { HeaderExtension(rawValue: canonical[Int(id)]) }
}

/// The id by which a viewer's session knows each header extension, 0 where it was not negotiated.
struct ViewerExtensionIDs: Sendable {
    private var ids = InlineArray<16, UInt8>(repeating: 0)

    mutating func add(_ mappings: [ExtensionMapping]) {
        for mapping in mappings where ids[Int(mapping.header.rawValue)] == 0 {
            ids[Int(mapping.header.rawValue)] = mapping.id
        }
    }

    func id(for header: HeaderExtension) -> UInt8 { ids[Int(header.rawValue)] }
    func id(forCanonical value: UInt8) -> UInt8 { value < 16 ? ids[Int(value)] : 0 }
}

/// What ingest learns from a packet's extensions: those that describe the media, in canonical form, and the places
/// of those that end here.
struct IngestExtensions {
    var mid: Range<Int>?
    var transportSequence: UInt16?
    var place: FramePlace?

    /// Reads the extensions of `header` in `packet` and writes the canonical form of the end-to-end ones to `canonical`.
    static func read(
        _ header: RTPHeader, of packet: Span<UInt8>, ids: borrowing PublisherExtensionIDs, canonical: inout ByteWriter
    ) -> IngestExtensions {
        var found = IngestExtensions()
        var elements = HeaderExtensionIterator(header)
        while let (id, range) = elements.next(in: packet) {
            guard let meaning = ids.header(for: id) else { continue }
            switch meaning {
            case .mid: found.mid = range
            case .transportSequence where range.count >= 2:
                found.transportSequence = packet.loadUInt16(at: range.lowerBound)
            case .dependencyDescriptor: found.place = FramePlace.inspect(dependencyDescriptor: packet.extracting(range))
            default: break
            }
            guard meaning.isEndToEnd, canonical.remaining >= 2 + range.count else { continue }
            canonical.append(meaning.rawValue)
            canonical.append(UInt8(truncatingIfNeeded: range.count))
            canonical.append(packet.extracting(range))
        }
        return found
    }
}

/// At most 32 bytes of UTF-8 held in place: a mid (RFC 8843 §15 keeps them to a few bytes).
struct ShortText: Sendable {
    private var bytes = InlineArray<32, UInt8>(repeating: 0)
    private(set) var count = 0

    /// Cut to 32 bytes.
    init(_ text: String) {
        for byte in text.utf8.prefix(32) {
            bytes[count] = byte
            count += 1
        }
    }

    subscript(index: Int) -> UInt8 { bytes[index] }
}

/// The extensions that every packet to one viewer's track carries, beside those that came with the media.
struct HopExtensions {
    /// Nil where this packet must be reproducible bit for bit: a retransmission without RTX is the same ciphertext, so
    /// nothing that changes from one sending to the next may be in it.
    var transportSequence: UInt16?
    /// 6.18 fixed-point seconds.
    var absoluteSendTime: UInt32?
}

extension ByteWriter {
    /// Appends an RTP header extension (RFC 8285) made of the viewer's mid, the hop's values and the media's canonical
    /// extensions under the viewer's ids, and sets the header's X bit; nothing when there is none.
    @_lifetime(self: copy self)
    mutating func appendViewerExtensions(
        canonical: Span<UInt8>, mid: ShortText, hop: HopExtensions, ids: ViewerExtensionIDs
    ) {
        let midID = mid.count > 0 ? ids.id(for: .mid) : 0
        let sequenceID = hop.transportSequence == nil ? 0 : ids.id(for: .transportSequence)
        let timeID = hop.absoluteSendTime == nil ? 0 : ids.id(for: .absoluteSendTime)
        var needsTwoBytes = max(midID, sequenceID, timeID) > 14 || mid.count > 16
        var isEmpty = midID == 0 && sequenceID == 0 && timeID == 0
        var offset = 0
        while offset + 2 <= canonical.count {
            let length = Int(canonical[offset + 1])
            let id = ids.id(forCanonical: canonical[offset])
            if id != 0 {
                isEmpty = false
                if id > 14 || length == 0 || length > 16 { needsTwoBytes = true }
            }
            offset += 2 + length
        }
        guard !isEmpty else { return }
        let start = count
        append(needsTwoBytes ? UInt16(0x1000) : UInt16(0xbede))
        append(UInt16(0))
        if midID != 0 {
            appendElement(midID, count: mid.count, isTwoByte: needsTwoBytes)
            for index in 0..<mid.count { append(mid[index]) }
        }
        if sequenceID != 0, let sequence = hop.transportSequence {
            appendElement(sequenceID, count: 2, isTwoByte: needsTwoBytes)
            append(sequence)
        }
        if timeID != 0, let time = hop.absoluteSendTime {
            appendElement(timeID, count: 3, isTwoByte: needsTwoBytes)
            append(UInt8(truncatingIfNeeded: time >> 16))
            append(UInt16(truncatingIfNeeded: time))
        }
        offset = 0
        while offset + 2 <= canonical.count {
            let length = Int(canonical[offset + 1])
            let id = ids.id(forCanonical: canonical[offset])
            if id != 0, offset + 2 + length <= canonical.count {
                appendElement(id, count: length, isTwoByte: needsTwoBytes)
                append(canonical.extracting((offset + 2)..<(offset + 2 + length)))
            }
            offset += 2 + length
        }
        let body = count - start - 4
        append(repeating: 0, count: (4 - body % 4) % 4)
        let words = (body + 3) / 4
        guard !overflowed else { return }
        var bytes = written()
        bytes.store(UInt16(truncatingIfNeeded: words), at: start + 2)
        bytes[start - 12] |= 0x10
    }

    @_lifetime(self: copy self)
    private mutating func appendElement(_ id: UInt8, count: Int, isTwoByte: Bool) {
        if isTwoByte {
            append(id)
            append(UInt8(truncatingIfNeeded: count))
        } else {
            append(id << 4 | UInt8(truncatingIfNeeded: count - 1))
        }
    }

    /// The twelve fixed bytes of an RTP packet (RFC 3550 §5.1); extensions may follow at once.
    @_lifetime(self: copy self)
    package mutating func appendRTPHeader(
        marker: Bool, payloadType: UInt8, sequence: UInt16, timestamp: UInt32, ssrc: UInt32
    ) {
        append(UInt8(0x80))
        append(payloadType & 0x7f | (marker ? 0x80 : 0))
        append(sequence)
        append(timestamp)
        append(ssrc)
    }
}
