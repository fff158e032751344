/// The parameters of an `a=fmtp` line as pairs, in the order and spelling of the line. Keys are compared without case.
package struct FormatParameters: Hashable, Sendable {
    private var pairs: [(key: String, value: String)] = []

    package init(_ text: some StringProtocol) {
        for piece in SDPText.fields(Substring(text), separator: UInt8(ascii: ";")) {
            let part = SDPText.trimmed(piece)
            guard !part.isEmpty else { continue }
            if let (key, value) = SDPText.halves(part, at: UInt8(ascii: "=")) {
                pairs.append((String(SDPText.trimmed(key)), String(SDPText.trimmed(value))))
            } else {
                pairs.append((String(part), ""))
            }
        }
    }

    package subscript(key: String) -> String? {
        get { pairs.first { SDPText.equalIgnoringCase($0.key[...], key) }?.value }
        set {
            let index = pairs.firstIndex { SDPText.equalIgnoringCase($0.key[...], key) }
            switch (index, newValue) {
            case (let index?, let value?): pairs[index].value = value
            case (let index?, nil): pairs.remove(at: index)
            case (nil, let value?): pairs.append((key, value))
            case (nil, nil): break
            }
        }
    }

    package func integer(_ key: String, default fallback: Int) -> Int { self[key].flatMap { Int($0) } ?? fallback }

    /// `key=value;key=value`, without blanks.
    package var text: String {
        pairs.map { $0.value.isEmpty ? $0.key : "\($0.key)=\($0.value)" }.joined(separator: ";")
    }

    package static func == (first: FormatParameters, second: FormatParameters) -> Bool { first.text == second.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
