/// Writes JSON (RFC 8259) with the members in the order they are given, so that one state has one text.
///
/// The caller opens and closes what it nests; commas are the writer's business.
package struct JSONWriter: Sendable {
    package private(set) var text = ""
    private var needsComma = false

    package init() {}

    /// The text of one object whose members `body` writes.
    package static func object(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        writer.object(body)
        return writer.text
    }

    package mutating func object(_ body: (inout JSONWriter) -> Void) {
        open("{")
        body(&self)
        close("}")
    }

    package mutating func array<Element>(_ elements: [Element], _ body: (inout JSONWriter, Element) -> Void) {
        open("[")
        for element in elements { body(&self, element) }
        close("]")
    }

    package mutating func object(_ key: String, _ body: (inout JSONWriter) -> Void) {
        self.key(key)
        object(body)
    }

    package mutating func array<Element>(
        _ key: String, _ elements: [Element], _ body: (inout JSONWriter, Element) -> Void
    ) {
        self.key(key)
        array(elements, body)
    }

    package mutating func member(_ key: String, _ value: String?) {
        self.key(key)
        if let value { string(value) } else { raw("null") }
    }

    package mutating func member(_ key: String, _ value: Bool) {
        self.key(key)
        raw(value ? "true" : "false")
    }

    package mutating func member(_ key: String, _ value: some BinaryInteger) {
        self.key(key)
        raw(value.description)
    }

    /// Three decimals; null for nil and for what JSON cannot say.
    package mutating func member(_ key: String, _ value: Double?) {
        self.key(key)
        raw(value.map(Self.number) ?? "null")
    }

    package mutating func string(_ value: String) {
        raw(Self.quoted(value))
    }

    package mutating func integer(_ value: some BinaryInteger) {
        raw(value.description)
    }

    package static func number(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        // Beyond 2^43 a double has no three decimals left to round.
        guard value.magnitude < 8e12 else { return value.description }
        let rounded = (value * 1000).rounded() / 1000
        return rounded == rounded.rounded() ? Int64(rounded).description : rounded.description
    }

    package static func quoted(_ value: String) -> String {
        var out = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "\u{2028}", "\u{2029}": out += escaped(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0x7f: out += escaped(scalar)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private mutating func key(_ key: String) {
        raw(Self.quoted(key))
        text += ":"
        needsComma = false
    }

    private mutating func raw(_ value: String) {
        if needsComma { text += "," }
        text += value
        needsComma = true
    }

    private mutating func open(_ bracket: String) {
        raw(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: String) {
        text += bracket
        needsComma = true
    }
}
