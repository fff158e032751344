import SwarmCore

/// The numbers a receiver misses and when it asks for each again: NACKs to a publisher (by sequence) and to a parent
/// (by link packet counter). Fixed size; where gaps outgrow it, the oldest are given up.
package struct LossTracker: Sendable {
    private struct Missing: Sendable {
        var number: UInt64
        var due: MonotonicInstant
        var attempts: Int
    }

    private var missing: [Missing] = []
    private let capacity: Int
    /// The highest number seen, or nil before the first.
    package private(set) var highest: UInt64?
    /// Numbers given up, after every attempt or for want of room.
    package private(set) var abandoned: UInt64 = 0
    /// Gaps seen, in numbers.
    package private(set) var detected: UInt64 = 0
    /// How long a number may merely be late before it is asked for.
    package let reorderAllowance: Interval

    package init(capacity: Int = PacketLimits.missingPackets, reorderAllowance: Interval = .milliseconds(4)) {
        self.capacity = capacity
        self.reorderAllowance = reorderAllowance
        missing.reserveCapacity(capacity)
    }

    package var isEmpty: Bool { missing.isEmpty }
    package var count: Int { missing.count }

    package var nextDeadline: MonotonicInstant? {
        var earliest: MonotonicInstant?
        for entry in missing { earliest = Deadline.earlier(earliest, entry.due) }
        return earliest
    }

    /// Notes an arrival; numbers skipped become missing, a missing one is found. A jump beyond the capacity is taken
    /// for a restart rather than a loss.
    package mutating func arrived(_ number: UInt64, at now: MonotonicInstant) {
        guard let highest else {
            self.highest = number
            return
        }
        if number <= highest {
            found(number)
            return
        }
        self.highest = number
        let gap = number - highest - 1
        guard gap > 0 else { return }
        detected &+= gap
        guard gap <= UInt64(capacity) else {
            abandoned &+= gap + UInt64(missing.count)
            missing.removeAll(keepingCapacity: true)
            return
        }
        let overflow = missing.count + Int(gap) - capacity
        if overflow > 0 {
            missing.removeFirst(overflow)
            abandoned &+= UInt64(overflow)
        }
        for lost in (highest + 1)..<number {
            missing.append(Missing(number: lost, due: now + reorderAllowance, attempts: 0))
        }
    }

    /// Takes `number` off the list: it came, or came again under another number.
    package mutating func found(_ number: UInt64) {
        var low = 0
        var high = missing.count
        while low < high {
            let middle = (low + high) / 2
            if missing[middle].number < number { low = middle + 1 } else { high = middle }
        }
        if low < missing.count, missing[low].number == number { missing.remove(at: low) }
    }

    /// Calls `ask` in ascending order for up to `limit` numbers that are due, and schedules their next attempt one and
    /// a half round trips later.
    package mutating func collectDue(
        at now: MonotonicInstant, roundTrip: Interval, limit: Int, _ ask: (UInt64) -> Void
    ) {
        let wait = max(Interval(nanoseconds: roundTrip.nanoseconds * 3 / 2), .milliseconds(20))
        var asked = 0
        var kept = 0
        for index in missing.indices {
            var entry = missing[index]
            if entry.due <= now, asked < limit {
                if entry.attempts >= PacketLimits.repairAttempts {
                    abandoned &+= 1
                    continue
                }
                entry.attempts += 1
                entry.due = now + wait
                asked += 1
                ask(entry.number)
            } else if entry.due <= now {
                // Over the limit: the next datagram asks for it.
                entry.due = now + .milliseconds(1)
            }
            missing[kept] = entry
            kept += 1
        }
        missing.removeSubrange(kept...)
    }

    package mutating func reset() {
        missing.removeAll(keepingCapacity: true)
        highest = nil
    }
}
