import Simulations
import Testing

/// Numbers, distributions and pictures of reports.
@Suite struct ReportTests {
    @Test(arguments: [
        (0.0, 3, "0"), (1.0, 3, "1"), (-1.5, 3, "-1.5"), (0.1234567, 6, "0.123457"), (-0.0001, 3, "0"),
        (1234567.891, 0, "1234568"), (0.999999, 3, "1"), (1e300, 3, "1e+300"), (.nan, 3, "null"),
        (.infinity, 3, "null"),
    ])
    func numbersAreWrittenPlainly(_ value: Double, _ decimals: Int, _ expected: String) {
        #expect(FigureText.number(value, decimals: decimals) == expected)
    }

    @Test func textIsQuotedAsJSONWantsIt() {
        #expect(FigureText.quoted("a\"b\\c\nd\u{1}") == "\"a\\\"b\\\\c\\nd\\u0001\"")
    }

    @Test func quantilesAreNearestRanks() {
        var values = Distribution()
        #expect(values.quantile(0.5) == nil && values.mean == nil)
        for value in stride(from: 100.0, through: 1, by: -1) { values.add(value) }
        #expect(values.quantile(0.5) == 50 && values.quantile(0.99) == 99 && values.quantile(1) == 100)
        #expect(values.quantile(0) == 1 && values.mean == 50.5 && values.maximum == 100)
    }

    @Test func relationsHold() {
        #expect(Expectation.Relation.atLeast.holds(2, 2) && !Expectation.Relation.above.holds(2, 2))
        #expect(Expectation.Relation.atMost.holds(2, 2) && !Expectation.Relation.below.holds(2, 2))
        #expect(Expectation.Relation.equal.holds(2, 2) && !Expectation.Relation.equal.holds(2, 3))
    }
}
