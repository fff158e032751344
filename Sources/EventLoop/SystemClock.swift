import CSwarmShims
import SwarmCore

/// The operating system's clocks: the only place where the node reads time.
package enum SystemClock {
    /// Monotonic and wall time, read together. About 50 ns.
    package static func now() -> Now {
        let reading = swarm_clock_read()
        return Now(
            monotonic: MonotonicInstant(nanoseconds: reading.monotonic_nanoseconds),
            wallMilliseconds: reading.wall_milliseconds)
    }

    /// CPU time of the calling thread since it started.
    package static func threadCPU() -> Interval {
        Interval(nanoseconds: Int64(clamping: swarm_thread_cpu_nanoseconds()))
    }

    /// User and system time of the process, as `getrusage` accounts it.
    package static func processCPU() -> Interval {
        Interval(nanoseconds: Int64(clamping: swarm_process_cpu_nanoseconds()))
    }
}

/// The process as the operating system sees it: limits to set at start, and counts that must stay flat.
package enum ProcessResources {
    /// CPUs this process may use.
    package static var processorCount: Int { Int(swarm_cpu_count()) }
    /// Descriptors open now, or -1 where /proc is not mounted.
    package static var openDescriptors: Int { Int(swarm_open_descriptor_count()) }
    /// Threads running now, or -1 where /proc is not mounted.
    package static var threads: Int { Int(swarm_thread_count()) }
    package static var residentBytes: UInt64 { swarm_resident_bytes() }

    /// Raises the soft limit of open files to the hard one and returns the limit in force.
    @discardableResult
    package static func raiseOpenFileLimit() -> UInt64 { swarm_raise_open_file_limit() }
    /// Keeps keys out of core files.
    package static func disableCoreFiles() { swarm_disable_core_files() }
    /// A peer that closes a TCP connection is an error of that connection, not the end of the process.
    package static func ignoreBrokenPipes() { swarm_ignore_broken_pipes() }
}
