import SwarmCore
import SwarmCrypto

/// Bodies for fuzzers and tests: whatever the bytes, they return.
package enum DHTFuzz {
    /// Parses a message, and where that succeeds writes it again and parses what was written: it must be the same, but for
    /// what does not fit a message.
    package static func parse(_ bytes: Span<UInt8>) {
        guard let parsed = try? DHTMessage.parse(bytes, suite: .real) else { return }
        var storage = [UInt8](repeating: 0, count: Limits.receiveBytes)
        var room = storage.mutableSpan
        var writer = ByteWriter(room._mutatingExtracting(0..<room.count))
        parsed.message.write(to: &writer)
        let count = writer.count
        guard !writer.overflowed else { return }
        let again = try? DHTMessage.parse(storage.span.extracting(0..<count), suite: .real)
        if bytes.count <= Limits.messageBytes {
            precondition(again?.message == parsed.message, "a message changed by writing and reading it")
        }
    }

    /// Reads the bytes as a record, as a delegation and as texts, and judges whatever comes of it.
    package static func records(_ bytes: Span<UInt8>) {
        var reader = ByteReader(bytes)
        if case .success(let record) = reader.readRecord(.real) {
            _ = record.key
            _ = record.isAuthentic(.counted())
            _ = record.delegationFault(wallMilliseconds: record.sequence, suite: .counted())
            precondition(Record(stored: record.storedBytes, publisher: record.publisher.id) == record, "stored")
        }
        if let delegation = Delegation(bytes) {
            precondition(Delegation(text: delegation.text) == delegation, "a delegation changed by its text")
            _ = delegation.isCurrent(delegation.sequence)
            _ = delegation.covers(delegation.scope, at: delegation.node, suite: .real)
        }
        let text = String(decoding: bytes.copied(), as: UTF8.self)
        _ = Delegation(text: text)
        _ = BoundName.isImitation(text) && BoundName.fingerprint(of: text) == nil
        _ = StreamPrefix.normalised(text)
    }

    /// Drives a store through whatever the bytes spell out, six a step, and holds its books against its bounds.
    package static func store(_ bytes: Span<UInt8>) {
        let publishers = (1...4 as ClosedRange<UInt64>).map {
            Identity(seed: Bytes32($0, 0, 0, 0), suite: .counted())
        }
        var store = RecordStore(own: publishers[0].id)
        var now = Now(monotonic: MonotonicInstant(nanoseconds: 1), wallMilliseconds: 1_800_000_000_000)
        var reader = ByteReader(bytes)
        while let verb = reader.readUInt8(), let who = reader.readUInt8(), let name = reader.readUInt8(),
            let what = reader.readUInt8(), let time = reader.readUInt16()
        {
            now = now + .milliseconds(Int64(time) * Int64(verb >> 4))
            let publisher = publishers[Int(who) % publishers.count]
            var statement = RecordStatement(
                kind: RecordKind(rawValue: what % 4 + 1) ?? .streamOrigin,
                publisher: publisher.contact(at: AddressList()),
                sequence: now.wallMilliseconds &- UInt64(what) * 1000, lifetime: .milliseconds(Int64(time) * 2))
            statement.isTombstone = verb & 8 != 0
            if statement.kind != .nodeAddresses { statement.name = "a/\(name % 32)" }
            if statement.kind == .prefixEntry { statement.depth = name & 1 }
            let record = Record(statement, by: publisher)
            let source = NetworkAddress(ipv4: 0x0102_0300 | UInt32(who), port: 1)
            switch verb & 3 {
            case 0, 1:
                _ = store.put(record, key: record.key, from: source, at: now)
            case 2:
                offer(record, of: publisher, from: source, to: &store, at: now)
            default:
                if what == 0 { store.retire(publisher.id, at: now.monotonic) } else { store.sweep(now.monotonic) }
            }
            let query = GetQuery(key: record.key, kinds: RecordKindMask(rawValue: 0x1e), skip: Int(name & 3))
            let told = store.records(for: query, key: query.key, turn: UInt64(who), at: now.monotonic)
            precondition(told.records.count <= DHTLimits.recordsPerAnswer, "\(told.records.count) records")
            precondition(told.records.allSatisfy { $0.record.key == query.key }, "a record of another key")
        }
        store.sweep(now.monotonic + .seconds(10_000))
        precondition(store.counts == RecordStore.Counts() && store.nextDeadline == nil, "left over: \(store.counts)")
    }

    private static func offer(
        _ record: Record, of publisher: Identity, from source: NetworkAddress, to store: inout RecordStore, at now: Now
    ) {
        let stay = min(record.lifetime, CopyStay.longest)
        let origin = CopyCache.Source(node: publisher.id, subnet: source.subnet)
        guard store.refusalOfCopy(record, key: record.key) == nil,
            store.cache.refusal(of: record, key: record.key, stay: stay, from: origin, at: now.monotonic) == nil
        else { return }
        store.cache.insert(
            record, key: record.key, remaining: record.lifetime, stay: stay, from: origin, at: now.monotonic)
    }
}
