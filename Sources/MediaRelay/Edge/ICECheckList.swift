import SwarmCore

/// The checks of a controlling agent: one row per remote candidate, at most one transaction in flight each, paced by
/// Ta, retransmitted with doubling time-outs; afterwards the selected candidate is checked for consent (RFC 7675).
struct ICECheckList: Sendable {
    /// A check to be sent now.
    struct Due {
        let target: NetworkAddress
        let transaction: STUNTransactionID
    }

    private struct Row {
        let target: NetworkAddress
        var transaction: STUNTransactionID?
        var nextSend: MonotonicInstant
        var timeout: Interval
        var hasSucceeded = false
    }

    private var rows: [Row]

    init(candidates: [NetworkAddress], at now: MonotonicInstant) {
        rows = []
        for target in candidates where rows.count < EdgeLimits.remoteCandidates {
            guard !rows.contains(where: { $0.target == target }) else { continue }
            let start = now + EdgeLimits.checkPacing * Int64(rows.count)
            rows.append(Row(target: target, nextSend: start, timeout: EdgeLimits.checkTimeout))
        }
    }

    var nextDeadline: MonotonicInstant? {
        var earliest: MonotonicInstant?
        for row in rows { earliest = Deadline.earlier(earliest, row.nextSend) }
        return earliest
    }

    mutating func restart(at now: MonotonicInstant) {
        for index in rows.indices {
            rows[index].transaction = nil
            rows[index].hasSucceeded = false
            rows[index].timeout = EdgeLimits.checkTimeout
            rows[index].nextSend = now + EdgeLimits.checkPacing * Int64(index)
        }
    }

    /// The next check whose time has come, if any; called until it returns nil.
    ///
    /// A retransmission keeps its transaction id (RFC 8489 §6.2.1); a consent check is a new transaction each time
    /// (RFC 7675 §5.1), so that an old answer proves nothing.
    mutating func due(
        at now: MonotonicInstant, selected: NetworkAddress?, using generator: inout SeededGenerator
    ) -> Due? {
        for index in rows.indices where rows[index].nextSend <= now {
            if rows[index].hasSucceeded {
                rows[index].nextSend = now + generator.jittered(EdgeLimits.consentInterval, by: 0.2)
                // Candidates that lost are kept alive no longer.
                guard rows[index].target == selected else { continue }
                let transaction = STUNTransactionID(using: &generator)
                rows[index].transaction = transaction
                return Due(target: rows[index].target, transaction: transaction)
            }
            let transaction = rows[index].transaction ?? STUNTransactionID(using: &generator)
            rows[index].transaction = transaction
            rows[index].nextSend = now + rows[index].timeout
            rows[index].timeout = min(rows[index].timeout * 2, EdgeLimits.longestCheckTimeout)
            return Due(target: rows[index].target, transaction: transaction)
        }
        return nil
    }

    func isOutstanding(_ transaction: STUNTransactionID, to target: NetworkAddress) -> Bool {
        for row in rows where row.target == target && row.transaction == transaction { return true }
        return false
    }

    mutating func succeeded(
        _ transaction: STUNTransactionID, at now: MonotonicInstant, using generator: inout SeededGenerator
    ) {
        for index in rows.indices where rows[index].transaction == transaction {
            rows[index].transaction = nil
            rows[index].hasSucceeded = true
            rows[index].nextSend = now + generator.jittered(EdgeLimits.consentInterval, by: 0.2)
        }
    }
}
