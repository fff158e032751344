/// Bounds of the simulated network, with the arithmetic that set them.
package enum NetworkLimits {
    /// Text of one matrix: 5,700 sites squared at two bytes a value, and room for 2,300 sites at twelve.
    package static var matrixBytes: Int { 64 << 20 }
    /// Columns of one matrix: its cells are 4 bytes each, so 10,000 squared are 400 MB.
    package static var matrixSites: Int { 10_000 }
    /// Round trips beyond a minute are a mistake of unit, not a network.
    package static var roundTripMilliseconds: Double { 60_000 }
    /// Faults that lie ahead or are active: each active one costs every datagram a few nanoseconds.
    package static var faults: Int { 256 }
    /// Datagrams that one clogging holds back: as many as a router's buffer of 15 MB.
    package static var cloggedDatagrams: Int { 10_000 }
    /// A clogging promises arrival at its end, so the end must be an instant of the run: an hour.
    package static var cloggingNanoseconds: UInt64 { 3_600_000_000_000 }
    /// Directed paths with a capacity of their own.
    package static var pathCapacities: Int { 65_536 }
    /// The fastest access link in bits per second, and the slowest: a bin of a downlink counts at least one byte and
    /// at most 28 bits of them.
    package static var accessBitsPerSecond: ClosedRange<Double> { 8_000...100_000_000_000 }
    /// What an IPv6 and a UDP header add to a datagram's payload.
    package static var headerBytes: Int { 48 }
    /// The shortest way through two hosts' stacks and network cards, in nanoseconds: an arrival is always later than
    /// its sending.
    package static var minimumDelayNanoseconds: UInt64 { 20_000 }
    /// Mappings of one NAT box, and destinations that one mapping lets in.
    package static var natMappings: Int { 4_096 }
    package static var natPermissions: Int { 1_024 }
    /// Quantiles of a distribution given as a table, and items of a popularity law.
    package static var quantiles: Int { 1_000 }
    package static var popularItems: Int { 1_000_000 }
}
