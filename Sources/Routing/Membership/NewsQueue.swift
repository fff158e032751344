import SwarmCore

/// News in the form it is queued and sent in.
enum News: Sendable {
    case alive(MemberRecord)
    /// Suspected, failed or left, in the words of `NewsEntry.status`. Elsewhere, because it is rare and four times as long
    /// as the others, of which a node has hundreds while others join.
    indirect case status(MemberStatus, NodeID, version: UInt64, accuser: UInt64)
    /// A member of whichever cell, known to have been alive `age` seconds ago.
    case sampled(MemberRecord, age: UInt16)

    var subject: NodeID {
        switch self {
        case .alive(let record): record.id
        case .status(_, let id, _, _): id
        case .sampled(let record, _): record.id
        }
    }

    /// Bytes on the wire with the length prefix.
    var byteCount: Int {
        switch self {
        case .alive(let record): record.entry.count + VarInt.byteCount(of: UInt64(record.entry.count))
        case .status: 1 + Self.statusBytes
        case .sampled(let record, _): record.entry.count + 3 + VarInt.byteCount(of: UInt64(record.entry.count + 3))
        }
    }

    /// Of a sampled entry: tag · age u16 in seconds · the entry of an alive member.
    static var sampledTag: UInt8 { 4 }

    /// Tag, id, version and accuser.
    static var statusBytes: Int { 49 }

    /// Length and entry.
    func write(to writer: inout ByteWriter) {
        switch self {
        case .alive(let record):
            let entry = record.entry
            writer.appendLengthPrefixed(entry.span)
        case .status(let status, let id, let version, let accuser):
            writer.appendVarint(UInt64(Self.statusBytes))
            writer.append(status.rawValue)
            writer.append(id.bytes)
            writer.append(version)
            writer.append(accuser)
        case .sampled(let record, let age):
            let entry = record.entry
            writer.appendVarint(UInt64(entry.count + 3))
            writer.append(Self.sampledTag)
            writer.append(age)
            writer.append(entry.span)
        }
    }
}

/// News this node still has to tell, one item per member (SWIM §4.1: infection-style dissemination on the back of
/// probes): first what was never told, then in turn.
struct NewsQueue: Sendable {
    private struct Item: Sendable {
        let news: News
        /// How often it is told. Of this size it fits behind the news, and an item is 24 bytes.
        var turns: Int16
        let added: MonotonicInstant
    }

    private var fresh = NewsRing<Item>()
    private var told = NewsRing<Item>()
    /// What is to be pushed at once, besides.
    private(set) var urgent: [News] = []

    var count: Int { fresh.count + told.count }

    /// By then news has reached whom it can reach; in a storm of joins the rest is left to the syncs.
    static var lifetime: Interval { .seconds(15) }

    /// Replaces older news about the same member. A full queue drops what has been told for longest.
    mutating func add(_ news: News, turns: Int, isUrgent: Bool, at instant: MonotonicInstant) {
        remove(news.subject)
        if count >= RoutingLimits.queuedNews, told.popFirst() == nil { _ = fresh.popFirst() }
        fresh.append(Item(news: news, turns: Int16(clamping: turns), added: instant), prefix: news.subject.bytes.word0)
        if isUrgent, urgent.count < RoutingLimits.urgentNews { urgent.append(news) }
    }

    mutating func remove(_ subject: NodeID) {
        let prefix = subject.bytes.word0
        fresh.removeFirst(prefix) { $0.news.subject == subject }
        told.removeFirst(prefix) { $0.news.subject == subject }
        if let index = urgent.firstIndex(where: { $0.subject == subject }) { urgent.remove(at: index) }
    }

    /// Appends entries of at most `byteLimit` bytes, at most `countLimit`, and returns their count.
    mutating func write(
        byteLimit: Int, countLimit: Int, at instant: MonotonicInstant, to writer: inout ByteWriter
    ) -> Int {
        guard count > 0 else { return 0 }
        var room = byteLimit
        var written = 0
        // What was told for the first time below comes round again with the next message, not in this one.
        var turns = told.count
        while written < countLimit {
            let isFirst = fresh.first != nil
            guard let next = isFirst ? fresh.first : (turns > 0 ? told.first : nil) else { break }
            let size = next.news.byteCount
            // An entry larger than any probe's room goes by push and sync alone.
            guard size <= room || size > byteLimit else { break }
            guard var item = isFirst ? fresh.popFirst() : told.popFirst() else { break }
            if !isFirst { turns -= 1 }
            if instant - item.added > Self.lifetime { continue }
            if size <= room {
                item.news.write(to: &writer)
                room -= size
                written += 1
            }
            item.turns -= 1
            if item.turns > 0 { told.append(item, prefix: item.news.subject.bytes.word0) }
        }
        return written
    }

    /// Appends urgent news from `start` on, as far as a message holds it, and returns where the next begins. `count`
    /// is what was written.
    func writeUrgent(from start: Int, byteLimit: Int, to writer: inout ByteWriter) -> (next: Int, count: Int) {
        var room = byteLimit
        var index = start
        while index < urgent.count, index - start < RoutingLimits.newsEntriesPerMessage {
            let size = urgent[index].byteCount
            guard size <= room else { break }
            urgent[index].write(to: &writer)
            room -= size
            index += 1
        }
        return (index, index - start)
    }

    mutating func urgentWasPushed() { urgent = [] }
}

/// First in, first out, in arrays that are let go when they are empty.
///
/// The first word of each subject's id stands apart: a search for one looks through a line of words, not at every item.
struct NewsRing<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var prefixes: [UInt64] = []
    private var head = 0

    var count: Int { elements.count - head }
    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element, prefix: UInt64) {
        elements.append(element)
        prefixes.append(prefix)
    }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        if head == elements.count {
            self = NewsRing()
        } else if head > 32, head * 2 > elements.count {
            elements.removeFirst(head)
            prefixes.removeFirst(head)
            head = 0
        }
        return element
    }

    /// Removes the oldest element with this prefix that `isMeant` says is the one.
    mutating func removeFirst(_ prefix: UInt64, where isMeant: (Element) -> Bool) {
        for index in head..<prefixes.count where prefixes[index] == prefix && isMeant(elements[index]) {
            elements.remove(at: index)
            prefixes.remove(at: index)
            if head == elements.count { self = NewsRing() }
            return
        }
    }
}
