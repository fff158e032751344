/// A picture of a report, as SVG text.
package struct Plot: Sendable {
    /// A file's name, without ending.
    package let name: String
    package let svg: String

    package init(name: String, svg: String) {
        self.name = name
        self.svg = svg
    }
}

/// Writes SVG elements one after the other.
struct SVGWriter {
    let width: Double
    let height: Double
    private var body = ""

    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    /// The whole picture, on white.
    var text: String {
        let size = "\(Self.number(width)) \(Self.number(height))"
        return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(size)\" width=\"\(Self.number(width))\" "
            + "height=\"\(Self.number(height))\" font-family=\"sans-serif\" font-size=\"12\">\n"
            + "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" + body + "</svg>\n"
    }

    mutating func line(_ a: (x: Double, y: Double), _ b: (x: Double, y: Double), color: String, width: Double = 1) {
        body +=
            "<line x1=\"\(Self.number(a.x))\" y1=\"\(Self.number(a.y))\" x2=\"\(Self.number(b.x))\" "
            + "y2=\"\(Self.number(b.y))\" stroke=\"\(color)\" stroke-width=\"\(Self.number(width))\"/>\n"
    }

    mutating func polyline(_ points: [(x: Double, y: Double)], color: String) {
        let list = points.map { Self.number($0.x) + "," + Self.number($0.y) }.joined(separator: " ")
        body += "<polyline points=\"\(list)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"1.5\"/>\n"
    }

    mutating func rectangle(_ corner: (x: Double, y: Double), width: Double, height: Double, color: String) {
        body +=
            "<rect x=\"\(Self.number(corner.x))\" y=\"\(Self.number(corner.y))\" width=\"\(Self.number(width))\" "
            + "height=\"\(Self.number(height))\" fill=\"\(color)\"/>\n"
    }

    mutating func circle(_ center: (x: Double, y: Double), radius: Double, color: String) {
        body +=
            "<circle cx=\"\(Self.number(center.x))\" cy=\"\(Self.number(center.y))\" r=\"\(Self.number(radius))\" "
            + "fill=\"\(color)\"/>\n"
    }

    /// `anchor` is `start`, `middle` or `end`.
    mutating func text(
        _ text: String, at place: (x: Double, y: Double), anchor: String = "start", size: Double = 12,
        isTurned: Bool = false
    ) {
        let x = Self.number(place.x)
        let y = Self.number(place.y)
        let turn = isTurned ? " transform=\"rotate(-90 \(x) \(y))\"" : ""
        body +=
            "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\" font-size=\"\(Self.number(size))\"\(turn)>"
            + Self.escaped(text) + "</text>\n"
    }

    private static func number(_ value: Double) -> String { FigureText.number(value, decimals: 2) }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "&": out += "&amp;"
            default: out.append(character)
            }
        }
        return out
    }
}
