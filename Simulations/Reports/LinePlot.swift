/// Lines over a common axis: a distribution, or something over time.
struct LinePlot {
    struct Series {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    let name: String
    let title: String
    /// With their units.
    let xLabel: String
    let yLabel: String
    let series: [Series]

    private static let colors = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b9770e", "#555555"]
    private static let frame = (left: 70.0, right: 20.0, top: 40.0, bottom: 50.0)
    private static let size = (width: 760.0, height: 420.0)
    /// More points than pixels are of no use to anybody.
    private static var mostPoints: Int { 1500 }

    /// Nil where there is nothing to show.
    var plot: Plot? {
        let shown = series.filter { $0.points.count > 1 }
        guard !shown.isEmpty else { return nil }
        let x = Axis(shown.flatMap { $0.points.map(\.x) })
        let y = Axis(shown.flatMap { $0.points.map(\.y) } + [0])
        var writer = SVGWriter(width: Self.size.width, height: Self.size.height)
        draw(x, y, &writer)
        let legendTop = Self.frame.top + 2
        for (index, line) in shown.enumerated() {
            let color = Self.colors[index % Self.colors.count]
            let step = max(1, line.points.count / Self.mostPoints)
            var places: [(x: Double, y: Double)] = []
            for (number, point) in line.points.enumerated() where number % step == 0 || number == line.points.count - 1
            {
                places.append(Self.place(point, x, y))
            }
            writer.polyline(places, color: color)
        }
        // Last, so that no line runs through it.
        writer.rectangle(
            (Self.size.width - 200, legendTop), width: 178, height: Double(shown.count) * 16 + 4, color: "white")
        for (index, line) in shown.enumerated() {
            let row = legendTop + 14 + Double(index) * 16
            writer.line(
                (Self.size.width - 190, row - 4), (Self.size.width - 170, row - 4),
                color: Self.colors[index % Self.colors.count], width: 2)
            writer.text(line.name, at: (Self.size.width - 164, row))
        }
        return Plot(name: name, svg: writer.text)
    }

    private func draw(_ x: Axis, _ y: Axis, _ writer: inout SVGWriter) {
        let bottom = Self.size.height - Self.frame.bottom
        let right = Self.size.width - Self.frame.right
        writer.text(title, at: (Self.size.width / 2, 22), anchor: "middle", size: 15)
        for tick in x.ticks {
            let place = Self.place((tick, y.low), x, y)
            writer.line((place.x, Self.frame.top), (place.x, bottom), color: "#e4e4e4")
            writer.text(FigureText.number(tick), at: (place.x, bottom + 16), anchor: "middle", size: 11)
        }
        for tick in y.ticks {
            let place = Self.place((x.low, tick), x, y)
            writer.line((Self.frame.left, place.y), (right, place.y), color: "#e4e4e4")
            writer.text(FigureText.number(tick), at: (Self.frame.left - 6, place.y + 4), anchor: "end", size: 11)
        }
        writer.line((Self.frame.left, bottom), (right, bottom), color: "#333333")
        writer.line((Self.frame.left, Self.frame.top), (Self.frame.left, bottom), color: "#333333")
        writer.text(xLabel, at: ((Self.frame.left + right) / 2, Self.size.height - 12), anchor: "middle")
        writer.text(yLabel, at: (18, (Self.frame.top + bottom) / 2), anchor: "middle", isTurned: true)
    }

    private static func place(_ point: (x: Double, y: Double), _ x: Axis, _ y: Axis) -> (x: Double, y: Double) {
        let width = size.width - frame.left - frame.right
        let height = size.height - frame.top - frame.bottom
        return (
            frame.left + (point.x - x.low) / (x.high - x.low) * width,
            size.height - frame.bottom - (point.y - y.low) / (y.high - y.low) * height
        )
    }

    /// A range that begins and ends at round numbers.
    struct Axis {
        let low: Double
        let high: Double
        let ticks: [Double]

        init(_ values: [Double]) {
            let finite = values.filter(\.isFinite)
            let least = finite.min() ?? 0
            let most = max(finite.max() ?? 1, least)
            let span = most > least ? most - least : max(1, most.magnitude)
            let step = Self.roundStep(span / 6)
            low = (least / step).rounded(.down) * step
            let top = ((least + span) / step).rounded(.up) * step
            high = top > low ? top : low + step
            let first = low
            let count = Int(((high - low) / step).rounded())
            ticks = (0...max(1, count)).map { first + Double($0) * step }
        }

        /// 1, 2 or 5 times a power of ten, at least `least`.
        private static func roundStep(_ least: Double) -> Double {
            guard least > 0, least.isFinite else { return 1 }
            var power = 1.0
            while power * 10 <= least { power *= 10 }
            while power > least { power /= 10 }
            for factor in [1.0, 2, 5, 10] where power * factor >= least { return power * factor }
            return power * 10
        }
    }
}

/// A stream's tree: the origin on top, every hop a row lower.
struct TreePlot {
    struct Entry {
        let node: Int
        /// Nil at the origin.
        let parent: Int?
        let viewers: Int
    }

    let title: String
    /// Every parent stands before its children.
    let entries: [Entry]

    private static var mostEntries: Int { 2000 }

    var plot: Plot? {
        guard !entries.isEmpty, entries.count <= Self.mostEntries else { return nil }
        var depths: [Int: Int] = [:]
        var rows: [[Entry]] = []
        for entry in entries {
            let depth = entry.parent.flatMap { depths[$0] }.map { $0 + 1 } ?? 0
            depths[entry.node] = depth
            while rows.count <= depth { rows.append([]) }
            rows[depth].append(entry)
        }
        let widest = rows.map(\.count).max() ?? 1
        let width = max(480, min(2400, Double(widest) * 24 + 80))
        var writer = SVGWriter(width: width, height: Double(rows.count) * 90 + 70)
        writer.text(title, at: (width / 2, 22), anchor: "middle", size: 15)
        var places: [Int: (x: Double, y: Double)] = [:]
        for (depth, row) in rows.enumerated() {
            // Children stand in the order of their parents, so that lines cross little.
            let ordered = row.sorted { a, b in
                let left = a.parent.flatMap { places[$0]?.x } ?? 0
                let right = b.parent.flatMap { places[$0]?.x } ?? 0
                return left == right ? a.node < b.node : left < right
            }
            for (index, entry) in ordered.enumerated() {
                let place = (
                    x: 40 + (Double(index) + 0.5) * (width - 80) / Double(ordered.count), y: 60 + Double(depth) * 90
                )
                places[entry.node] = place
                if let parent = entry.parent, let above = places[parent] { writer.line(above, place, color: "#9aa5b1") }
            }
        }
        for entry in entries {
            guard let place = places[entry.node] else { continue }
            writer.circle(
                place, radius: 5, color: entry.parent == nil ? "#c0392b" : entry.viewers > 0 ? "#1b6ca8" : "#777777")
            writer.text("\(entry.node)", at: (place.x, place.y + 18), anchor: "middle", size: 9)
        }
        writer.text(
            "red: origin, blue: with viewers, grey: relay; rows: hops", at: (40, Double(rows.count) * 90 + 58), size: 11
        )
        return Plot(name: "tree", svg: writer.text)
    }
}
