/// What is wrong with a matrix file, and where. `description` is one line.
package struct MatrixError: Error, Hashable, CustomStringConvertible {
    package enum Problem: Sendable, Hashable {
        case empty
        case tooManyBytes(Int)
        case tooManyColumns(Int)
        case valueCount(Int, expected: Int)
        case lineCount(Int, expected: Int)
        case noValue
        /// The value as written, shortened to what may be printed.
        case notANumber(String)
        case negative(String)
        case tooLarge(String)
        case diagonal(String)
    }

    package let problem: Problem
    /// Both counted from 1; 0 where a problem has none. A column is a value, not a character.
    package let line: Int
    package let column: Int

    package var description: String {
        switch problem {
        case .empty: "the matrix is empty"
        case .tooManyBytes(let count): "the matrix has \(count) bytes, more than \(NetworkLimits.matrixBytes)"
        case .tooManyColumns(let count): "line \(line): \(count) values, more than \(NetworkLimits.matrixSites)"
        case .valueCount(let count, let expected): "line \(line): \(count) values, expected \(expected)"
        case .lineCount(let count, let expected): "line \(line): \(count) lines, expected \(expected)"
        case .noValue: "line \(line), column \(column): no value"
        case .notANumber(let text): "line \(line), column \(column): '\(text)' is not a number"
        case .negative(let text): "line \(line), column \(column): \(text) is negative"
        case .tooLarge(let text):
            "line \(line), column \(column): \(text) is more than \(NetworkLimits.roundTripMilliseconds) ms"
        case .diagonal(let text): "line \(line), column \(column): the diagonal must be 0, not \(text)"
        }
    }
}

/// Reads a square of numbers from text.
struct MatrixReader: ~Escapable {
    private let text: Span<UInt8>
    private var position = 0
    private var line = 1

    @_lifetime(copy text)
    init(_ text: Span<UInt8>) { self.text = text }

    mutating func readSquare() throws(MatrixError) -> (count: Int, cells: [Float]) {
        guard text.count <= NetworkLimits.matrixBytes else {
            throw MatrixError(problem: .tooManyBytes(text.count), line: 0, column: 0)
        }
        let end = textEnd
        guard end > 0 else { throw MatrixError(problem: .empty, line: 0, column: 0) }
        var cells: [Float] = []
        let expected = try readRow(into: &cells, until: end, expecting: nil)
        cells.reserveCapacity(expected * expected)
        while position < end {
            line += 1
            guard line <= expected else {
                throw MatrixError(problem: .lineCount(line, expected: expected), line: line, column: 0)
            }
            _ = try readRow(into: &cells, until: end, expecting: expected)
        }
        guard line == expected else {
            throw MatrixError(problem: .lineCount(line, expected: expected), line: line, column: 0)
        }
        return (expected, cells)
    }

    /// Where the text ends without the blank lines after it.
    private var textEnd: Int {
        var end = text.count
        while end > 0, Self.isBlank(text[end - 1]) || text[end - 1] == Self.newline { end -= 1 }
        return end
    }

    /// Reads one line and steps over its end; returns the number of its values.
    private mutating func readRow(into cells: inout [Float], until end: Int, expecting expected: Int?)
        throws(MatrixError)
        -> Int
    {
        var lineEnd = position
        var commas = 0
        while lineEnd < end, text[lineEnd] != Self.newline {
            if text[lineEnd] == Self.comma { commas += 1 }
            lineEnd += 1
        }
        let count = commas + 1
        if let expected, count != expected {
            throw MatrixError(problem: .valueCount(count, expected: expected), line: line, column: 0)
        }
        guard count <= NetworkLimits.matrixSites else {
            throw MatrixError(problem: .tooManyColumns(count), line: line, column: 0)
        }
        for column in 1...count {
            var valueEnd = position
            while valueEnd < lineEnd, text[valueEnd] != Self.comma { valueEnd += 1 }
            cells.append(Float(try value(in: position..<valueEnd, column: column)))
            position = valueEnd + 1
        }
        position = lineEnd + 1
        return count
    }

    private func value(in range: Range<Int>, column: Int) throws(MatrixError) -> Double {
        var lower = range.lowerBound
        var upper = range.upperBound
        while lower < upper, Self.isBlank(text[lower]) { lower += 1 }
        while upper > lower, Self.isBlank(text[upper - 1]) { upper -= 1 }
        func failure(_ problem: MatrixError.Problem) -> MatrixError {
            MatrixError(problem: problem, line: line, column: column)
        }
        guard lower < upper else { throw failure(.noValue) }
        let isNegative = text[lower] == Self.minus
        guard let value = DecimalText.parse(text, (isNegative ? lower + 1 : lower)..<upper) else {
            throw failure(.notANumber(shown(lower..<upper)))
        }
        guard !isNegative || value == 0 else { throw failure(.negative(shown(lower..<upper))) }
        guard value <= NetworkLimits.roundTripMilliseconds else { throw failure(.tooLarge(shown(lower..<upper))) }
        guard column != line || value == 0 else { throw failure(.diagonal(shown(lower..<upper))) }
        return value
    }

    /// The text in `range`, at most 24 characters, bytes that do not print as '?'.
    private func shown(_ range: Range<Int>) -> String {
        var result = ""
        for index in range.prefix(24) {
            result.unicodeScalars.append((0x20..<0x7f).contains(text[index]) ? Unicode.Scalar(text[index]) : "?")
        }
        return range.count > 24 ? result + "…" : result
    }

    private static var newline: UInt8 { 0x0a }
    private static var comma: UInt8 { 0x2c }
    private static var minus: UInt8 { 0x2d }
    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }
}
