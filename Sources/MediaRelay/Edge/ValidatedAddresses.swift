import SwarmCore

/// The peer's addresses that passed a connectivity check, bounded, and the one to send to.
struct ValidatedAddresses: Sendable {
    private struct Row {
        var address: NetworkAddress
        var lastHeard: MonotonicInstant
    }

    private var rows: [Row] = []
    private var nominated: NetworkAddress?

    var count: Int { rows.count }
    subscript(index: Int) -> NetworkAddress { rows[index].address }

    /// The newest nomination, else the first address heard: a client that never nominates is still answered.
    var selected: NetworkAddress? { nominated ?? rows.first?.address }

    func contains(_ address: NetworkAddress) -> Bool {
        for row in rows where row.address == address { return true }
        return false
    }

    /// A valid check came from (or was answered by) `address`. A full table forgets the address heard least recently,
    /// but never the selected one.
    mutating func heard(_ address: NetworkAddress, isNominated: Bool, at now: MonotonicInstant) -> ICEOutcome {
        defer { if isNominated { nominated = address } }
        for index in rows.indices where rows[index].address == address {
            rows[index].lastHeard = now
            return .none
        }
        let row = Row(address: address, lastHeard: now)
        guard rows.count >= EdgeLimits.addressesPerSession else {
            rows.append(row)
            return .validated(address, replacing: nil)
        }
        var oldest: Int?
        for index in rows.indices where rows[index].address != selected {
            if let best = oldest, rows[best].lastHeard <= rows[index].lastHeard { continue }
            oldest = index
        }
        guard let oldest else { return .none }
        let replaced = rows[oldest].address
        rows[oldest] = row
        return .validated(address, replacing: replaced)
    }

    /// For sessions without ICE (benches): the one address there is.
    mutating func adopt(_ address: NetworkAddress, at now: MonotonicInstant) {
        rows = [Row(address: address, lastHeard: now)]
        nominated = address
    }
}
