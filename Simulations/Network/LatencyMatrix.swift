import CSimulationData

/// Round-trip times between sites, as measured somewhere: what distances a simulated network has.
///
/// Node i of a simulation sits at a site, and RTT(a, b) is the sites' RTT plus a short way of its own for each node;
/// two nodes of one site have only those ways between them. One way takes half of the value in its direction, so a
/// matrix that is not symmetric makes ways that are not.
package struct LatencyMatrix: Sendable {
    package let name: String
    package let siteCount: Int
    /// Whether every pair has one value in both directions.
    package let isSymmetric: Bool
    /// Whether nodes have a way of their own to their site.
    package let hasAccessDelays: Bool
    /// Row-major; milliseconds.
    private let cells: [Float]

    package var sites: Range<Int> { 0..<siteCount }

    /// One number everywhere, also between nodes of one place.
    package init(name: String, everywhere milliseconds: Double) {
        self.name = name
        siteCount = 1
        isSymmetric = true
        hasAccessDelays = false
        cells = [Float(milliseconds)]
    }

    /// Reads n lines of n round-trip times in milliseconds, separated by commas, 0 on the diagonal. Spaces, tabs, CR
    /// and blank lines at the end are skipped.
    package init(name: String, csv text: Span<UInt8>) throws(MatrixError) {
        var reader = MatrixReader(text)
        let (count, cells) = try reader.readSquare()
        self.name = name
        siteCount = count
        hasAccessDelays = true
        self.cells = cells
        isSymmetric = (0..<count).allSatisfy { row in
            (0..<row).allSatisfy { cells[row * count + $0] == cells[$0 * count + row] }
        }
    }

    package init(name: String, csv text: String) throws(MatrixError) {
        let bytes = Array(text.utf8)
        try self.init(name: name, csv: bytes.span)
    }

    /// The round-trip time from one site's point of view, in milliseconds.
    @inline(__always)
    package func milliseconds(from: Int, to: Int) -> Double { Double(cells[from * siteCount + to]) }
}

/// The networks that come with the program (Sources/CSimulationData/data/README.md).
package enum BuiltInMatrix: String, CaseIterable, Sendable {
    /// PlanetLab, 490 sites, all continents: median 134 ms.
    case planetlab490
    /// Personal devices in Seattle's testbed, 99 of them: median 170 ms, not symmetric.
    case seattle99
    /// 50 ms between any two nodes.
    case uniform
    /// 0.2 ms between any two nodes.
    case lan

    /// Throws only if the file in the program is damaged.
    package func matrix() throws(MatrixError) -> LatencyMatrix {
        switch self {
        case .planetlab490:
            let bytes = unsafe UnsafeBufferPointer(
                start: simulation_planetlab490_bytes, count: simulation_planetlab490_byte_count)
            return try LatencyMatrix(name: rawValue, csv: unsafe bytes.span)
        case .seattle99:
            let bytes = unsafe UnsafeBufferPointer(
                start: simulation_seattle99_bytes, count: simulation_seattle99_byte_count)
            return try LatencyMatrix(name: rawValue, csv: unsafe bytes.span)
        case .uniform: return LatencyMatrix(name: rawValue, everywhere: 50)
        case .lan: return LatencyMatrix(name: rawValue, everywhere: 0.2)
        }
    }
}
