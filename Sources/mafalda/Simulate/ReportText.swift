import Simulations

/// A result for people and for programs.
enum ReportText {
    static func table(_ result: SimulationResult) -> String {
        let rows = (result.timing + result.report.figures).filter { $0.value != nil }
        let width = (rows.map(\.name.count).max() ?? 0) + 2
        var text = ""
        for figure in rows { text += FigureText.padded(figure.name, width) + FigureText.short(figure.value) + "\n" }
        return text + FigureText.padded("digest", width) + result.report.digest + "\n"
            + FigureText.padded("violations", width) + String(result.report.violations.count) + "\n"
    }

    /// One object; figures that were not measured are null.
    static func json(_ result: SimulationResult) -> String {
        let report = result.report
        var members = [
            ("scenario", FigureText.quoted(report.scenario)), ("nodes", String(report.nodes)),
            ("seed", String(report.seed)), ("digest", FigureText.quoted(report.digest)),
            ("violations", String(report.violations.count)),
            (
                "violation_texts",
                "[" + report.violations.map { FigureText.quoted($0.text) }.joined(separator: ",") + "]"
            ),
            (
                "violation_rules",
                "[" + report.violations.map { FigureText.quoted($0.rule) }.joined(separator: ",") + "]"
            ),
        ]
        members += (result.timing + report.figures).map { ($0.name, FigureText.number($0.value, decimals: 6)) }
        return "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }
}
