/// Bounds of the simulator itself, with the arithmetic that set them.
package enum SimulationLimits {
    /// Nodes of one run: 96 KiB each are 10 GiB.
    package static var nodes: Int { 100_000 }
    /// Defects remembered: the first explains the run, a few more show whether it was alone.
    package static var defects: Int { 64 }
    /// Events at one and the same instant before time is said to stand still: every node of the largest run, ten times.
    package static var eventsPerInstant: Int { 1_000_000 }
    /// Datagrams that a stalled node's socket holds: Linux's default buffer of 208 KiB and 800 bytes of bookkeeping each.
    package static var heldBack: Int { 256 }
}
