import EventLoop
import SwarmCore
import Testing

/// One received datagram.
private struct Arrival: Equatable {
    var source: NetworkAddress
    var bytes: [UInt8]
}

/// Reads until `count` datagrams have arrived or nothing has come for a while.
private func drain(_ socket: inout DatagramSocket, _ batch: inout ReceiveBatch, count: Int) -> [Arrival] {
    var arrivals: [Arrival] = []
    var idle = 0
    while arrivals.count < count, idle < 20_000 {
        if socket.receive(into: &batch) == 0 { idle += 1 }
        while let item = batch.next() {
            let bytes = batch.bytes(of: item)
            arrivals.append(Arrival(source: item.source, bytes: bytes.span.copied()))
        }
    }
    return arrivals
}

private func pattern(_ count: Int, _ seed: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) }
}

private let ipv4Loopback = NetworkAddress.loopback(port: 0)
private let ipv6Loopback = NetworkAddress(high: 0, low: 1, port: 0)

@Suite struct SocketTests {
    @Test(arguments: [(ipv4Loopback, ipv4Loopback), (ipv6Loopback, ipv6Loopback)])
    func datagramsCross(_ from: NetworkAddress, _ to: NetworkAddress) throws {
        var sender = try DatagramSocket(bind: from, whenFull: .drop)
        var receiver = try DatagramSocket(bind: to, whenFull: .drop)
        let source = sender.localAddress
        #expect(source.port != 0 && source.hasSameHost(as: from))
        var out = Outbox(byteCapacity: 4_096, datagramCapacity: 8)
        out.append(to: receiver.localAddress, copying: pattern(100, 1).span)
        out.append(to: receiver.localAddress, copying: pattern(300, 2).span)
        sender.send(&out)
        let left = out.count
        #expect(left == 0)
        var batch = ReceiveBatch()
        let arrivals = drain(&receiver, &batch, count: 2)
        #expect(
            arrivals == [
                Arrival(source: sender.localAddress, bytes: pattern(100, 1)),
                Arrival(source: sender.localAddress, bytes: pattern(300, 2)),
            ])
        let statistics = sender.statistics
        #expect(statistics.datagramsSent == 2 && statistics.bytesSent == 400)
        #expect(statistics.trainsSent == 0)
    }

    @Test func wildcardSpeaksBothFamilies() throws {
        var receiver = try DatagramSocket(bind: .unspecified, whenFull: .drop)
        var batch = ReceiveBatch()
        let isIPv6 = receiver.isIPv6
        try #require(isIPv6)
        for (bind, host) in [(ipv4Loopback, ipv4Loopback), (ipv6Loopback, ipv6Loopback)] {
            var peer = try DatagramSocket(bind: bind, whenFull: .drop)
            var out = Outbox(byteCapacity: 4_096, datagramCapacity: 8)
            out.append(to: host.withPort(receiver.localAddress.port), copying: pattern(50, 3).span)
            peer.send(&out)
            let arrivals = drain(&receiver, &batch, count: 1)
            #expect(arrivals == [Arrival(source: peer.localAddress, bytes: pattern(50, 3))])
            out.append(to: peer.localAddress, copying: pattern(60, 4).span)
            receiver.send(&out)
            #expect(drain(&peer, &batch, count: 1).map(\.bytes) == [pattern(60, 4)])
        }
    }

    /// Sizes of consecutive datagrams to one destination, and how many trains they make.
    static let trains: [(sizes: [Int], trains: UInt64)] = [
        ([1_200, 1_200, 1_200, 700], 1),
        ([1_200, 700, 1_200], 1),
        ([100, 200, 300], 0),
        (Array(repeating: 1_232, count: 52), 1),
        (Array(repeating: 1_232, count: 53), 1),
        (Array(repeating: 100, count: 200), 4),
        (Array(repeating: 1, count: 64) + [1], 1),
        ([5], 0),
    ]

    @Test(arguments: trains, [true, false])
    func trainsArriveIntact(_ row: (sizes: [Int], trains: UInt64), _ offload: Bool) throws {
        var sender = try DatagramSocket(bind: ipv4Loopback, whenFull: .hold)
        var receiver = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop, receiveOffload: offload)
        let hasTrains = sender.sendsTrains
        try #require(hasTrains)
        let hasOffload = receiver.hasReceiveOffload
        #expect(hasOffload == offload)
        var out = Outbox(byteCapacity: 1 << 18, datagramCapacity: 512)
        for (index, size) in row.sizes.enumerated() {
            out.append(to: receiver.localAddress, copying: pattern(size, index).span)
        }
        sender.send(&out)
        var batch = ReceiveBatch()
        let arrivals = drain(&receiver, &batch, count: row.sizes.count)
        #expect(arrivals.map(\.bytes) == row.sizes.enumerated().map { pattern($1, $0) })
        let statistics = sender.statistics
        #expect(statistics.trainsSent == row.trains)
        #expect(statistics.datagramsSent == UInt64(row.sizes.count))
        #expect(statistics.drops.total == 0)
    }

    @Test func withoutSegmentationTheSameArrives() throws {
        var sender = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop, segmentation: false)
        var receiver = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var out = Outbox(byteCapacity: 1 << 18, datagramCapacity: 512)
        for index in 0..<100 { out.append(to: receiver.localAddress, copying: pattern(1_000, index).span) }
        sender.send(&out)
        var batch = ReceiveBatch()
        #expect(drain(&receiver, &batch, count: 100).map(\.bytes) == (0..<100).map { pattern(1_000, $0) })
        let statistics = sender.statistics
        #expect(statistics.trainsSent == 0)
    }

    @Test func trainsToManyDestinationsStayApart() throws {
        var sender = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var first = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var second = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var out = Outbox(byteCapacity: 1 << 18, datagramCapacity: 512)
        for round in 0..<3 {
            for index in 0..<4 { out.append(to: first.localAddress, copying: pattern(900, round * 4 + index).span) }
            for index in 0..<4 { out.append(to: second.localAddress, copying: pattern(900, 50 + index).span) }
        }
        sender.send(&out)
        var batch = ReceiveBatch()
        #expect(drain(&first, &batch, count: 12).map(\.bytes) == (0..<12).map { pattern(900, $0) })
        #expect(drain(&second, &batch, count: 12).count == 12)
        let statistics = sender.statistics
        #expect(statistics.trainsSent == 6)
    }

    /// What a machine may be tricked into sending to; each must cost its own datagram only.
    static let garbage: [NetworkAddress] = [
        NetworkAddress(ipv4: 0, port: 9), NetworkAddress(ipv4: 0xffff_ffff, port: 9),
        NetworkAddress(ipv4: 0xe000_0001, port: 9), NetworkAddress(ipv4: 0x7f00_0001, port: 0),
        NetworkAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 9),
        NetworkAddress(high: 0xff02 << 48, low: 1, port: 9),
        NetworkAddress(high: 0, low: 0, port: 9), NetworkAddress(high: 0xfe80 << 48, low: 1, port: 9),
    ]

    @Test(arguments: garbage, [NetworkAddress.unspecified, ipv4Loopback])
    func garbageDestinationHurtsNobody(_ destination: NetworkAddress, _ bind: NetworkAddress) throws {
        var sender = try DatagramSocket(bind: bind, whenFull: .drop)
        var receiver = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var out = Outbox(byteCapacity: 1 << 16, datagramCapacity: 64)
        for index in 0..<3 {
            out.append(to: destination, copying: pattern(500, index).span)
            out.append(to: destination, copying: pattern(500, index).span)
            out.append(to: receiver.localAddress, copying: pattern(500, index).span)
        }
        sender.send(&out)
        var batch = ReceiveBatch()
        #expect(drain(&receiver, &batch, count: 3).map(\.bytes) == (0..<3).map { pattern(500, $0) })
        let statistics = sender.statistics
        #expect(statistics.datagramsSent + statistics.drops.total == 9)
    }

    @Test func closedPeerDisturbsNobody() throws {
        var sender = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var receiver = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        let gone: NetworkAddress
        do {
            let closing = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
            gone = closing.localAddress
        }
        var batch = ReceiveBatch()
        for round in 0..<20 {
            var out = Outbox(byteCapacity: 1 << 16, datagramCapacity: 64)
            out.append(to: gone, copying: pattern(100, 0).span)
            out.append(to: receiver.localAddress, copying: pattern(100, round).span)
            sender.send(&out)
            #expect(drain(&receiver, &batch, count: 1).map(\.bytes) == [pattern(100, round)])
            #expect(sender.receive(into: &batch) == 0)
        }
    }

    @Test func oversizedAndEmptyArrivalsAreCounted() throws {
        var sender = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var receiver = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        var out = Outbox(byteCapacity: 1 << 18, datagramCapacity: 64)
        out.append(to: receiver.localAddress, copying: pattern(60_000, 1).span)
        out.append(to: receiver.localAddress, copying: pattern(Limits.receiveBytes + 1, 2).span)
        out.append(to: receiver.localAddress, copying: pattern(Limits.receiveBytes, 3).span)
        sender.send(&out)
        var batch = ReceiveBatch()
        #expect(drain(&receiver, &batch, count: 1).map(\.bytes) == [pattern(Limits.receiveBytes, 3)])
        let refusals = batch.refusals
        #expect(refusals[.tooLong] == 2)
    }

    @Test func busyPortIsOneTypedErrorThatNamesIt() throws {
        let holder = try DatagramSocket(bind: ipv4Loopback, whenFull: .drop)
        let port = holder.localAddress.port
        do {
            _ = try DatagramSocket(bind: .loopback(port: port), whenFull: .drop)
            Issue.record("bound a busy port")
        } catch {
            #expect(error == .portBusy(.loopback(port: port)))
            #expect(error.description.contains("\(port)") && !error.description.contains("\n"))
        }
    }

    @Test func foreignAddressIsATypedError() {
        let foreign = NetworkAddress(ipv4: 0xc633_644d, port: 4_000)
        #expect(throws: EventLoopError.addressNotAvailable(foreign)) {
            _ = try DatagramSocket(bind: foreign, whenFull: .drop)
        }
        #expect(EventLoopError.addressNotAvailable(foreign).description.contains("198.51.100.77"))
    }
}
