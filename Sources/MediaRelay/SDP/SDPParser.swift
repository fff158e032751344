/// Reads a session description line by line. Lenient where clients differ (LF for CRLF, order of lines, empty lines
/// at the end), strict where leniency would let bytes of one client reach another unseen.
struct SDPParser {
    private var description = SessionDescription(origin: "")
    private var line = 0

    mutating func parse(_ text: String) throws(SDPError) -> SessionDescription {
        guard text.utf8.count <= SDPLimits.textBytes else { throw SDPError(line: 0, reason: .tooLong) }
        var sawVersion = false
        for raw in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            line += 1
            let bytes = raw.last == UInt8(ascii: "\r") ? raw.dropLast() : raw
            if bytes.isEmpty { continue }
            guard bytes.count <= SDPLimits.lineBytes else { throw fault(.lineTooLong) }
            guard !bytes.contains(where: { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7f }) else {
                throw fault(.controlCharacter)
            }
            let content = Substring(bytes)
            guard bytes.count >= 2, let kind = bytes.first, bytes.dropFirst().first == UInt8(ascii: "=") else {
                throw fault(.notALine)
            }
            let value = Substring(content.utf8.dropFirst(2))
            if !sawVersion {
                guard kind == UInt8(ascii: "v"), SDPText.trimmed(value) == "0" else { throw fault(.versionExpected) }
                sawVersion = true
                continue
            }
            try take(kind, value)
        }
        guard sawVersion else { throw SDPError(line: 0, reason: .empty) }
        return description
    }

    private mutating func take(_ kind: UInt8, _ value: Substring) throws(SDPError) {
        switch kind {
        case UInt8(ascii: "o"):
            guard SDPText.fields(value).count == 6 else { throw fault(.badOrigin) }
            description.origin = String(value)
        case UInt8(ascii: "s"): description.name = String(value)
        case UInt8(ascii: "c"): try takeConnection(value)
        case UInt8(ascii: "m"): try takeMedia(value)
        case UInt8(ascii: "a"): try takeAttribute(value)
        case UInt8(ascii: "a")...UInt8(ascii: "z"): break
        default: throw fault(.notALine)
        }
    }

    private mutating func takeConnection(_ value: Substring) throws(SDPError) {
        let fields = SDPText.fields(value)
        guard fields.count == 3, fields[0] == "IN", fields[1] == "IP4" || fields[1] == "IP6",
            let address = SDPText.fields(fields[2], separator: UInt8(ascii: "/")).first
        else { throw fault(.badConnection) }
        if description.media.isEmpty {
            description.connection = String(address)
        } else {
            description.media[description.media.count - 1].connection = String(address)
        }
    }

    private mutating func takeMedia(_ value: Substring) throws(SDPError) {
        guard description.media.count < SDPLimits.mediaSections else { throw fault(.tooManyMediaSections) }
        let fields = SDPText.fields(value)
        // A port may carry a count, `5004/2`: the layered encodings it was meant for are not ours, so it is dropped.
        guard fields.count >= 4, let portText = SDPText.fields(fields[1], separator: UInt8(ascii: "/")).first,
            let port = UInt16(portText), SDPText.isToken(fields[0], limit: 32)
        else { throw fault(.badMedia) }
        guard fields.count - 3 <= SDPLimits.formatsPerSection else { throw fault(.tooManyFormats) }
        description.media.append(
            SessionDescription.MediaSection(
                media: String(fields[0]), port: port, transportProtocol: String(fields[2]),
                formats: fields[3...].map { String($0) }))
    }

    private mutating func takeAttribute(_ value: Substring) throws(SDPError) {
        let halves = SDPText.halves(value, at: UInt8(ascii: ":"))
        let name = halves?.head ?? SDPText.trimmed(value)
        guard !name.isEmpty else { throw fault(.badAttribute) }
        let attribute = SessionDescription.Attribute(
            String(name), String(halves.map { SDPText.trimmed($0.tail) } ?? ""))
        let last = description.media.count - 1
        let count = last < 0 ? description.attributes.count : description.media[last].attributes.count
        guard count < SDPLimits.attributesPerSection else { throw fault(.tooManyAttributes) }
        if last < 0 {
            description.attributes.append(attribute)
        } else {
            description.media[last].attributes.append(attribute)
        }
    }

    private func fault(_ reason: SDPError.Reason) -> SDPError { SDPError(line: line, reason: reason) }
}
