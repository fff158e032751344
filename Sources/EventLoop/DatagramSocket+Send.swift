import CSwarmShims
import SwarmCore

extension DatagramSocket {
    /// Sends every datagram of `outbox`, in order, and empties it.
    ///
    /// Consecutive datagrams to one destination of equal size (the last may be shorter) leave as one UDP_SEGMENT train
    /// of at most `LoopLimits.trainDatagrams`.
    package mutating func send(_ outbox: inout Outbox) {
        guard !outbox.isEmpty else { return }
        if isWaitingForRoom {
            hold(outbox, from: 0)
        } else {
            sendAll(outbox)
        }
        outbox.removeAll()
    }

    /// Whether datagrams are held back until the kernel has room: `resume` is to be called when the socket is writable.
    package var isWaitingForRoom: Bool {
        switch held {
        case .some(let waiting): !waiting.isEmpty
        case .none: false
        }
    }

    /// Sends what was held back; what still finds no room stays held.
    package mutating func resume() {
        guard isWaitingForRoom, var waiting = held.take(), let empty = spare.take() else { return }
        held = consume empty
        sendAll(waiting)
        waiting.removeAll()
        spare = consume waiting
    }

    private mutating func sendAll(_ outbox: borrowing Outbox) {
        var state = Progress()
        while state.next < outbox.count {
            pack(outbox, &state)
            guard messageCount > 0 else { break }
            transmit(outbox, &state)
        }
    }

    /// How far an outbox has been sent.
    private struct Progress {
        /// The first entry not yet packed.
        var next = 0
        /// The first entry of the messages now packed.
        var packedFrom = 0
        /// Entries before this one go out singly: their train was refused.
        var singlesBefore = 0
        var hasWaited = false
        var hasRetried = false
    }

    /// Fills the sender with messages from `state.next` on, joining what may travel as a train.
    private mutating func pack(_ outbox: borrowing Outbox, _ state: inout Progress) {
        messageCount = 0
        while state.next < outbox.count, !isAddressable(outbox.entry(state.next).destination) {
            statistics.drops.add(.unaddressable)
            state.next += 1
        }
        state.packedFrom = state.next
        let base = unsafe outbox.unsafeBaseAddress
        while state.next < outbox.count, messageCount < LoopLimits.sendMessages {
            let first = outbox.entry(state.next)
            guard isAddressable(first.destination) else { break }
            let (end, bytes) = trainEnd(outbox, from: state.next, singlesBefore: state.singlesBefore)
            let segment = end - state.next > 1 ? UInt16(truncatingIfNeeded: first.count) : 0
            let to = swarm_address(
                high: first.destination.high, low: first.destination.low, port: first.destination.port)
            unsafe swarm_sender_set(sender, UInt32(messageCount), base + first.offset, bytes, segment, to)
            messageEnds[messageCount] = end
            messageCount += 1
            state.next = end
        }
    }

    /// The entry after the train that starts at `start`, and the train's bytes.
    private func trainEnd(
        _ outbox: borrowing Outbox, from start: Int, singlesBefore: Int
    ) -> (end: Int, bytes: Int) {
        let first = outbox.entry(start)
        var end = start + 1
        var bytes = first.count
        guard sendsTrains, start >= singlesBefore else { return (end, bytes) }
        let last = min(outbox.count, start + LoopLimits.trainDatagrams)
        while end < last {
            let entry = outbox.entry(end)
            guard entry.offset == first.offset + bytes, entry.destination == first.destination,
                entry.count <= first.count, bytes + entry.count <= LoopLimits.trainBytes
            else { break }
            bytes += entry.count
            end += 1
            if entry.count < first.count { break }
        }
        return (end, bytes)
    }

    /// Hands the packed messages to the kernel; on an early return `state.next` says where to pack again.
    private mutating func transmit(_ outbox: borrowing Outbox, _ state: inout Progress) {
        var message = 0
        while message < messageCount {
            let result = unsafe swarm_sender_send(sender, descriptor, UInt32(message), UInt32(messageCount))
            if result > 0 {
                for sent in message..<(message + Int(result)) { didSend(sent, outbox, state.packedFrom) }
                message += Int(result)
                state.hasRetried = false
                continue
            }
            let start = message == 0 ? state.packedFrom : messageEnds[message - 1]
            let end = messageEnds[message]
            switch verdict(on: -result, isTrain: end - start > 1, &state) {
            case .again: continue
            case .skip(let reason):
                statistics.drops.add(reason, UInt64(end - start))
                message += 1
            case .singly:
                state.singlesBefore = end
                state.next = start
                return
            case .giveUp:
                giveUp(outbox, from: start)
                state.next = outbox.count
                return
            }
        }
    }

    private enum Verdict {
        case again
        case skip(SocketStatistics.Drop)
        /// The kernel does not take this train: its datagrams go one by one.
        case singly
        /// The send buffer is full.
        case giveUp
    }

    private mutating func verdict(on errno: Int32, isTrain: Bool, _ state: inout Progress) -> Verdict {
        switch errno {
        case SystemError.tryAgain:
            if case .drop = whenFull, !state.hasWaited {
                state.hasWaited = true
                if swarm_wait_writable(descriptor, LoopLimits.dropWaitMilliseconds) == 1 { return .again }
            }
            return .giveUp
        case SystemError.connectionRefused where !state.hasRetried:
            // The report of an earlier datagram's fate; reading it has cleared it.
            statistics.errorsReported += 1
            state.hasRetried = true
            return .again
        case SystemError.inputOutput, SystemError.notSupported, SystemError.protocolOptionUnknown:
            guard isTrain else { return .skip(.other) }
            statistics.trainsRefused += 1
            sendsTrains = false
            return .singly
        case SystemError.invalidArgument, SystemError.messageTooLong:
            guard isTrain else { return .skip(errno == SystemError.messageTooLong ? .tooLong : .unaddressable) }
            statistics.trainsRefused += 1
            if statistics.trainsSent == 0, statistics.trainsRefused >= LoopLimits.refusedTrains { sendsTrains = false }
            return .singly
        case SystemError.networkUnreachable, SystemError.hostUnreachable, SystemError.hostDown,
            SystemError.connectionRefused, SystemError.addressNotAvailable:
            return .skip(.unreachable)
        case SystemError.notPermitted, SystemError.accessDenied: return .skip(.forbidden)
        case SystemError.noBufferSpace, SystemError.outOfMemory: return .skip(.noBuffers)
        default: return .skip(.other)
        }
    }

    private mutating func didSend(_ message: Int, _ outbox: borrowing Outbox, _ packedFrom: Int) {
        let start = message == 0 ? packedFrom : messageEnds[message - 1]
        let end = messageEnds[message]
        let first = outbox.entry(start)
        let last = outbox.entry(end - 1)
        statistics.datagramsSent &+= UInt64(end - start)
        statistics.bytesSent &+= UInt64(last.offset + last.count - first.offset)
        if end - start > 1 { statistics.trainsSent &+= 1 }
    }

    private mutating func giveUp(_ outbox: borrowing Outbox, from index: Int) {
        switch whenFull {
        case .drop: statistics.drops.add(.wouldBlock, UInt64(outbox.count - index))
        case .hold: hold(outbox, from: index)
        }
    }

    private mutating func hold(_ outbox: borrowing Outbox, from index: Int) {
        for entry in index..<outbox.count {
            let kept = held?.append(to: outbox.destination(of: entry), copying: outbox.bytes(of: entry)) ?? false
            if !kept { statistics.drops.add(.holdFull) }
        }
    }

    private func isAddressable(_ destination: NetworkAddress) -> Bool {
        guard destination.port != 0, !destination.isUnspecified else { return false }
        if destination.isIPv4 { return destination.ipv4 >> 28 != 0xe && destination.ipv4 != .max }
        return isIPv6 && destination.high >> 56 != 0xff
    }
}
