import SwarmCore

/// Reads the subset of Matroska (RFC 9559) that WebM files of VP8, VP9, H264 and Opus use: unlaced SimpleBlocks and
/// BlockGroups, clusters and segments of known or unknown size. Other elements are skipped.
package struct WebMReader {
    private let bytes: [UInt8]
    private var scale: Int64 = 1_000_000
    private var tracks: [(number: UInt64, track: MediaClip.Track)] = []
    private var frames: [MediaClip.Frame] = []

    package static func read(_ bytes: [UInt8]) throws(ClipError) -> MediaClip {
        guard bytes.count <= ClipLimits.bytes else { throw .tooLarge }
        var reader = WebMReader(bytes: bytes)
        try reader.readFile()
        guard !reader.tracks.isEmpty else { throw .noTracks }
        guard !reader.frames.isEmpty else { throw .noFrames }
        return MediaClip(tracks: reader.tracks.map(\.track), frames: reader.frames, bytes: bytes)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func readFile() throws(ClipError) {
        var cursor = EBMLCursor(0..<bytes.count)
        guard bytes.starts(with: [0x1a, 0x45, 0xdf, 0xa3]) else { throw .notWebM }
        _ = try cursor.next(in: bytes)
        while let element = try cursor.next(in: bytes) {
            guard element.id == .segment else { continue }
            try readSegment(element.body)
            return
        }
        throw .notWebM
    }

    private mutating func readSegment(_ body: Range<Int>) throws(ClipError) {
        var cursor = EBMLCursor(body)
        while let element = try cursor.next(in: bytes) {
            switch element.id {
            case .info: try readInfo(element.body)
            case .tracks: try readTracks(element.body)
            case .cluster:
                let end = try readCluster(element)
                cursor.jump(to: end)
            default:
                if element.isUnbounded { throw .malformed }
            }
        }
    }

    private mutating func readInfo(_ body: Range<Int>) throws(ClipError) {
        var cursor = EBMLCursor(body)
        while let element = try cursor.next(in: bytes) {
            guard element.id == .timestampScale else { continue }
            let value = element.unsigned(in: bytes)
            guard (1...1_000_000_000).contains(value) else { throw .malformed }
            scale = Int64(value)
        }
    }

    private mutating func readTracks(_ body: Range<Int>) throws(ClipError) {
        var cursor = EBMLCursor(body)
        while let element = try cursor.next(in: bytes) {
            guard element.id == .trackEntry, tracks.count < SDPLimits.tracks else { continue }
            try readTrackEntry(element.body)
        }
    }

    private mutating func readTrackEntry(_ body: Range<Int>) throws(ClipError) {
        var number: UInt64 = 0
        var codecID = ""
        var track = MediaClip.Track(codec: KnownCodec.vp8.description(), width: 0, height: 0, privateData: [])
        var cursor = EBMLCursor(body)
        while let element = try cursor.next(in: bytes) {
            switch element.id {
            case .trackNumber: number = element.unsigned(in: bytes)
            case .codecID: codecID = String(decoding: bytes[element.body], as: UTF8.self)
            case .codecPrivate: track.privateData = Array(bytes[element.body])
            case .video:
                var inner = EBMLCursor(element.body)
                while let field = try inner.next(in: bytes) {
                    if field.id == .pixelWidth { track.width = UInt16(clamping: field.unsigned(in: bytes)) }
                    if field.id == .pixelHeight { track.height = UInt16(clamping: field.unsigned(in: bytes)) }
                }
            default: break
            }
        }
        guard let codec = Self.codec(codecID), !tracks.contains(where: { $0.number == number }) else { return }
        var parameters = FormatParameters("")
        switch codec {
        case .opus: parameters = FormatParameters("minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1")
        case .h264:
            parameters = FormatParameters("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
        default: break
        }
        track.codec = codec.description(parameters: parameters)
        tracks.append((number, track))
    }

    private static func codec(_ id: String) -> KnownCodec? {
        switch id {
        case "V_VP8": .vp8
        case "V_VP9": .vp9
        case "V_MPEG4/ISO/AVC": .h264
        case "A_OPUS": .opus
        default: nil
        }
    }

    /// Returns where the cluster ends: one of unknown size ends where an element of the level above begins.
    private mutating func readCluster(_ cluster: EBMLElement) throws(ClipError) -> Int {
        var clusterTime: Int64 = 0
        var cursor = EBMLCursor(cluster.body)
        while true {
            let start = cursor.offset
            guard let element = try cursor.next(in: bytes) else { return cursor.offset }
            switch element.id {
            case .timestamp: clusterTime = Int64(clamping: element.unsigned(in: bytes))
            case .simpleBlock: try readBlock(element.body, clusterTime: clusterTime, isKey: nil)
            case .blockGroup: try readBlockGroup(element.body, clusterTime: clusterTime)
            case .cluster, .cues, .tags, .info, .tracks, .seekHead, .attachments, .chapters:
                guard cluster.isUnbounded else { throw .malformed }
                return start
            default: break
            }
        }
    }

    private mutating func readBlockGroup(_ body: Range<Int>, clusterTime: Int64) throws(ClipError) {
        var block: Range<Int>?
        var isKey = true
        var cursor = EBMLCursor(body)
        while let element = try cursor.next(in: bytes) {
            if element.id == .block { block = element.body }
            if element.id == .referenceBlock { isKey = false }
        }
        if let block { try readBlock(block, clusterTime: clusterTime, isKey: isKey) }
    }

    /// RFC 9559 §10.1: track number, signed 16-bit time relative to the cluster, flags, data. Key frames are marked in
    /// SimpleBlocks by a flag, in BlockGroups by the lack of a reference.
    private mutating func readBlock(_ body: Range<Int>, clusterTime: Int64, isKey: Bool?) throws(ClipError) {
        var cursor = EBMLCursor(body)
        guard let number = cursor.variableInteger(in: bytes, keepsMarker: false),
            cursor.offset + 3 <= body.upperBound
        else { throw .malformed }
        let offset = cursor.offset
        let relative = Int16(bitPattern: UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]))
        let flags = bytes[offset + 2]
        guard flags & 0x06 == 0 else { throw .laced }
        guard let track = tracks.firstIndex(where: { $0.number == number }) else { return }
        guard frames.count < ClipLimits.frames else { throw .tooLarge }
        let ticks = clusterTime.addingReportingOverflow(Int64(relative)).partialValue
        let (time, overflow) = ticks.multipliedReportingOverflow(by: scale)
        // A hundred days: far beyond any clip, and far from the end of the arithmetic.
        guard !overflow, time.magnitude < 8_640_000_000_000_000 else { throw .malformed }
        guard offset + 3 < body.upperBound else { return }
        let isAudio = tracks[track].track.codec.kind == .audio
        frames.append(
            MediaClip.Frame(
                track: track, time: Interval(nanoseconds: time), isKey: isAudio || (isKey ?? (flags & 0x80 != 0)),
                range: (offset + 3)..<body.upperBound))
    }
}

/// An EBML element (RFC 8794): its id with the marker bits, and where its content lies.
private struct EBMLElement {
    enum ID: UInt64 {
        case segment = 0x1853_8067
        case seekHead = 0x114d_9b74
        case info = 0x1549_a966
        case timestampScale = 0x2a_d7b1
        case tracks = 0x1654_ae6b
        case trackEntry = 0xae
        case trackNumber = 0xd7
        case codecID = 0x86
        case codecPrivate = 0x63a2
        case video = 0xe0
        case pixelWidth = 0xb0
        case pixelHeight = 0xba
        case cluster = 0x1f43_b675
        case timestamp = 0xe7
        case simpleBlock = 0xa3
        case blockGroup = 0xa0
        case block = 0xa1
        case referenceBlock = 0xfb
        case cues = 0x1c53_bb6b
        case tags = 0x1254_c367
        case attachments = 0x1941_a469
        case chapters = 0x1043_a770
        case other = 0
    }

    var id: ID
    var body: Range<Int>
    /// Size unknown: the body reaches to the end of the parent.
    var isUnbounded: Bool

    /// Big-endian, of at most eight bytes; longer ones read as their last eight.
    func unsigned(in bytes: [UInt8]) -> UInt64 {
        bytes[body].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Walks the elements of one parent.
private struct EBMLCursor {
    private(set) var offset: Int
    private let end: Int

    init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    /// Continues at `offset`, which may lie before the end of an element of unknown size, but behind its head.
    mutating func jump(to offset: Int) { self.offset = min(offset, end) }

    mutating func next(in bytes: [UInt8]) throws(ClipError) -> EBMLElement? {
        guard offset < end else { return nil }
        let start = offset
        guard let id = variableInteger(in: bytes, keepsMarker: true) else { throw .malformed }
        let sizeStart = offset
        guard let size = variableInteger(in: bytes, keepsMarker: false) else { throw .truncated }
        let width = offset - sizeStart
        let isUnbounded = size == (1 << UInt64(7 * width)) - 1
        guard offset - start <= 12 else { throw .malformed }
        let count = isUnbounded ? end - offset : Int(clamping: size)
        guard count <= end - offset else { throw .truncated }
        let element = EBMLElement(
            id: EBMLElement.ID(rawValue: id) ?? .other, body: offset..<(offset + count), isUnbounded: isUnbounded)
        // A cluster or segment of unknown size is entered by its reader, which says where it ended.
        offset += count
        return element
    }

    /// RFC 8794 §4: the first byte's leading zeros are the count of bytes that follow.
    mutating func variableInteger(in bytes: [UInt8], keepsMarker: Bool) -> UInt64? {
        guard offset < end, bytes[offset] != 0 else { return nil }
        let width = bytes[offset].leadingZeroBitCount + 1
        guard width <= end - offset else { return nil }
        var value = UInt64(bytes[offset])
        if !keepsMarker { value &= (1 << UInt64(8 - width)) - 1 }
        for index in (offset + 1)..<(offset + width) { value = value << 8 | UInt64(bytes[index]) }
        offset += width
        return value
    }
}
