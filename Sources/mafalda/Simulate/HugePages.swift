import Foundation

/// Ten thousand nodes are a gigabyte that events visit at random: with pages of 4 KiB half of the time goes into finding
/// them (docs/simulator.md, "Speed").
enum HugePages {
    private static let variable = "GLIBC_TUNABLES"
    private static let tunable = "glibc.malloc.hugetlb"

    /// Begins this process anew with an allocator that asks the kernel for huge pages, unless it has been told about them
    /// either way. Where that cannot be, nothing happens.
    static func restartWithThem() {
        let tunables = ProcessInfo.processInfo.environment[variable] ?? ""
        guard !tunables.contains(tunable) else { return }
        unsafe setenv(variable, (tunables.isEmpty ? "" : tunables + ":") + "\(tunable)=1", 1)
        var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        // Returns only if it fails; then all goes on as before, and three words of memory are lost.
        unsafe execv("/proc/self/exe", arguments)
    }
}
