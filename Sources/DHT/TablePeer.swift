import SwarmCore

/// A node as the routing table keeps it: 112 bytes, where a `Contact` alone has 168.
///
/// Up to three IPv4 addresses, or one IPv6 address, lie in place; a longer list is kept by the table beside the buckets.
/// Times are counted in ticks of 16.8 ms, round trips in sixteenths of a millisecond (at most 4 s).
package struct TablePeer: Sendable {
    /// How the addresses are held. The raw value shares a byte with the marks.
    enum AddressForm: UInt8 {
        case elsewhere = 0
        case oneIPv4 = 1
        case twoIPv4 = 2
        case threeIPv4 = 3
        case oneIPv6 = 4
    }

    private enum Mark {
        static var form: UInt8 { 0x07 }
        static var hasCoordinate: UInt8 { 0x08 }
        static var isChosenNear: UInt8 { 0x10 }
        static var isUnderTest: UInt8 { 0x20 }
        static var isGuest: UInt8 { 0x40 }
    }

    private var place = Coordinate.origin
    private var roundTripSteps: UInt16 = 0
    private var port: UInt16 = 0
    private(set) var heardTick: UInt32
    /// Failures in the lower half, mentions in the upper.
    private var counts: UInt8 = 0
    private var marks: UInt8 = 0
    /// Where the table keeps the addresses, if not here.
    var elsewhere: UInt16 = 0
    private var word0: UInt64 = 0
    private var word1: UInt64 = 0
    package let id: NodeID
    package let key: PublicKey

    init(_ contact: Contact, coordinate: Coordinate?, roundTrip: Interval?, at now: MonotonicInstant) {
        id = contact.id
        key = contact.key
        heardTick = Self.tick(now)
        self.coordinate = coordinate
        if let roundTrip { roundTripSteps = Self.steps(roundTrip) }
        _ = hold(contact.addresses)
    }

    static func tick(_ instant: MonotonicInstant) -> UInt32 { UInt32(truncatingIfNeeded: instant.nanoseconds >> 24) }
    static func ticks(_ interval: Interval) -> UInt32 { UInt32(clamping: interval.nanoseconds >> 24) }
    private static func steps(_ interval: Interval) -> UInt16 {
        UInt16(clamping: max(1, interval.nanoseconds / 62_500))
    }

    // MARK: What is known of it

    package var coordinate: Coordinate? {
        get { marks & Mark.hasCoordinate != 0 ? place : nil }
        set {
            guard let newValue else { return }
            place = newValue
            marks |= Mark.hasCoordinate
        }
    }

    /// Smoothed as TCP's (RFC 6298 §2: seven parts old, one part new); nil before the first measurement.
    package var roundTrip: Interval? {
        roundTripSteps == 0 ? nil : Interval(nanoseconds: Int64(roundTripSteps) * 62_500)
    }

    /// Requests in a row that stayed unanswered, up to 15.
    package private(set) var failures: UInt8 {
        get { counts & 0x0f }
        set { counts = counts & 0xf0 | min(newValue, 0x0f) }
    }

    /// How often others have named it of late, up to `mostMentions`, beside its bucket's others: how widely it is known.
    private(set) var mentions: UInt8 {
        get { counts >> 4 }
        set { counts = counts & 0x0f | min(newValue, Self.mostMentions) << 4 }
    }

    static var mostMentions: UInt8 { 15 }

    mutating func mention() { mentions += 1 }
    mutating func halveMentions() { mentions /= 2 }

    /// It took its place for being near in time, not for having been there first.
    var isChosenNear: Bool {
        get { marks & Mark.isChosenNear != 0 }
        set { marks = newValue ? marks | Mark.isChosenNear : marks & ~Mark.isChosenNear }
    }

    /// It took its place for having come to this node by itself.
    var isGuest: Bool {
        get { marks & Mark.isGuest != 0 }
        set { marks = newValue ? marks | Mark.isGuest : marks & ~Mark.isGuest }
    }

    /// A ping is on its way, because somebody waits for its place or it was silent for long.
    var isUnderTest: Bool {
        get { marks & Mark.isUnderTest != 0 }
        set { marks = newValue ? marks | Mark.isUnderTest : marks & ~Mark.isUnderTest }
    }

    /// For how many ticks nothing was heard.
    func silence(at tick: UInt32) -> UInt32 {
        let silence = tick &- heardTick
        // Heard after the caller's clock was read: no silence at all.
        return silence > UInt32.max / 2 ? 0 : silence
    }

    mutating func hear(coordinate: Coordinate?, roundTrip sample: Interval?, at now: MonotonicInstant) {
        let tick = Self.tick(now)
        if silence(at: tick) > 0 { heardTick = tick }
        failures = 0
        isUnderTest = false
        self.coordinate = coordinate
        guard let sample else { return }
        let steps = Self.steps(sample)
        roundTripSteps = roundTripSteps == 0 ? steps : UInt16((Int(roundTripSteps) * 7 + Int(steps) + 4) / 8)
    }

    mutating func fail() {
        isUnderTest = false
        failures += 1
    }

    // MARK: Addresses

    var form: AddressForm { AddressForm(rawValue: marks & Mark.form) ?? .elsewhere }

    /// Takes the addresses in where they fit; false where the table has to keep them.
    mutating func hold(_ addresses: AddressList) -> Bool {
        marks &= ~Mark.form
        guard let first = addresses.first else { return false }
        guard first.isIPv4 else {
            guard addresses.count == 1 else { return false }
            (word0, word1, port) = (first.high, first.low, first.port)
            marks |= AddressForm.oneIPv6.rawValue
            return true
        }
        guard addresses.count <= 3 else { return false }
        for index in 1..<3 where index < addresses.count && !addresses[index].isIPv4 { return false }
        word0 = Self.packed(first)
        word1 = addresses.count > 1 ? Self.packed(addresses[1]) : 0
        if addresses.count > 2 {
            let third = addresses[2]
            word0 |= UInt64(third.ipv4 >> 16) << 48
            word1 |= UInt64(third.ipv4 & 0xffff) << 48
            port = third.port
        }
        marks |= UInt8(addresses.count)
        return true
    }

    /// The addresses held in place; nil where the table keeps them.
    var heldAddresses: AddressList? {
        switch form {
        case .elsewhere:
            return nil
        case .oneIPv6:
            return AddressList(NetworkAddress(high: word0, low: word1, port: port))
        case .oneIPv4, .twoIPv4, .threeIPv4:
            var list = AddressList(Self.unpacked(word0))
            if form != .oneIPv4 { list.append(Self.unpacked(word1)) }
            if form == .threeIPv4 {
                let ipv4 = UInt32(truncatingIfNeeded: word0 >> 48) << 16 | UInt32(truncatingIfNeeded: word1 >> 48)
                list.append(NetworkAddress(ipv4: ipv4, port: port))
            }
            return list
        }
    }

    private static func packed(_ address: NetworkAddress) -> UInt64 {
        UInt64(address.ipv4) << 16 | UInt64(address.port)
    }

    private static func unpacked(_ word: UInt64) -> NetworkAddress {
        NetworkAddress(
            ipv4: UInt32(truncatingIfNeeded: word >> 16), port: UInt16(truncatingIfNeeded: word))
    }
}
