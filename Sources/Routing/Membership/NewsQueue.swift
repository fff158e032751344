import SwarmCore

/// News this node still has to tell, one item per member, told least often first (SWIM §4.1: infection-style
/// dissemination on the back of probes).
struct NewsQueue: Sendable {
    private struct Item: Sendable {
        let subject: NodeID
        let bytes: [UInt8]
        var tellings = 0
        /// Told a third as often: a load or a coordinate, which the next sync repairs.
        let isMinor: Bool
        var isUrgent: Bool
    }

    /// In order of arrival; short (`RoutingLimits.queuedNews`).
    private var items: [Item] = []
    /// Whether something waits to be pushed at once.
    private(set) var hasUrgent = false

    var count: Int { items.count }

    /// Replaces older news about the same member. A full queue drops what was told most often.
    mutating func add(_ entry: NewsEntry, isUrgent: Bool, isMinor: Bool) {
        let bytes = entry.encoded()
        guard !bytes.isEmpty else { return }
        remove(entry.subject)
        if items.count >= RoutingLimits.queuedNews {
            var worst = 0
            for index in items.indices where items[index].tellings > items[worst].tellings { worst = index }
            items.remove(at: worst)
        }
        items.append(Item(subject: entry.subject, bytes: bytes, isMinor: isMinor, isUrgent: isUrgent))
        if isUrgent { hasUrgent = true }
    }

    mutating func remove(_ subject: NodeID) {
        if let index = items.firstIndex(where: { $0.subject == subject }) { items.remove(at: index) }
    }

    /// Up to `byteLimit` bytes of the least-told news; each item leaves after `tellings` tellings.
    mutating func take(byteLimit: Int, tellings: Int) -> [[UInt8]] {
        guard !items.isEmpty else { return [] }
        var order = Array(items.indices)
        if order.count > 1 { order.sort { (items[$0].tellings, $0) < (items[$1].tellings, $1) } }
        var taken: [[UInt8]] = []
        var used = 0
        for index in order {
            let size = items[index].bytes.count + 2
            guard used + size <= byteLimit, taken.count < RoutingLimits.newsEntriesPerMessage else { continue }
            used += size
            taken.append(items[index].bytes)
            items[index].tellings += 1
        }
        items.removeAll { $0.tellings >= ($0.isMinor ? tellings / 3 : tellings) && !$0.isUrgent }
        return taken
    }

    /// Everything urgent, in messages of at most `byteLimit` bytes; nothing is urgent afterwards.
    mutating func takeUrgent(byteLimit: Int) -> [[[UInt8]]] {
        hasUrgent = false
        var messages: [[[UInt8]]] = []
        var current: [[UInt8]] = []
        var used = 0
        for index in items.indices where items[index].isUrgent {
            items[index].isUrgent = false
            let size = items[index].bytes.count + 2
            if used + size > byteLimit || current.count == RoutingLimits.newsEntriesPerMessage {
                if !current.isEmpty { messages.append(current) }
                current = []
                used = 0
            }
            current.append(items[index].bytes)
            used += size
        }
        if !current.isEmpty { messages.append(current) }
        return messages
    }
}
