import EventLoop
import SwarmCore
import Synchronization

/// The share of the machine's CPU that this process uses, over the last second: the node's load as long as bandwidth
/// has no stated capacity.
struct LoadMeter {
    private var lastCPU: Interval
    private var lastTime: MonotonicInstant
    private let processors: Int

    init(at now: Now) {
        lastCPU = SystemClock.processCPU()
        lastTime = now.monotonic
        processors = max(1, ProcessResources.processorCount)
    }

    var nextDeadline: MonotonicInstant { lastTime + RuntimeLimits.loadInterval }

    /// 0…1 when a new figure is due, otherwise nil.
    mutating func measure(at now: Now) -> Double? {
        guard now.monotonic >= nextDeadline else { return nil }
        let cpu = SystemClock.processCPU()
        let share = (cpu - lastCPU).fractionalSeconds / (now.monotonic - lastTime).fractionalSeconds
        lastCPU = cpu
        lastTime = now.monotonic
        return share / Double(processors)
    }
}

/// A boolean that any thread may set and any may read.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
