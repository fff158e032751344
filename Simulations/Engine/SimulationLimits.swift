/// Bounds of the simulator itself, with the arithmetic that set them.
package enum SimulationLimits {
    /// Nodes of one run: 96 KiB each are 10 GiB.
    package static var nodes: Int { 100_000 }
}
