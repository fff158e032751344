/// How far an address translator looks at the other side (RFC 4787 §4.1 for mappings, §5 for filtering).
package enum NATBehavior: Int, CaseIterable, Sendable {
    case endpointIndependent, addressDependent, addressAndPortDependent
}

/// The behaviour of one NAT box (RFC 4787).
package struct NATConfiguration: Sendable, Hashable {
    /// Whether one internal address keeps its external one towards everybody (§4.1).
    package var mapping: NATBehavior
    /// Who may answer through a mapping: anybody, or those that were sent to (§5).
    package var filtering: NATBehavior
    /// How long a mapping and a permission outlive the last datagram sent through them. REQ-5 asks for two minutes at
    /// least and five by default; boxes of 30 s are common.
    package var timeoutMilliseconds: UInt64 = 120_000
    /// Whether a mapping takes the internal port if it is free (§4.2.1).
    package var preservesPorts = false
    /// Whether datagrams from outside refresh a mapping too (§4.3; REQ-6 asks only for those from inside).
    package var refreshesOnInbound = false

    package init(mapping: NATBehavior, filtering: NATBehavior) {
        self.mapping = mapping
        self.filtering = filtering
    }
}

/// Why a NAT box dropped a datagram.
package enum NATRefusal: Int, CaseIterable, Sendable {
    /// From outside to a port that nothing maps to, or an address that is not the box's.
    case noMapping
    /// From outside, through a mapping that timed out.
    case expired
    /// From outside, from somebody that was not sent to.
    case filtered
    /// From inside: `NetworkLimits.natMappings` are in use.
    case mappingsFull
    /// From inside: `NetworkLimits.natPermissions` of this mapping are in use.
    case permissionsFull
    /// From inside to the box's own external address: it does not turn datagrams round (REQ-9 says it should).
    case hairpin
}
