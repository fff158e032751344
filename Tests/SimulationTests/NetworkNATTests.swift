import Simulations
import SwarmCore
import Testing

@Suite struct NetworkNATTests {
    private static let inside = NetworkAddress(ipv4: 0x0a00_0002, port: 7_788)
    private static let external = NetworkAddress(ipv4: 0xc000_0201, port: 0)
    private static let peer = NetworkAddress(ipv4: 0xc633_6401, port: 1_000)
    private static let otherPort = peer.withPort(2_000)
    private static let otherHost = NetworkAddress(ipv4: 0xc633_6402, port: 1_000)
    private static let millisecond: UInt64 = 1_000_000

    private static func table(_ configuration: NATConfiguration) -> NATTable {
        NATTable(configuration, externalHost: external, seed: 1)
    }

    /// Sends from the inside address and returns what the other side sees.
    private static func external(
        _ nat: inout NATTable, to target: NetworkAddress, at now: UInt64
    ) throws -> NetworkAddress {
        let seen = nat.outbound(source: inside, to: target, at: now)
        return try #require(seen)
    }

    /// RFC 4787 §4.1 and §5: every mapping with every filtering.
    @Test(arguments: NATBehavior.allCases, NATBehavior.allCases)
    func theNineKinds(mapping: NATBehavior, filtering: NATBehavior) throws {
        var nat = Self.table(NATConfiguration(mapping: mapping, filtering: filtering))
        let first = try Self.external(&nat, to: Self.peer, at: 0)
        #expect(first.hasSameHost(as: Self.external) && first.port >= 1_024)
        #expect(nat.outbound(source: Self.inside, to: Self.peer, at: 1) == first)

        #expect(nat.inbound(from: Self.peer, to: first, at: 2) == Self.inside)
        let fromOtherPort = nat.inbound(from: Self.otherPort, to: first, at: 2)
        #expect((fromOtherPort == Self.inside) == (filtering != .addressAndPortDependent))
        let fromOtherHost = nat.inbound(from: Self.otherHost, to: first, at: 2)
        #expect((fromOtherHost == Self.inside) == (filtering == .endpointIndependent))
        #expect(nat.refusals[.filtered] == UInt64(filtering.rawValue))

        let toOtherPort = try Self.external(&nat, to: Self.otherPort, at: 3)
        #expect((toOtherPort == first) == (mapping != .addressAndPortDependent))
        let toOtherHost = try Self.external(&nat, to: Self.otherHost, at: 3)
        #expect((toOtherHost == first) == (mapping == .endpointIndependent))
        #expect(nat.count == 1 + mapping.rawValue)

        // Each answers through the mapping that it was sent to from.
        #expect(nat.inbound(from: Self.otherPort, to: toOtherPort, at: 4) == Self.inside)
        #expect(nat.inbound(from: Self.otherHost, to: toOtherHost, at: 4) == Self.inside)
        // Another inside address has mappings of its own.
        let neighbour = Self.inside.withPort(7_789)
        #expect(nat.outbound(source: neighbour, to: Self.peer, at: 5).map { $0 != first } == true)
    }

    @Test(arguments: [false, true])
    func mappingsTimeOut(refreshesOnInbound: Bool) throws {
        var configuration = NATConfiguration(mapping: .endpointIndependent, filtering: .endpointIndependent)
        configuration.timeoutMilliseconds = 30_000
        configuration.refreshesOnInbound = refreshesOnInbound
        var nat = Self.table(configuration)
        let first = try Self.external(&nat, to: Self.peer, at: 0)
        #expect(nat.inbound(from: Self.peer, to: first, at: 29_999 * Self.millisecond) == Self.inside)
        let later = nat.inbound(from: Self.peer, to: first, at: 30_000 * Self.millisecond)
        #expect((later == Self.inside) == refreshesOnInbound)
        #expect(nat.refusals[.expired] == (refreshesOnInbound ? 0 : 1))
        let again = try Self.external(&nat, to: Self.peer, at: 30_001 * Self.millisecond)
        #expect((again == first) == refreshesOnInbound)
    }

    @Test func sendingRefreshesAMappingButOnlyItsOwnPermission() throws {
        var configuration = NATConfiguration(mapping: .endpointIndependent, filtering: .addressDependent)
        configuration.timeoutMilliseconds = 30_000
        var nat = Self.table(configuration)
        let first = try Self.external(&nat, to: Self.peer, at: 0)
        for second in stride(from: 10_000, to: 60_000, by: 10_000) as StrideTo<UInt64> {
            #expect(nat.outbound(source: Self.inside, to: Self.otherHost, at: second * Self.millisecond) == first)
        }
        let now = 60_000 * Self.millisecond
        #expect(nat.inbound(from: Self.otherHost, to: first, at: now) == Self.inside)
        #expect(nat.inbound(from: Self.peer, to: first, at: now) == nil)
        #expect(nat.refusals[.filtered] == 1)
    }

    @Test func strangersAreRefusedAndCounted() throws {
        var nat = Self.table(NATConfiguration(mapping: .endpointIndependent, filtering: .endpointIndependent))
        #expect(nat.inbound(from: Self.peer, to: Self.external.withPort(5_000), at: 0) == nil)
        let first = try Self.external(&nat, to: Self.peer, at: 0)
        #expect(nat.inbound(from: Self.peer, to: Self.otherHost.withPort(first.port), at: 0) == nil)
        #expect(nat.refusals[.noMapping] == 2)
        #expect(nat.outbound(source: Self.inside, to: first, at: 0) == nil)
        #expect(nat.refusals[.hairpin] == 1)
        nat.restart()
        #expect(nat.inbound(from: Self.peer, to: first, at: 1) == nil)
        #expect(nat.refusals[.noMapping] == 3)
    }

    @Test func portsArePreservedWhereFree() throws {
        var configuration = NATConfiguration(mapping: .addressAndPortDependent, filtering: .endpointIndependent)
        configuration.preservesPorts = true
        var nat = Self.table(configuration)
        #expect(nat.outbound(source: Self.inside, to: Self.peer, at: 0)?.port == 7_788)
        let second = try Self.external(&nat, to: Self.otherHost, at: 0)
        #expect(second.port != 7_788)
        #expect(nat.inbound(from: Self.peer, to: second, at: 1) == Self.inside)
    }

    @Test func tablesAreBounded() throws {
        var nat = Self.table(NATConfiguration(mapping: .addressAndPortDependent, filtering: .endpointIndependent))
        func fill(at now: UInt64) -> Int {
            (0..<5_000).count {
                let target = NetworkAddress(ipv4: 0x0100_0000 + UInt32($0), port: 1)
                return nat.outbound(source: Self.inside, to: target, at: now) != nil
            }
        }
        #expect(fill(at: 0) == NetworkLimits.natMappings && nat.count == NetworkLimits.natMappings)
        #expect(nat.refusals[.mappingsFull] == UInt64(5_000 - NetworkLimits.natMappings))
        let late = 120_000 * Self.millisecond
        #expect(nat.outbound(source: Self.inside, to: Self.peer, at: late) != nil)
        #expect(nat.count == 1, "what timed out makes room")

        var filtering = Self.table(NATConfiguration(mapping: .endpointIndependent, filtering: .addressDependent))
        let passed = (0..<2_000).count {
            let target = NetworkAddress(ipv4: 0x0100_0000 + UInt32($0), port: 1)
            return filtering.outbound(source: Self.inside, to: target, at: 0) != nil
        }
        #expect(passed == NetworkLimits.natPermissions && filtering.count == 1)
        #expect(filtering.refusals[.permissionsFull] == UInt64(2_000 - NetworkLimits.natPermissions))
        #expect(filtering.outbound(source: Self.inside, to: Self.peer, at: late - 1) == nil)
        #expect(filtering.outbound(source: Self.inside, to: Self.peer, at: late) != nil)
    }
}
