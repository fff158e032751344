import SwarmCore

/// The canonical binary form of a descriptor (PROTOCOL.md, "Stream descriptor").
///
/// What comes from the network will be copied into SDP answers, so every text is checked here: tokens for names and
/// rids, printable ASCII for parameters. Unknown trailing bytes of a track or of the whole are skipped, and unknown
/// extension ids are left out: they are a newer version's. A node that passes a descriptor on keeps the bytes it got.
extension StreamDescriptor {
    package enum Bounds {
        package static var tracks: Int { SDPLimits.tracks }
        package static var encodings: Int { 4 }
        package static var extensions: Int { 32 }
        package static var codecNameBytes: Int { 16 }
        package static var ridBytes: Int { 16 }
        package static var trackBytes: Int { 1_024 }
        /// A control message (1,152 bytes) less the fields that go with a descriptor in SUBSCRIBE-ACCEPT.
        package static var encodedBytes: Int { 1_024 }
        package static var formatVersion: UInt8 { 1 }
    }

    /// The canonical bytes; nil where they exceed `Bounds.encodedBytes` or a field its bound.
    package func encode() -> [UInt8]? {
        guard isValid else { return nil }
        var bytes = [UInt8](repeating: 0, count: Bounds.encodedBytes)
        var target = bytes.mutableSpan
        var writer = ByteWriter(target._mutatingExtracting(0..<Bounds.encodedBytes))
        writer.append(Bounds.formatVersion)
        writer.append(epoch)
        writer.append(version)
        writer.appendVarint(UInt64(tracks.count))
        for track in tracks {
            let body = track.encodedBody
            writer.appendLengthPrefixed(body.span)
        }
        let count = writer.count
        guard !writer.overflowed else { return nil }
        return Array(bytes[..<count])
    }

    /// Nil for anything malformed, out of bounds, or of another format version.
    package init?(decoding bytes: Span<UInt8>) {
        var reader = ByteReader(bytes)
        guard reader.readUInt8() == Bounds.formatVersion, let epoch = reader.readUInt64(),
            epoch <= VarInt.max, let version = reader.readUInt32(),
            let count = reader.readVarint(limit: UInt64(Bounds.tracks))
        else { return nil }
        var tracks: [TrackDescription] = []
        for _ in 0..<count {
            guard let body = reader.readLengthPrefixed(limit: Bounds.trackBytes),
                let track = TrackDescription(decodingBody: body)
            else { return nil }
            tracks.append(track)
        }
        self.init(epoch: epoch, version: version, tracks: tracks)
    }

    /// Whether every field is within its bound.
    package var isValid: Bool { tracks.count <= Bounds.tracks && tracks.allSatisfy(\.isValid) }
}

extension TrackDescription {
    fileprivate var isValid: Bool {
        SDPText.isToken(codec.name[...], limit: StreamDescriptor.Bounds.codecNameBytes)
            && SDPText.isPrintable(codec.formatParameters[...], limit: SDPLimits.formatParametersBytes)
            && (1...1_000_000).contains(codec.clockRate) && (1...8).contains(codec.channels)
            && (1...StreamDescriptor.Bounds.encodings).contains(encodings.count)
            && encodings.allSatisfy { encoding in
                encoding.rid.isEmpty || SDPText.isToken(encoding.rid[...], limit: StreamDescriptor.Bounds.ridBytes)
            }
    }

    fileprivate var encodedBody: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: StreamDescriptor.Bounds.trackBytes)
        var target = bytes.mutableSpan
        var writer = ByteWriter(target._mutatingExtracting(0..<StreamDescriptor.Bounds.trackBytes))
        writer.append(codec.kind.rawValue)
        writer.appendString(codec.name)
        writer.appendVarint(UInt64(codec.clockRate))
        writer.append(codec.channels)
        writer.appendString(codec.formatParameters)
        writer.appendVarint(UInt64(encodings.count))
        for encoding in encodings { writer.appendString(encoding.rid) }
        let ids = HeaderExtension.allCases.filter { extensions.contains($0) }.map(\.rawValue).sorted()
        writer.appendVarint(UInt64(ids.count))
        for id in ids { writer.append(id) }
        let count = writer.count
        return Array(bytes[..<count])
    }

    fileprivate init?(decodingBody bytes: Span<UInt8>) {
        var reader = ByteReader(bytes)
        guard let kind = reader.readUInt8().flatMap({ MediaKind(rawValue: $0) }),
            let name = reader.readString(limit: StreamDescriptor.Bounds.codecNameBytes),
            let clockRate = reader.readVarint(limit: 1_000_000), let channels = reader.readUInt8(),
            let parameters = reader.readString(limit: SDPLimits.formatParametersBytes),
            let encodingCount = reader.readVarint(limit: UInt64(StreamDescriptor.Bounds.encodings))
        else { return nil }
        var encodings: [EncodingDescription] = []
        for _ in 0..<encodingCount {
            guard let rid = reader.readString(limit: StreamDescriptor.Bounds.ridBytes) else { return nil }
            encodings.append(EncodingDescription(rid: rid))
        }
        guard let extensionCount = reader.readVarint(limit: UInt64(StreamDescriptor.Bounds.extensions)) else {
            return nil
        }
        var extensions: [HeaderExtension] = []
        var previous: UInt8 = 0
        for _ in 0..<extensionCount {
            guard let id = reader.readUInt8(), id > previous else { return nil }
            previous = id
            if let header = HeaderExtension(rawValue: id), header.isEndToEnd { extensions.append(header) }
        }
        self.init(
            codec: CodecDescription(
                kind: kind, name: name, clockRate: UInt32(truncatingIfNeeded: clockRate), channels: channels,
                formatParameters: parameters),
            encodings: encodings, extensions: extensions)
        guard isValid else { return nil }
    }
}
