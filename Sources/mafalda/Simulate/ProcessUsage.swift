import Foundation

/// What this process has used so far.
struct ProcessUsage {
    let wall: ContinuousClock.Instant
    /// Of all threads.
    let cpuSeconds: Double
    let residentBytes: Int

    static var now: ProcessUsage {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return ProcessUsage(
            wall: .now, cpuSeconds: Double(time.tv_sec) + Double(time.tv_nsec) / 1e9, residentBytes: resident)
    }

    /// Pages in memory: the second number of /proc/self/statm.
    private static var resident: Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(getpagesize()) : 0
    }

    func wallSeconds(since start: ProcessUsage) -> Double {
        let elapsed = (wall - start.wall).components
        return Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
    }
}
