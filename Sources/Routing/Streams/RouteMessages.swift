import SwarmCore
import SwarmCrypto

/// First bytes of stream route messages (0x40–0x5f). Every one names the subscription: a number that the child
/// chooses and raises for each new request.
package enum RouteMessageType {
    package static var subscribe: UInt8 { 0x40 }
    package static var accept: UInt8 { 0x41 }
    package static var delegate: UInt8 { 0x42 }
    package static var refuse: UInt8 { 0x43 }
    package static var unsubscribe: UInt8 { 0x44 }
    package static var keep: UInt8 { 0x45 }
    package static var kept: UInt8 { 0x46 }
    package static var update: UInt8 { 0x47 }
    package static var ended: UInt8 { 0x48 }
    package static var raise: UInt8 { 0x49 }
}

/// Why a SUBSCRIBE (or KEEP) was refused. A value of a later version reads as `policy`.
package enum RefuseReason: UInt8, Sendable, Hashable {
    /// Does not carry the stream, or does not know the subscription.
    case notHere = 0
    case full = 1
    /// The child is on the parent's own path from the origin.
    case loop = 2
    /// Try again in a moment: no parent or no secret yet.
    case busy = 3
    case policy = 4
    /// The feasibility condition fails; a new number was asked for, try again in a moment.
    case infeasible = 5
}

/// Why a parent ended a subscription. A value of a later version reads as `upstreamLost`.
package enum EndReason: UInt8, Sendable, Hashable {
    /// The origin unpublished the stream: it is over.
    case unpublished = 0
    /// The parent gives up the stream; others may have it.
    case upstreamLost = 1
    /// The answer to UNSUBSCRIBE.
    case unsubscribed = 2
    /// The media link was lost or the subscription not refreshed.
    case linkLost = 3
}

/// SUBSCRIBE: subscription u64 · name string · least epoch u64 · layers u64 · worker u8 · port u16 · connection id u32 ·
/// instance u64 · alias u32 · preferred cipher u8 · feasibility (0, or 1 · epoch u64 · number u32 · rank u8) · known
/// links (count varint, instance u64 each).
package struct SubscribeMessage: Sendable, Hashable {
    package var subscription: UInt64
    package var stream: StreamName
    /// The newest epoch the child has had; an older one is of no use to it.
    package var leastEpoch: UInt64
    package var layers: UInt64
    package var worker: UInt8
    package var port: UInt16
    package var connectionID: UInt32
    package var instance: UInt64
    package var alias: UInt32
    package var cipher: LinkCipherKind
    package var feasibility: Feasibility?
    /// Instances of the media links from this worker to the addressee that are open or proposed.
    package var knownLinks: [UInt64]

    package func write(to writer: inout ByteWriter) {
        writer.append(RouteMessageType.subscribe)
        writer.append(subscription)
        writer.appendString(stream.text)
        writer.append(leastEpoch)
        writer.append(layers)
        writer.append(worker)
        writer.append(port)
        writer.append(connectionID)
        writer.append(instance)
        writer.append(alias)
        writer.append(cipher.rawValue)
        writer.append(UInt8(feasibility == nil ? 0 : 1))
        if let feasibility { feasibility.best.write(to: &writer) }
        writer.appendVarint(UInt64(knownLinks.count))
        for instance in knownLinks { writer.append(instance) }
    }

    package init(
        subscription: UInt64, stream: StreamName, leastEpoch: UInt64, layers: UInt64, worker: UInt8, port: UInt16,
        connectionID: UInt32, instance: UInt64, alias: UInt32, cipher: LinkCipherKind, feasibility: Feasibility?,
        knownLinks: [UInt64]
    ) {
        self.subscription = subscription
        self.stream = stream
        self.leastEpoch = leastEpoch
        self.layers = layers
        self.worker = worker
        self.port = port
        self.connectionID = connectionID
        self.instance = instance
        self.alias = alias
        self.cipher = cipher
        self.feasibility = feasibility
        self.knownLinks = knownLinks
    }

    /// Reads after the type byte.
    package init?(from reader: inout ByteReader) {
        guard let subscription = reader.readUInt64(), let name = reader.readString(limit: 255),
            let stream = StreamName(name), let leastEpoch = reader.readUInt64(), let layers = reader.readUInt64(),
            let worker = reader.readUInt8(), let port = reader.readUInt16(), let connectionID = reader.readUInt32(),
            let instance = reader.readUInt64(), let alias = reader.readUInt32(), let rawCipher = reader.readUInt8(),
            let hasFeasibility = reader.readUInt8(), hasFeasibility <= 1, port != 0, connectionID != 0
        else { return nil }
        var feasibility: Feasibility?
        if hasFeasibility == 1 {
            guard let position = TreePosition(from: &reader) else { return nil }
            feasibility = Feasibility(position)
        }
        guard let count = reader.readVarint(limit: UInt64(RoutingLimits.knownLinks)) else { return nil }
        var knownLinks: [UInt64] = []
        for _ in 0..<count {
            guard let known = reader.readUInt64() else { return nil }
            knownLinks.append(known)
        }
        // A cipher of a later version: we take the one every node has.
        self.init(
            subscription: subscription, stream: stream, leastEpoch: leastEpoch, layers: layers, worker: worker,
            port: port, connectionID: connectionID, instance: instance, alias: alias,
            cipher: LinkCipherKind(rawValue: rawCipher) ?? .chaCha20Poly1305, feasibility: feasibility,
            knownLinks: knownLinks)
    }
}

/// What a parent tells its children about itself and the stream: position (epoch u64 · number u32 · rank u8) · path
/// (count u8, then the first 8 bytes of each id from the origin to the parent) · descriptor (length varint, bytes).
package struct Advertisement: Sendable, Hashable {
    package var position: TreePosition
    package var path: [UInt64]
    package var descriptor: [UInt8]

    package init(position: TreePosition, path: [UInt64], descriptor: [UInt8]) {
        self.position = position
        self.path = path
        self.descriptor = descriptor
    }

    package func write(to writer: inout ByteWriter) {
        position.write(to: &writer)
        writer.append(UInt8(truncatingIfNeeded: path.count))
        for hop in path { writer.append(hop) }
        writer.appendLengthPrefixed(descriptor.span)
    }

    package init?(from reader: inout ByteReader) {
        guard let position = TreePosition(from: &reader), let hops = reader.readUInt8(),
            (1...RoutingLimits.hops).contains(Int(hops))
        else { return nil }
        var path: [UInt64] = []
        for _ in 0..<hops {
            guard let hop = reader.readUInt64() else { return nil }
            path.append(hop)
        }
        guard let descriptor = reader.readLengthPrefixed(limit: RoutingLimits.descriptorBytes) else { return nil }
        self.init(position: position, path: path, descriptor: descriptor.copied())
    }
}

/// ACCEPT: subscription u64 · serial u32 · worker u8 · port u16 · parent's connection id u32 · child's connection id
/// u32 · instance u64 · media epoch u64 · cipher u8 · advertisement. Ids and instance other than those proposed name a
/// link that exists already.
package struct AcceptMessage: Sendable, Hashable {
    package var subscription: UInt64
    package var serial: UInt32
    package var worker: UInt8
    package var port: UInt16
    package var parentConnectionID: UInt32
    package var childConnectionID: UInt32
    package var instance: UInt64
    package var mediaEpoch: UInt64
    package var cipher: LinkCipherKind
    package var advertisement: Advertisement

    package func write(to writer: inout ByteWriter) {
        writer.append(RouteMessageType.accept)
        writer.append(subscription)
        writer.append(serial)
        writer.append(worker)
        writer.append(port)
        writer.append(parentConnectionID)
        writer.append(childConnectionID)
        writer.append(instance)
        writer.append(mediaEpoch)
        writer.append(cipher.rawValue)
        advertisement.write(to: &writer)
    }

    package init(
        subscription: UInt64, serial: UInt32, worker: UInt8, port: UInt16, parentConnectionID: UInt32,
        childConnectionID: UInt32, instance: UInt64, mediaEpoch: UInt64, cipher: LinkCipherKind,
        advertisement: Advertisement
    ) {
        self.subscription = subscription
        self.serial = serial
        self.worker = worker
        self.port = port
        self.parentConnectionID = parentConnectionID
        self.childConnectionID = childConnectionID
        self.instance = instance
        self.mediaEpoch = mediaEpoch
        self.cipher = cipher
        self.advertisement = advertisement
    }

    package init?(from reader: inout ByteReader) {
        guard let subscription = reader.readUInt64(), let serial = reader.readUInt32(),
            let worker = reader.readUInt8(), let port = reader.readUInt16(), let parentID = reader.readUInt32(),
            let childID = reader.readUInt32(), let instance = reader.readUInt64(),
            let mediaEpoch = reader.readUInt64(), let rawCipher = reader.readUInt8(),
            let cipher = LinkCipherKind(rawValue: rawCipher), let advertisement = Advertisement(from: &reader),
            port != 0, parentID != 0, childID != 0
        else { return nil }
        self.init(
            subscription: subscription, serial: serial, worker: worker, port: port, parentConnectionID: parentID,
            childConnectionID: childID, instance: instance, mediaEpoch: mediaEpoch, cipher: cipher,
            advertisement: advertisement)
    }
}

/// KEEP: subscription u64 · serial u32 · layers u64 · last update serial seen u32 · free child slots u16. Refreshes,
/// changes layers and acknowledges updates; answered by KEPT: subscription u64 · serial u32.
package struct KeepMessage: Sendable, Hashable {
    package var subscription: UInt64
    package var serial: UInt32
    package var layers: UInt64
    package var updateSerial: UInt32
    package var freeChildSlots: UInt16

    package init(
        subscription: UInt64, serial: UInt32, layers: UInt64, updateSerial: UInt32, freeChildSlots: UInt16
    ) {
        self.subscription = subscription
        self.serial = serial
        self.layers = layers
        self.updateSerial = updateSerial
        self.freeChildSlots = freeChildSlots
    }

    package func write(to writer: inout ByteWriter) {
        writer.append(RouteMessageType.keep)
        writer.append(subscription)
        writer.append(serial)
        writer.append(layers)
        writer.append(updateSerial)
        writer.append(freeChildSlots)
    }

    package init?(from reader: inout ByteReader) {
        guard let subscription = reader.readUInt64(), let serial = reader.readUInt32(),
            let layers = reader.readUInt64(), let updateSerial = reader.readUInt32(), let slots = reader.readUInt16()
        else { return nil }
        self.init(
            subscription: subscription, serial: serial, layers: layers, updateSerial: updateSerial,
            freeChildSlots: slots)
    }
}

extension TreePosition {
    func write(to writer: inout ByteWriter) {
        writer.append(epoch)
        writer.append(number)
        writer.append(rank)
    }

    init?(from reader: inout ByteReader) {
        guard let epoch = reader.readUInt64(), epoch <= VarInt.max, let number = reader.readUInt32(),
            let rank = reader.readUInt8()
        else { return nil }
        self.init(epoch: epoch, number: number, rank: rank)
    }
}
