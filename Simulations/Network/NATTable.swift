import SwarmCore

/// One NAT box: which external address stands for an internal one, and who may send to it (RFC 4787).
///
/// The engine passes every datagram that leaves its inside to `outbound` and every one that reaches its external host
/// to `inbound`. Dictionaries are only looked up, never walked in an order that matters.
package struct NATTable: Sendable {
    private struct Key: Hashable, Sendable {
        let source: NetworkAddress
        let target: NetworkAddress
    }

    private struct Mapping: Sendable {
        let key: Key
        let external: NetworkAddress
        var expiresAt: UInt64
        /// Destinations sent to, as far as filtering looks at them, with the time each permission ends.
        var permissions: [NetworkAddress: UInt64] = [:]
    }

    package let configuration: NATConfiguration
    /// Its port has no meaning.
    package let externalHost: NetworkAddress
    package private(set) var refusals = Counters<NATRefusal>()
    private var mappings: [UInt16: Mapping] = [:]
    private var portByKey: [Key: UInt16] = [:]
    private var nextPort: UInt16
    private let timeout: UInt64

    /// Ports are taken upwards from a place drawn from `seed`.
    package init(_ configuration: NATConfiguration, externalHost: NetworkAddress, seed: UInt64) {
        self.configuration = configuration
        self.externalHost = externalHost
        timeout = configuration.timeoutMilliseconds * 1_000_000
        nextPort = Self.firstPort + UInt16(LinkDraws.mix(seed) % UInt64(UInt16.max - Self.firstPort))
    }

    /// Mappings in the table, timed-out ones included until they are looked at.
    package var count: Int { mappings.count }

    /// The external address that a datagram from `source` to `target` leaves with; nil if the box drops it.
    package mutating func outbound(source: NetworkAddress, to target: NetworkAddress, at now: UInt64) -> NetworkAddress?
    {
        guard !target.hasSameHost(as: externalHost) else { return refuse(.hairpin) }
        let key = Key(source: source, target: Self.seen(target, by: configuration.mapping))
        if let port = portByKey[key], let mapping = mappings[port], mapping.expiresAt <= now { remove(port) }
        guard let port = portByKey[key] ?? open(key, at: now) else { return refuse(.mappingsFull) }
        guard permit(target, through: port, at: now) else { return refuse(.permissionsFull) }
        mappings[port]?.expiresAt = now + timeout
        return externalHost.withPort(port)
    }

    /// The internal address that a datagram from `source` to `external` is for; nil if the box drops it.
    package mutating func inbound(
        from source: NetworkAddress, to external: NetworkAddress, at now: UInt64
    ) -> NetworkAddress? {
        guard external.hasSameHost(as: externalHost), let mapping = mappings[external.port] else {
            return refuse(.noMapping)
        }
        guard mapping.expiresAt > now else {
            remove(external.port)
            return refuse(.expired)
        }
        if configuration.filtering != .endpointIndependent {
            let seen = Self.seen(source, by: configuration.filtering)
            guard let end = mapping.permissions[seen], end > now else { return refuse(.filtered) }
            if configuration.refreshesOnInbound { mappings[external.port]?.permissions[seen] = now + timeout }
        }
        if configuration.refreshesOnInbound { mappings[external.port]?.expiresAt = now + timeout }
        return mapping.key.source
    }

    /// Forgets everything, as a box that lost power.
    package mutating func restart() {
        mappings = [:]
        portByKey = [:]
    }

    /// As much of an address as `behavior` looks at.
    private static func seen(_ address: NetworkAddress, by behavior: NATBehavior) -> NetworkAddress {
        switch behavior {
        case .endpointIndependent: .unspecified
        case .addressDependent: address.withPort(0)
        case .addressAndPortDependent: address
        }
    }

    /// Ports below belong to services (RFC 4787 §4.2.1 keeps well-known ports apart).
    private static var firstPort: UInt16 { 1_024 }

    private mutating func open(_ key: Key, at now: UInt64) -> UInt16? {
        if mappings.count >= NetworkLimits.natMappings { removeExpired(at: now) }
        guard mappings.count < NetworkLimits.natMappings else { return nil }
        let port = freePort(preferring: key.source.port)
        mappings[port] = Mapping(key: key, external: externalHost.withPort(port), expiresAt: now + timeout)
        portByKey[key] = port
        return port
    }

    /// There always is one: the table's limit is far below the number of ports.
    private mutating func freePort(preferring internalPort: UInt16) -> UInt16 {
        if configuration.preservesPorts, internalPort >= Self.firstPort, mappings[internalPort] == nil {
            return internalPort
        }
        while true {
            let port = nextPort
            nextPort = nextPort == .max ? Self.firstPort : nextPort + 1
            if mappings[port] == nil { return port }
        }
    }

    /// Notes that `target` was sent to. False if the mapping's permissions are all in use.
    private mutating func permit(_ target: NetworkAddress, through port: UInt16, at now: UInt64) -> Bool {
        guard configuration.filtering != .endpointIndependent else { return true }
        let seen = Self.seen(target, by: configuration.filtering)
        // The mapping is taken out while it changes, so that its dictionary is not copied.
        guard var mapping = mappings.removeValue(forKey: port) else { return false }
        defer { mappings[port] = mapping }
        if mapping.permissions[seen] == nil, mapping.permissions.count >= NetworkLimits.natPermissions {
            mapping.permissions = mapping.permissions.filter { $0.value > now }
            guard mapping.permissions.count < NetworkLimits.natPermissions else { return false }
        }
        mapping.permissions[seen] = now + timeout
        return true
    }

    private mutating func removeExpired(at now: UInt64) {
        mappings = mappings.filter { $0.value.expiresAt > now }
        let remaining = mappings
        portByKey = portByKey.filter { remaining[$0.value] != nil }
    }

    private mutating func remove(_ port: UInt16) {
        guard let mapping = mappings.removeValue(forKey: port) else { return }
        portByKey[mapping.key] = nil
    }

    private mutating func refuse(_ reason: NATRefusal) -> NetworkAddress? {
        refusals.add(reason)
        return nil
    }
}
