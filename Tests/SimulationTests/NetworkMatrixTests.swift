import Simulations
import Testing

@Suite struct NetworkMatrixTests {
    @Test func planetlabIsAsDescribed() throws {
        let matrix = try #require(TestMatrices.planetlab)
        #expect(matrix.siteCount == 490 && matrix.isSymmetric && matrix.hasAccessDelays)
        var values: [Double] = []
        for a in 0..<490 { for b in 0..<a { values.append(matrix.milliseconds(from: a, to: b)) } }
        values.sort()
        #expect(abs(values[values.count / 2] - 133.9) < 0.1)
        #expect(abs(values.reduce(0, +) / Double(values.count) - 145.1) < 0.1)
        #expect(abs(values[values.count * 99 / 100] - 404) < 1)
    }

    @Test func seattleIsAsDescribed() throws {
        let matrix = try #require(TestMatrices.seattle)
        #expect(matrix.siteCount == 99 && !matrix.isSymmetric)
        let values = (0..<99 * 99).map { matrix.milliseconds(from: $0 / 99, to: $0 % 99) }.sorted()
        #expect(values[98] == 0 && values[99] > 0, "0 on the diagonal only")
        #expect(abs(values[99 + 9_702 / 2] - 170) < 1)
    }

    @Test func numbersAreReadAsWritten() throws {
        let text = "0, 1.5 ,2e1\r\n1.25E+0,0,3.\r\n12.0625,\t.5,-0\r\n\n \n"
        let matrix = try LatencyMatrix(name: "three", csv: text)
        #expect(matrix.siteCount == 3 && !matrix.isSymmetric)
        #expect(matrix.milliseconds(from: 0, to: 1) == 1.5 && matrix.milliseconds(from: 0, to: 2) == 20)
        #expect(matrix.milliseconds(from: 1, to: 0) == 1.25 && matrix.milliseconds(from: 1, to: 2) == 3)
        #expect(matrix.milliseconds(from: 2, to: 0) == 12.0625 && matrix.milliseconds(from: 2, to: 1) == 0.5)
        #expect(try LatencyMatrix(name: "one", csv: "0").siteCount == 1)
    }

    @Test(arguments: [
        ("", "the matrix is empty"),
        (" \n\n", "the matrix is empty"),
        ("0,1\n1,0,2", "line 2: 3 values, expected 2"),
        ("0,1,2\n1,0,2\n2,2", "line 3: 2 values, expected 3"),
        ("0,1,2\n1,0,2", "line 2: 2 lines, expected 3"),
        ("0,1\n1,0\n0,0", "line 3: 3 lines, expected 2"),
        ("0,1\n\n1,0", "line 2: 1 values, expected 2"),
        ("0,-1.5\n1,0", "line 1, column 2: -1.5 is negative"),
        ("0,nan\n1,0", "line 1, column 2: 'nan' is not a number"),
        ("0,inf\n1,0", "line 1, column 2: 'inf' is not a number"),
        ("0,1\n1 2,0", "line 2, column 1: '1 2' is not a number"),
        ("0,1e\n1,0", "line 1, column 2: '1e' is not a number"),
        ("0,.\n1,0", "line 1, column 2: '.' is not a number"),
        ("0,0x1p3\n1,0", "line 1, column 2: '0x1p3' is not a number"),
        ("0,\u{1b}[31mä\n1,0", "line 1, column 2: '?[31m??' is not a number"),
        ("0,123456789012345678901234567890x\n1,0", "line 1, column 2: '123456789012345678901234…' is not a number"),
        ("0,\n1,0", "line 1, column 2: no value"),
        ("0,60001\n1,0", "line 1, column 2: 60001 is more than 60000.0 ms"),
        ("0,1e999\n1,0", "line 1, column 2: 1e999 is more than 60000.0 ms"),
        ("0,1\n1,5", "line 2, column 2: the diagonal must be 0, not 5"),
        (String(repeating: "0,", count: 10_000) + "0", "line 1: 10001 values, more than 10000"),
    ])
    func badMatricesAreNamedInOneLine(text: String, message: String) {
        do {
            _ = try LatencyMatrix(name: "bad", csv: text)
            Issue.record("accepted: \(text.prefix(40))")
        } catch {
            #expect(error.description == message)
        }
    }

    @Test func aMatrixBeyondTheByteLimitIsNotRead() {
        let error = #expect(throws: MatrixError.self) {
            try LatencyMatrix(name: "huge", csv: String(repeating: " ", count: NetworkLimits.matrixBytes + 1))
        }
        #expect(error?.problem == .tooManyBytes(NetworkLimits.matrixBytes + 1))
    }
}
